"""Redis emptied, killed, full or silent: requests are answered as before, and no job is lost."""

import random
import threading
import time
from collections import Counter
from typing import cast
from uuid import UUID

from sqlalchemy import text

from tests.factories.accounts import PASSWORD
from tests.faults.books import Books, warm_up
from tests.live import KINDS, Caller, Live, eventually
from tests.proxy import Proxy

HINTED_AGAIN = 45.0
RECOVERED = 15.0


def profile(books: Books, caller: Caller, content: bytes) -> UUID:
    """Upload and ask for a profile: both must be answered as if nothing was wrong."""
    upload = books.upload(caller, content)
    assert upload.status == 201, upload
    job = caller.post(f"/api/v1/files/{upload.json['id']}/profile")
    assert job.status == 202, job
    return UUID(job.json["id"])


def runs_of(live: Live) -> Counter[UUID]:
    with live.workshop.database.unit_of_work() as session:
        return Counter(session.scalars(text("SELECT job_id FROM runs")))


def test_6_redis_is_emptied_with_two_hundred_jobs_queued(
    live: Live, books: Books, rng: random.Random, small: bytes
) -> None:
    live.start_web(wait=False)
    live.start_scheduler()
    owners = [live.workshop.jobs.owner() for _ in range(4)]
    jobs = [live.workshop.jobs.add(kind="wait", owner_id=rng.choice(owners)).id for _ in range(200)]
    eventually(
        "some hints wait in Redis", lambda: cast("int", live.redis.client.llen("jobs")) >= 8, within=20
    )
    lost = [job.id for job in live.jobs() if job.kind == "wait" and job.hinted_at is not None]
    assert lost
    live.redis.client.flushall()
    emptied = time.monotonic()
    live.start_worker(kinds=KINDS, wait=False)
    eventually(
        "what was lost is hinted at again", lambda: set(lost) <= set(runs_of(live)), within=HINTED_AGAIN
    )
    print(f"{len(lost)} lost hints were given again and taken within {time.monotonic() - emptied:.1f} s")
    eventually("all are done", lambda: all(live.job(job_id).state == "done" for job_id in jobs), within=120)
    print(f"all 200 done after {time.monotonic() - emptied:.1f} s")
    assert set(runs_of(live)) == set(jobs)
    assert set(runs_of(live).values()) == {1}
    warm_up(live, books, [small])
    books.check()


def test_7_redis_is_killed_for_ten_seconds_during_uploads_and_logins(
    live: Live, books: Books, rng: random.Random, small: bytes
) -> None:
    live.start_web(wait=False, rate_limit_login="8 per minute")
    live.start_scheduler(wait=False)
    live.start_worker()
    caller = warm_up(live, books, [small, small])
    books.note_baseline()
    email = live.workshop.accounts.caller().email
    asked, logins, end = [], [], time.monotonic() + 10

    def keep_asking() -> None:
        while time.monotonic() < end:
            asked.append(profile(books, caller, small + str(rng.random()).encode() + b",1,2026-01-01\n"))
            time.sleep(2)

    def keep_logging_in() -> None:
        while time.monotonic() < end:
            logins.append(caller.log_in(email, PASSWORD))
            time.sleep(0.5)

    live.redis.kill()
    threads = [threading.Thread(target=work) for work in (keep_asking, keep_logging_in)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    live.redis.start()
    back = time.monotonic()
    assert Counter(login.status for login in logins)[200] >= 1
    assert {login.status for login in logins} == {200, 429}, "the limit is kept without Redis"
    eventually(
        "all that was asked for is taken",
        lambda: all(live.job(one).attempts for one in asked),
        within=RECOVERED,
    )
    print(
        f"{len(asked)} jobs, asked for without Redis, were taken {time.monotonic() - back:.1f} s after its return"
    )
    books.check()


def test_8_redis_is_full(live: Live, books: Books, rng: random.Random, small: bytes) -> None:
    live.start_web(wait=False)
    live.start_scheduler(wait=False)
    live.start_worker()
    caller = warm_up(live, books, [small, small])
    books.note_baseline()
    live.redis.client.config_set("maxmemory", "1")
    asked = [profile(books, caller, small + b"%d,1,2026-01-01\n" % n) for n in range(4)]
    assert all(live.job(one).state == "queued" for one in asked)
    live.redis.client.config_set("maxmemory", "0")
    room = time.monotonic()
    eventually("all is taken", lambda: all(live.job(one).attempts for one in asked), within=HINTED_AGAIN)
    print(f"4 jobs were taken {time.monotonic() - room:.1f} s after there was room again")
    books.check()


def test_9_redis_says_nothing_any_more(live: Live, books: Books, rng: random.Random, small: bytes) -> None:
    """Its packets are dropped, and nobody is told."""
    with Proxy(("127.0.0.1", live.redis.port)) as proxy:
        live.redis_url = f"redis://127.0.0.1:{proxy.port}/0"
        live.start_web(wait=False)
        live.start_scheduler(wait=False)
        live.start_worker()
        caller = warm_up(live, books, [small, small])
        email = live.workshop.accounts.caller().email
        usual = slowest(books, caller, email, small, rounds=3)
        books.note_baseline()
        proxy.silence()
        silent = slowest(books, caller, email, small, rounds=4)
        proxy.resume()
        back = time.monotonic()
        for what in usual:
            print(f"{what}: {usual[what]:.2f} s, and {silent[what]:.2f} s with a silent Redis")
        assert all(silent[what] - usual[what] <= 1.0 for what in usual)
        job_id = profile(books, caller, small)
        eventually("it is taken", lambda: live.job(job_id).attempts, within=HINTED_AGAIN)
        print(f"a job was taken {time.monotonic() - back:.1f} s after Redis spoke again")
        books.check()


def slowest(books: Books, caller: Caller, email: str, content: bytes, rounds: int) -> dict[str, float]:
    """The longest time that each kind of request took."""
    seconds: dict[str, float] = {}
    for _ in range(rounds):
        upload = books.upload(caller, content)
        answers = {
            "upload": upload,
            "profile": caller.post(f"/api/v1/files/{upload.json['id']}/profile"),
            "list": caller.get("/api/v1/files"),
            "login": caller.log_in(email, PASSWORD),
        }
        for what, answer in answers.items():
            assert answer.status < 300, answer
            seconds[what] = max(seconds.get(what, 0.0), answer.seconds)
    return seconds
