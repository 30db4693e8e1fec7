"""DuckDB behind a lock: it reads and writes the paths that it is given, and nothing else, within bounds."""

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from src.engine.values import GIB, MIB, BrokenFile, Sandbox

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

THREADS = 2
RESERVED = 4 * GIB  # of addresses, for a child with DuckDB: it keeps those of memory that it gave back
NO_MEMORY = "Out of Memory Error"
NO_ROOM = ("No space left", "File too large", "max_temp_directory_size")
MEMORY_SHARE = 0.4  # of the child's memory; the rest is for Python, libraries and what DuckDB does not count


def memory_of(sandbox: Sandbox) -> int:
    """How much of a child's memory DuckDB has; what has no room there goes to disk."""
    return int(sandbox.memory * MEMORY_SHARE)


@contextmanager
def connect(
    folder: Path,
    sources: Sequence[Path],
    sandbox: Sandbox,
    target: Path | None = None,
    *,
    in_order: bool = False,
    more: "Mapping[str, object] | None" = None,
) -> "Iterator[DuckDBPyConnection]":
    """A connection that spills into `folder`, reads `sources`, writes to `target`; its errors become ours."""
    with sessions(1, folder, sources, sandbox, target, in_order=in_order, more=more) as (connection,):
        yield connection


@contextmanager
def sessions(
    count: int,
    folder: Path,
    sources: Sequence[Path],
    sandbox: Sandbox,
    target: Path | None = None,
    *,
    in_order: bool = False,
    more: "Mapping[str, object] | None" = None,
) -> "Iterator[list[DuckDBPyConnection]]":
    """Several that share all: each can be asked by a thread of its own."""
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory_of(sandbox) // MIB}MiB",
        "threads": THREADS,
        "temp_directory": str(folder / "spill"),
        "max_temp_directory_size": f"{sandbox.disk // MIB}MiB",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "allow_persistent_secrets": "false",
        "preserve_insertion_order": in_order,
    }
    try:
        with duckdb.connect(":memory:", config=settings) as connection:
            every = [connection, *(connection.cursor() for _ in range(count - 1))]
            for session in every:  # some of the settings are a session's own
                for name, value in (more or {}).items():
                    session.execute(f"set {name} = {quoted(value)}")
            _lock(connection, [folder, target or folder], sources)
            yield every
    except (duckdb.OutOfMemoryException, duckdb.IOException, OSError) as error:
        shortage = _shortage(str(error))
        if shortage is None:
            raise
        raise shortage from error


def _shortage(words: str) -> Exception | None:
    """What an error says there was too little of. Those that come through Arrow have nothing but words."""
    if NO_MEMORY in words:
        return MemoryError(words)
    if any(sign in words for sign in NO_ROOM):
        return OSError(errno.ENOSPC, "no room for temporary files")
    return None


@contextmanager
def refusing_damage() -> Iterator[None]:
    """Around the reading of a file that only DuckDB can read: what it complains of is the file's fault."""
    import duckdb

    try:
        yield
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException):
        raise  # our own mistake, not the file's
    except duckdb.Error as error:
        raise BrokenFile("The file is damaged, cut short, or written in an unknown way.") from error


def batches_of(connection: "DuckDBPyConnection", query: str, rows: int) -> "Iterator[pa.RecordBatch]":
    """What a query finds, so many rows at a time."""
    yield from cast("pa.RecordBatchReader", connection.sql(query).to_arrow_reader(rows))


def quoted(text: object) -> str:
    """An SQL literal of a text."""
    return "'" + str(text).replace("'", "''") + "'"


def _lock(connection: "DuckDBPyConnection", folders: Sequence[Path], sources: Sequence[Path]) -> None:
    """The order matters: paths while access is still allowed, access off, and the lock last."""
    connection.execute("set TimeZone = 'UTC'")
    connection.execute(f"set allowed_directories = [{', '.join(quoted(f'{folder}/') for folder in folders)}]")
    connection.execute(f"set allowed_paths = [{', '.join(map(quoted, sources))}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
