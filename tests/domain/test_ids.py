"""Ids sort by the time they were made."""

import time
from concurrent.futures import ThreadPoolExecutor

from src.domain.ids import uuid7


def test_ids_of_one_process_rise() -> None:
    ids = [uuid7() for _ in range(2_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_ids_made_in_parallel_are_distinct() -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: uuid7(), range(2_000)))
    assert len(set(ids)) == len(ids)


def test_an_id_is_a_version_7_uuid_that_tells_its_millisecond() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    assert made.version == 7
    assert before - 1 <= made.int >> 80 <= time.time_ns() // 1_000_000 + 1
