"""The same thing fifty times at the same moment: one effect, equal answers."""

import random
from collections import Counter
from uuid import UUID

from sqlalchemy import func, select, text

from src.models import File, Job
from src.queue import HintQueue
from tests.faults.books import Books, warm_up
from tests.faults.sending import Send, persistently
from tests.live import KINDS, Answer, Live, eventually

TWINS = 50


def count(live: Live, model: type) -> int:
    with live.workshop.database.unit_of_work() as session:
        return session.scalars(select(func.count()).select_from(model)).one()


def test_22_the_same_upload_and_the_same_start_of_a_job(
    live: Live, books: Books, rng: random.Random, small: bytes
) -> None:
    live.start_web(wait=False, web_processes=2)
    live.start_scheduler(wait=False)
    live.start_worker()
    caller = warm_up(live, books, [small, small])
    books.note_baseline()
    files, jobs = count(live, File), count(live, Job)
    upload = Send(caller, "/api/v1/files?filename=twins.csv", small, f"key {rng.random()}")
    answers = live.workshop.together(lambda _: persistently(upload), TWINS)
    assert_one_answer(answers, 201)
    file_id = answers[0][0].json["id"]
    books.uploads[file_id] = answers[0][0].json["sha256"]
    assert count(live, File) == files + 1
    start = Send(caller, f"/api/v1/files/{file_id}/profile", b"", f"key {rng.random()}")
    answers = live.workshop.together(lambda _: persistently(start), TWINS)
    assert_one_answer(answers, 202)
    assert count(live, Job) == jobs + 1
    books.check()


def assert_one_answer(answers: list[tuple[Answer, int]], status: int) -> None:
    assert {answer.status for answer, _ in answers} == {status}
    assert all(answer.json == answers[0][0].json for answer, _ in answers)
    assert len({answer.headers["location"] for answer, _ in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer, _ in answers) == 1
    print(f"50 equal answers; tries that had to be repeated: {sum(tries for _, tries in answers)}")


def test_22_the_same_hint(live: Live, books: Books, rng: random.Random, small: bytes) -> None:
    live.start_web(wait=False)
    live.start_scheduler(wait=False)
    live.start_worker(kinds=KINDS)
    warm_up(live, books, [small, small])
    books.note_baseline()
    job = live.workshop.jobs.add(kind="wait", args={"seconds": rng.uniform(0.0, 2.0)})
    hints = HintQueue(live.redis_url)
    for _ in range(TWINS):
        assert hints.publish(job.id)
    live.await_state(job.id, "done", within=30)
    eventually("every hint is taken", lambda: hints.depth() == 0, within=30)
    assert runs_of(live) == {job.id: 1}
    books.check()


def runs_of(live: Live) -> dict[UUID, int]:
    with live.workshop.database.unit_of_work() as session:
        return dict(Counter(session.scalars(text("SELECT job_id FROM runs"))))
