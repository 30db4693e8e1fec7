"""Rows kept in blocks and written as they are ordered: compared with what a naive reading of the file says."""

import itertools
import json
import os
import queue
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.domain.datasets import TRANSACTIONS
from src.engine.imports import emitting
from src.engine.imports.intake import read_spooled
from src.engine.imports.making import FreshIds
from src.engine.imports.repeats import Seen
from src.engine.imports.spooling import ROWS
from src.engine.imports.writing import (
    Known,
    Lead,
    RowPlan,
    TargetColumn,
    keep_rows,
    order_path,
    piece_path,
    unused_path,
    used_path,
)
from src.engine.reading.detect import detect
from src.engine.sandbox import ignore_progress
from tests.engine.importing import LIMITS, plan_of
from tests.engine.making import SANDBOX

FIELDS = [TRANSACTIONS.field(name) for name in ("transaction_id", "client_id", "currency")]
COLUMNS = (
    TargetColumn(name="transaction_id"),
    TargetColumn(name="client_id", type="bigint", code="unknown_client"),
    TargetColumn(name="currency"),
)
COUNT = ROWS + 25_000  # of rows: four blocks, the first of which are small
UNKNOWN, WRONG = "c13", "EURO"


@dataclass
class Came:
    rows: list[tuple[str, int, str]]
    faults: list[tuple[int, str, str, str]]  # line, code, value, detail
    unused: list[int]


def drained(pipe: int) -> tuple[threading.Thread, list[bytes]]:
    found: list[bytes] = []

    def drain() -> None:
        with os.fdopen(pipe, "rb") as file:
            found.append(file.read())

    thread = threading.Thread(target=drain)
    thread.start()
    return thread, found


def write(path: Path, folder: Path, there: dict[str, str]) -> Came:
    """Both children's parts in this process, with a database that knows names by their numbers."""
    plan = plan_of(detect(path, "a.csv", LIMITS), FIELDS, compared=TRANSACTIONS.compared)
    told = kept(path, plan.to_json(), folder)
    reading, writing = os.pipe()
    assert sum(block["rows"] for block in told) >= COUNT / 2
    fresh = {block["block"]: ids_with_a_gap(block["block"] * COUNT, block["rows"]) for block in told}
    for block in told:
        ids = [None if name == UNKNOWN else int(name[1:]) for name in of_array(block["names"]["1"])]
        unknown = {str(n): UNKNOWN for n, id_ in enumerate(ids) if id_ is None}
        lines = zip(map(int, of_array(block["lines"])), of_array(block["keys"]), strict=True)
        repeats = [(line, there[key]) for line, key in lines if key in there]
        known = Known(
            ids={"1": json.dumps(ids)},
            unknown={"1": json.dumps(unknown)},
            there=json.dumps(repeats),
            fresh=json.dumps(fresh[block["block"]]),
        )
        order_path(folder, block["block"]).write_bytes(known.to_json())
        os.write(writing, b"%d\n" % block["block"])
    os.write(writing, b"end\n")
    os.close(writing)
    came, pipe = os.pipe()
    thread, stream = drained(came)
    arguments = {
        "spool": str(folder),
        "load_plan": plan.to_json(),
        "plan": asdict(RowPlan(columns=COLUMNS, order=2, key=0, has_keys=True)),
        "faults": str(folder / "found.parquet"),
        "orders": reading,
        "import_id": "00" * 16,
        "pipe": pipe,
    }
    arguments = json.loads(json.dumps(arguments))
    answer = emitting.write_rows(arguments, folder, SANDBOX, ignore_progress)
    thread.join()
    faults = pq.read_table(folder / "found.parquet").to_pylist()
    found = [(row["line"], row["code"], row["value"], row["detail"]) for row in faults]
    words = [json.loads(line) for line in stream[0].splitlines()]
    assert words.count({}) == len(told)  # each block ends, also one without a row that is written
    pieces = [word for word in words if word]
    by_part = [(piece["part"], piece_path(folder, piece["number"]).read_bytes()) for piece in pieces]
    rows = [row for part, content in by_part if part is not None for row in written(content)]
    own = [int.from_bytes(id_) for part, content in by_part if part == 0 for *_, id_ in cells_of(content)]
    given = (range(first, first + count) for stretches in fresh.values() for first, count in stretches)
    assert own == sorted({*own} & {*itertools.chain(*given)})
    keys = [key for part, content in by_part if part is None for (key,) in cells_of(content)]
    assert sorted(keys) == sorted(key.encode() for key, *_ in rows)
    unused = of_ids(unused_path(folder, 1))
    assert (answer["rows"], answer["unused"]) == (len(rows), len(unused))
    assert set(of_ids(used_path(folder, 1))) == {client for _, client, _ in rows}
    return Came(rows, sorted(found), unused)


def ids_with_a_gap(first: int, rows: int) -> list[tuple[int, int]]:
    """As a sequence gives them of which somebody else has taken one meanwhile."""
    half = rows // 2
    return [(first, half), (first + half + 1, rows - half)]


def of_array(written: str) -> list[str]:
    """Of an array in SQL's notation, of texts without marks that mean something there."""
    return written[2:-2].split('","') if written != "{}" else []


def of_ids(path: Path) -> list[int]:
    return [int.from_bytes(id_) for (id_,) in cells_of(path.read_bytes())]


