"""The database out of connections, or a lock held by someone else: 503 in time, and recovery."""

import random
import time

from sqlalchemy import text

from tests.factories.accounts import PASSWORD
from tests.faults.books import Books, warm_up
from tests.live import Answer, Caller, Live, eventually

REFUSED_WITHIN = 2.0


def ask_for_everything(books: Books, caller: Caller, email: str, content: bytes) -> dict[str, Answer]:
    return {
        "list": caller.get("/api/v1/files"),
        "upload": books.upload(caller, content),
        "login": caller.log_in(email, PASSWORD),
        "ready": caller.get("/readyz"),
    }


def administer(live: Live, statement: str) -> None:
    """Run this for the database of the test, as its owner, in a connection that is there already."""
    with live.workshop.database.bind.engine.begin() as connection:
        name = connection.scalar(text("SELECT current_database()"))
        connection.execute(text(statement.format(name=name)))


def test_15_the_server_is_out_of_connections(
    live: Live, books: Books, rng: random.Random, small: bytes
) -> None:
    live.start_web(wait=False)
    live.start_scheduler(wait=False)
    live.start_worker()
    caller = warm_up(live, books, [small, small])
    email = live.workshop.accounts.caller().email
    books.note_baseline()
    administer(live, 'ALTER DATABASE "{name}" CONNECTION LIMIT 1')
    administer(
        live,
        """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = '{name}' AND application_name LIKE 'indicators-%' AND pid <> pg_backend_pid()""",
    )
    for _ in range(3):
        answers = ask_for_everything(books, caller, email, small)
        assert {what: answer.status for what, answer in answers.items()} == dict.fromkeys(answers, 503)
        slowest = max(answers.values(), key=lambda answer: answer.seconds)
        print(f"503 within {slowest.seconds:.2f} s ({slowest.request})")
        assert slowest.seconds <= REFUSED_WITHIN
        assert caller.get("/livez").status == 200
    administer(live, 'ALTER DATABASE "{name}" CONNECTION LIMIT -1')
    back = time.monotonic()
    eventually("requests are answered", lambda: caller.get("/api/v1/files").status == 200, within=5)
    warm_up(live, books, [small])
    print(f"a job was done {time.monotonic() - back:.1f} s after there were connections again")
    leave_out_readiness(live)
    books.check()


def leave_out_readiness(live: Live) -> None:
    """It answers 503 in a form of its own, made for who watches."""
    live.answers[:] = [answer for answer in live.answers if answer.request != "GET /readyz"]


def test_15_every_connection_of_a_web_process_is_busy(
    live: Live, books: Books, rng: random.Random, small: bytes
) -> None:
    live.start_web(wait=False, web_threads=40)
    live.start_scheduler(wait=False)
    live.start_worker()
    caller = warm_up(live, books, [small, small])
    books.note_baseline()
    with live.workshop.another_database().unit_of_work() as other:
        other.execute(text("LOCK TABLE file"))
        answers = live.workshop.together(lambda _: caller.get("/api/v1/files"), 30)
    assert {answer.status for answer in answers} == {503}
    busy = [answer for answer in answers if "busy" in answer.json["detail"]]
    print(f"{len(busy)} of 30 found no connection, and knew it within {max(a.seconds for a in busy):.2f} s")
    assert len(busy) >= 30 - 10 - 1
    eventually("requests are answered", lambda: caller.get("/api/v1/files").status == 200, within=5)
    books.check()


def test_16_someone_else_holds_a_lock(live: Live, books: Books, rng: random.Random, small: bytes) -> None:
    live.start_web(wait=False)
    live.start_scheduler(wait=False)
    live.start_worker()
    caller = warm_up(live, books, [small, small])
    books.note_baseline()
    with live.workshop.another_database().unit_of_work() as other:
        other.execute(text("LOCK TABLE file, job"))
        answers = [caller.get("/api/v1/files"), books.upload(caller, small), caller.get("/api/v1/jobs")]
        for answer in answers:
            print(f"{answer.request}: {answer.status} after {answer.seconds:.2f} s")
            assert answer.status == 503
            assert "Someone else is changing this" in answer.json["detail"]
        assert caller.get("/api/v1/auth/me").status == 200
    assert caller.get("/api/v1/files").status == 200
    warm_up(live, books, [small])
    books.check()
