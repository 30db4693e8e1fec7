"""One row of each key, whatever its hash is worth and however little fits into memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.engine.queries import buckets
from src.engine.queries.bits import Bits
from src.engine.queries.distinct import Read, find_kept
from src.engine.queries.statements import Keep, PartStatement

Row = tuple[int, int, str, str]  # its number, the hash of its key, and the key
NAMES = ("row", "hash", "key_0", "key_1")
HASHES = st.sampled_from([0, 1, 2**63, 2**64 - 1])
TEXTS = st.sampled_from(["", "a", "b", "a\0"])


def reading(rows: Sequence[Row], at_once: int) -> Read:
    """What an engine would select of these rows, some at a time."""

    def read(select: str) -> Iterator[pa.RecordBatch]:
        names = [name for name in NAMES if name in select.partition(" from ")[0]]
        for first in range(0, len(rows), at_once):
            columns = dict(zip(NAMES, zip(*rows[first : first + at_once], strict=True), strict=True))
            types = {"row": pa.int64(), "hash": pa.uint64()}
            arrays = [pa.array(columns[name], types.get(name, pa.string())) for name in names]
            yield pa.RecordBatch.from_arrays(arrays, names)

    return read


def part(keep: Keep, *, is_whole: bool) -> PartStatement:
    return PartStatement("part", "rows", "input", False, None, keep, ["key_0", "key_1"], is_whole)


def kept(rows: Sequence[Row], keep: Keep, folder: Path, *, is_whole: bool = False) -> list[int]:
    found = find_kept(part(keep, is_whole=is_whole), keep, 1, folder, reading(rows, 7))
    return [row for row, *_ in rows if found.has(np.array([row]))[0]]


def expected(rows: Sequence[Row], keep: Keep) -> list[int]:
    numbers: dict[tuple[str, str], int] = {}
    for row, _, one, other in rows:
        if keep == "last" or (one, other) not in numbers:
            numbers[one, other] = row
    return sorted(numbers.values())


@pytest.fixture(scope="module", params=[(1 << 20, 1 << 20), (60, 100)], ids=["in memory", "on disk"])
def bounds(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buckets, "MOST_HELD", request.param[0])
        patch.setattr(buckets, "MOST_AT_ONCE", request.param[1])
        yield


@pytest.mark.usefixtures("bounds")
@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(HASHES, TEXTS, TEXTS), max_size=40), st.sampled_from(["first", "last"]), st.booleans()
)
def test_one_row_of_each_key_is_kept(
    tmp_path_factory: pytest.TempPathFactory,
    found: list[tuple[int, str, str]],
    keep: Keep,
    is_whole: bool,  # hypothesis fills in places
) -> None:
    """Equal keys have equal hashes; different keys may."""
    hashes: dict[tuple[str, str], int] = {}
    step = 1 if is_whole else 3
    rows = [
        (place * step, hashes.setdefault((one, other), hash_), one, other)
        for place, (hash_, one, other) in enumerate(found)
    ]
    folder = tmp_path_factory.mktemp("distinct")
    assert kept(rows, keep, folder, is_whole=is_whole) == expected(rows, keep)
    assert not list(folder.iterdir())


def test_rows_may_come_in_any_order(tmp_path: Path) -> None:
    rows: list[Row] = [(9, 5, "x", ""), (0, 5, "y", ""), (4, 5, "x", ""), (2, 5, "y", "")]
    found = find_kept(part("first", is_whole=False), "first", 10, tmp_path, reading(rows, 1))
    assert [row for row in range(10) if found.has(np.array([row]))[0]] == [0, 4]


def test_bits_are_those_of_the_engine() -> None:
    bits = Bits(3)
    assert not bits
    bits.add(np.array([0, 9, 40]))
    bits.remove(np.array([9]))
    assert bits.to_bytes()[:6] == b"\x80\0\0\0\0\x80"
    assert bits
