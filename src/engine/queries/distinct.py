"""Which rows are the first, or the last, of their key: exactly, in memory that hardly grows with the file.

A row whose hash nobody else has is alone with its key. Rows that share one are compared with the row that
is kept, text by text; and only where two keys are behind one hash are rows told apart by their texts alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from src.engine.duck import THREADS
from src.engine.queries.bits import Bits
from src.engine.queries.buckets import Buckets, hashes_of
from src.engine.queries.statements import Keep, PartStatement

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from src.engine.queries.buckets import Bucket

Read = Callable[[str], "Iterator[pa.RecordBatch]"]  # what a statement selects, a batch at a time


def find_kept(part: PartStatement, keep: Keep, rows: int, folder: Path, read: Read) -> Bits:
    """The rows to keep; most have numbers below `rows`."""
    import pyarrow as pa

    kept, shared = Bits(rows), Bits(rows)
    with Buckets(folder / "hashes") as hashes, ThreadPoolExecutor(THREADS) as pool:
        for batch in _rows(part, [], read):
            kept.cover(batch["row"].to_numpy())
            shared.cover(batch["row"].to_numpy())
            hashes.add(batch)
        keep_one = partial(_keep_one_of_each_hash, keep=keep, kept=kept, shared=shared)
        list(pool.map(keep_one, hashes.close()))
    if not shared:
        return kept
    with Buckets(folder / "texts") as texts, ThreadPoolExecutor(THREADS) as pool:
        for batch in _rows(part, part.keys, read):
            texts.add(batch.filter(pa.array(shared.has(batch["row"].to_numpy()))))
        list(pool.map(partial(_keep_one_of_each_key, keep=keep, kept=kept), texts.close()))
    return kept


def _rows(part: PartStatement, keys: Sequence[str], read: Read) -> "Iterator[pa.RecordBatch]":
    """Rows with their numbers, their hashes, and these columns."""
    columns = ", ".join(["hash::ubigint as hash", *keys])
    if part.is_whole:
        return numbered(read(f"select {columns} from ({part.select})"))
    return read(f"select row, {columns} from ({part.select})")


def numbered(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    """All rows of a file, in its order, with their numbers."""
    import numpy as np
    import pyarrow as pa

    place = 0
    for batch in batches:
        numbers = pa.array(np.arange(place, place + batch.num_rows))
        place += batch.num_rows
        names = ["row", *batch.schema.names]
        yield pa.RecordBatch.from_arrays([numbers, *batch.columns], names)


def _keep_one_of_each_hash(bucket: "Bucket", keep: Keep, kept: Bits, shared: Bits) -> None:
    import numpy as np
    import pyarrow as pa

    tables = list(bucket())
    if not tables:
        return
    table = pa.concat_tables(tables)
    hashes, rows = hashes_of(table), _rows_of(table)
    order = np.argsort(hashes)
    hashes, rows = hashes[order], rows[order]
    starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
    counts = np.diff(starts, append=len(rows))
    choose = np.minimum if keep == "first" else np.maximum
    kept.add(choose.reduceat(rows, starts))
    shared.add(rows[np.repeat(counts > 1, counts)])


def _doubtful(bucket: "Bucket", kept: Bits) -> "NDArray[np.uint64]":
    """The hashes of rows that are not like the one that is kept of their hash."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    ones = [table.filter(pa.array(kept.has(_rows_of(table)))) for table in bucket()]
    one = pa.concat_tables(ones).combine_chunks()
    order = np.argsort(hashes_of(one))
    one = one.take(pa.array(order))
    known, found = hashes_of(one), []
    for table in bucket():
        hashes = hashes_of(table)
        places = _places(hashes, known)
        is_alike = known[places] == hashes
        for key in table.column_names[2:]:
            is_alike &= pc.equal(table[key], one[key].take(pa.array(places))).to_numpy()
        found.append(np.unique(hashes[~is_alike]))
    return np.unique(np.concatenate(found))


def _places(hashes: "NDArray[np.uint64]", known: "NDArray[np.uint64]") -> "NDArray[np.int64]":
    """Where among those that are known each stands. Asked for as they rise, which is ten times as fast."""
    import numpy as np

    order = np.argsort(hashes)
    places = np.empty(len(hashes), np.int64)
    places[order] = np.searchsorted(known, hashes[order]).clip(max=len(known) - 1)
    return places


def _keep_one_of_each_key(bucket: "Bucket", keep: Keep, kept: Bits) -> None:
    """Nothing changes where all rows are like the one that is kept of their hash."""
    import numpy as np
    import pyarrow as pa

    doubtful = _doubtful(bucket, kept)
    if not len(doubtful):
        return
    choose = min if keep == "first" else max
    found: dict[tuple[str, ...], int] = {}
    for table in bucket():
        some = table.filter(pa.array(np.isin(hashes_of(table), doubtful)))
        kept.remove(_rows_of(some))
        keys = zip(*(some[name].to_pylist() for name in some.column_names[2:]), strict=True)
        for row, key in zip(_rows_of(some).tolist(), keys, strict=True):
            found[key] = choose(row, found.get(key, row))
    kept.add(np.fromiter(found.values(), np.int64, len(found)))


def _rows_of(table: "pa.Table") -> "NDArray[np.int64]":
    rows: NDArray[np.int64] = table["row"].to_numpy()
    return rows