def kept(path: Path, plan: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    came, pipe = os.pipe()
    thread, stream = drained(came)
    never_waiting = os.open("/dev/zero", os.O_RDONLY)
    arguments = {
        "path": str(path),
        "plan": json.loads(json.dumps(plan)),
        "faults": str(folder / "faults.parquet"),
        "spool": str(folder),
        "key": 0,
        "refused": str(folder / "refused.copy"),
        "lead": never_waiting,
        "limits": asdict(LIMITS),
        "pipe": pipe,
    }
    read_spooled(arguments, folder, SANDBOX, ignore_progress)
    os.close(never_waiting)
    thread.join()
    return [json.loads(line) for line in stream[0].splitlines()]


def written(stream: bytes) -> list[tuple[str, int, str]]:
    """Of a binary COPY stream of a text, a bigint, a text, bytes and an id."""
    return [(key.decode(), int.from_bytes(id_), text.decode()) for key, id_, text, *_ in cells_of(stream)]


def cells_of(stream: bytes) -> list[list[bytes]]:
    rows, place = [], 19
    while (count := int.from_bytes(stream[place : place + 2], signed=True)) != -1:
        place += 2
        cells = []
        for _ in range(count):
            size = int.from_bytes(stream[place : place + 4])
            cells.append(stream[place + 4 : place + 4 + size])
            place += 4 + size
        rows.append(cells)
    return rows


def expected(cells: Sequence[tuple[str, str, str]], there: dict[str, str]) -> Came:
    """Row by row: unknown names first, then the first of a key counts, then what is in the table is not.

    What is refused is told as well that its key was written from a line above.
    """
    came, first, written = Came([], [], []), dict[str, int](), dict[str, int]()
    for line, (key, client, currency) in enumerate(cells, start=2):
        if client == UNKNOWN or currency == WRONG:
            if client == UNKNOWN and currency != WRONG:
                came.faults.append((line, "unknown_client", client, ""))
            if key in written:
                came.faults.append((line, "duplicate", key, f"It stands on line {written[key]}."))
        elif key in first:
            came.faults.append((line, "duplicate", key, f"It stands on line {first[key]}."))
        else:
            first[key] = line
            if key in there:
                came.faults.append((line, "already_there", key, there[key]))
            else:
                came.rows.append((key, int(client[1:]), currency))
                written[key] = line
    used = {id_ for _, id_, _ in came.rows}
    came.unused = sorted(
        {int(client[1:]) for _, client, currency in cells if client != UNKNOWN and currency != WRONG} - used
    )
    return came


@pytest.mark.parametrize("keys", [10**7, 3_000])
def test_rows_and_faults_are_those_of_a_naive_reading(tmp_path: Path, keys: int) -> None:
    """Of so many keys a dozen is suspected in vain, and written all the same."""
    rng = random.Random(keys)
    cells = [
        (
            f"t{rng.randrange(keys)}",
            f"c{min(int(rng.expovariate(0.002)), 9_999)}",
            rng.choice(("EUR", "BRL", WRONG)),
        )
        for _ in range(COUNT)
    ]
    there = {key: f"It is record {key}." for key, _, _ in rng.sample(cells, 50)}
    path = tmp_path / "a.csv"
    path.write_text("transaction_id,client_id,currency\n" + "".join(f"{','.join(row)}\n" for row in cells))
    came, wanted = write(path, tmp_path, there), expected(cells, there)
    assert (sorted(came.rows), came.faults) == (sorted(wanted.rows), sorted(wanted.faults))
    assert sorted(came.unused) == wanted.unused


def test_of_ids_only_those_are_kept_that_rows_still_wait_for() -> None:
    ids = FreshIds()
    for block in range(3):
        ids.learn([(100 * block, 6), (100 * block + 7, 4)])
        assert len(ids.take(5)) == 5
        ids.keep(block)
    assert ids.take(10).to_pylist() == [204, 205]


def test_reading_waits_until_writing_has_come_near(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("transaction_id,client_id,currency\n" + "".join(f"t{n},c1,EUR\n" for n in range(COUNT)))
    blocks: queue.SimpleQueue[int] = queue.SimpleQueue()
    with closing(Lead(1)) as lead, ThreadPoolExecutor(1) as threads:
        reading = threads.submit(
            keep_rows,
            path,
            plan_of(detect(path, "a.csv", LIMITS), FIELDS, compared=TRANSACTIONS.compared),
            folder=tmp_path,
            faults=tmp_path / "faults.parquet",
            refused=tmp_path / "refused.copy",
            key=None,
            lead=lead,
            on_block=lambda block: blocks.put(block.block),
            limits=LIMITS,
        )
        assert [blocks.get(timeout=60) for _ in range(2)] == [0, 1]
        with pytest.raises(queue.Empty):
            blocks.get(timeout=1)
        lead.give()
        assert blocks.get(timeout=60) == 2
        lead.give()
        assert (reading.result(timeout=60).rows_good, blocks.get(timeout=60)) == (COUNT, 3)
        lead.give()  # to nobody


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.none() | st.text(max_size=20), max_size=30), max_size=5))
def test_no_text_that_came_up_before_is_taken_for_a_new_one(batches: list[list[str | None]]) -> None:
    seen, before = Seen(bits=10), set[str]()
    for batch in batches:
        suspected = seen.again(pa.array(batch, pa.string()))
        for text, is_suspected in zip(batch, suspected.tolist(), strict=True):
            assert is_suspected or text not in before
            assert text is not None or not is_suspected
            before |= {text} if text is not None else set()


def test_few_texts_are_suspected_in_vain() -> None:
    texts = pa.array([f"A{number:09}" for number in range(200_000)])
    assert int(np.sum(Seen().again(texts))) < 200
