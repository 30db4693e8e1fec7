"""Counts that are brought equal a naive count of the same rows, whatever they are and however they come."""

import random
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from src.domain.datasets import Folds
from src.engine.imports.folding import Folding
from tests.engine.streams import rows_in

FOLDS = Folds(
    place="polo_id", who="angel_id", whom="client_id", due="data_limite", done="data_de_atendimento"
)
SCHEMA = pa.schema(
    [
        ("polo_id", pa.int32()),
        ("angel_id", pa.int32()),
        ("client_id", pa.int64()),
        ("data_limite", pa.timestamp("us")),
        ("data_de_atendimento", pa.timestamp("us")),
    ]
)
Row = tuple[int, int, int, datetime, datetime | None]


def made(seed: int, count: int) -> list[Row]:
    """Around midnight, the ends of months and years, a leap day, 1970, and long ago."""
    chance = random.Random(seed)
    starts = [
        datetime(2023, 12, 31, 23, 59),
        datetime(2024, 2, 28),
        datetime(1969, 12, 31),
        datetime(1, 1, 2),
    ]
    rows: list[Row] = []
    for _ in range(count):
        due = chance.choice(starts) + timedelta(minutes=chance.randrange(60 * 24 * 70))
        done = chance.choice((None, due, due + timedelta(microseconds=1), due - timedelta(days=1)))
        rows.append(
            (
                chance.randrange(1, 4),
                chance.randrange(1, 5),
                chance.choice((1, 30, 31, 32, 61, 62, 5_000_000_000)),
                due,
                done,
            )
        )
    return rows


def naive(rows: list[Row]) -> tuple[dict[Any, list[int]], dict[str, dict[Any, list[int]]]]:
    """By (polo, angel, month) with its 93 places; and in all, by client, by angel, by polo and weekday."""
    months: dict[Any, Counter[int]] = {}
    totals: dict[str, dict[Any, Counter[int]]] = {"clients": {}, "angels": {}, "polos": {}}
    for polo, angel, client, due, done in rows:
        kind = 2 if done is None else 0 if done <= due else 1
        day = (done or due).date()
        for key in ((polo, angel), (0, angel), (polo, 0)):
            months.setdefault((*key, day.replace(day=1)), Counter())[day.day - 1 + 31 * kind] += 1
        keys: dict[str, tuple[int, ...]] = {
            "clients": (client,),
            "angels": (angel,),
            "polos": (polo, day.isoweekday()),
        }
        for name, own in keys.items():
            totals[name].setdefault(own, Counter())[kind] += 1
    return (
        {key: [count[place] for place in range(93)] for key, count in months.items()},
        {
            name: {key: [count[kind] for kind in range(3)] for key, count in counts.items()}
            for name, counts in totals.items()
        },
    )


@pytest.mark.parametrize(
    ("seed", "count", "at_a_time"), [(1, 0, 1), (2, 1, 1), (3, 500, 7), (4, 4_000, 4_000)]
)
def test_they_equal_a_naive_count(seed: int, count: int, at_a_time: int, tmp_path: Path) -> None:
    rows = made(seed, count)
    folding = Folding(FOLDS, tmp_path)
    for start in range(0, count, at_a_time):
        columns = zip(*rows[start : start + at_a_time], strict=True)
        folding.add(
            pa.record_batch(
                [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)],
                schema=SCHEMA,
            )
        )
    folding.finish()
    found = list(
        rows_in((tmp_path / "months").read_bytes(), ["int", "int", "date", "int", "int", "int", "ints"])
    )
    months, totals = naive(rows)
    assert {(polo, angel, month): days for polo, angel, month, *_, days in found} == months
    assert len(found) == len(months)
    for *_, on_time, late, is_open, days in found:
        assert [on_time, late, is_open] == [sum(days[:31]), sum(days[31:62]), sum(days[62:])]
    stretches = list(rows_in((tmp_path / "clients").read_bytes(), ["int", "ints"]))
    assert {
        (stretch * 31 + client,): counts[client::31]
        for stretch, counts in stretches
        for client in range(31)
        if any(counts[client::31])
    } == totals.pop("clients")
    assert len({stretch for stretch, _ in stretches}) == len(stretches)
    for name, keys in (("angels", 1), ("polos", 2)):
        brought = list(rows_in((tmp_path / name).read_bytes(), ["int"] * (keys + 3)))
        assert {row[:keys]: list(row[keys:]) for row in brought} == totals[name]
        assert len(brought) == len(totals[name])


def test_without_a_done_date_all_is_open(tmp_path: Path) -> None:
    folding = Folding(FOLDS, tmp_path)
    schema = pa.schema(list(SCHEMA)[:4])
    row = {"polo_id": 1, "angel_id": 2, "client_id": 3, "data_limite": datetime(2024, 2, 29)}
    folding.add(pa.RecordBatch.from_pylist([row], schema=schema))
    folding.finish()
    found = list(
        rows_in((tmp_path / "months").read_bytes(), ["int", "int", "date", "int", "int", "int", "ints"])
    )
    assert {row[2] for row in found} == {date(2024, 2, 1)}
    assert [row[3:6] for row in found] == [(0, 0, 1)] * 3
