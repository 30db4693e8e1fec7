"""The profile of a whole file: exact facts per column, made in a child process within bounded memory."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.engine.duck import RESERVED, connect, memory_of
from src.engine.facts import profile_column
from src.engine.grouping import stored_columns
from src.engine.reading.kinds import Kind, column, decimal_mark
from src.engine.reading.relation import Relation
from src.engine.reading.tables import read_table
from src.engine.sandbox import Stopped, ignore_progress, never, run_in_child
from src.engine.values import (
    GIB,
    MIB,
    ColumnProfile,
    Detected,
    OnProgress,
    Profile,
    ReadLimits,
    Sandbox,
    ShouldStop,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Profile", "Stopped", "profile"]

SECONDS = 3600.0
MOST_BY_ONE_CHILD = 8 * MIB
DEFAULT_LIMITS = ReadLimits()


def profile(
    path: Path,
    detected: Detected,
    *,
    work_dir: Path,
    memory_limit: int = GIB,
    on_progress: OnProgress = ignore_progress,
    should_stop: ShouldStop = never,
    seconds: float = SECONDS,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> Profile:
    """Exact facts about every column of the whole file. `Stopped` is raised once `should_stop` says so.

    One child converts a long file, another one looks at the columns, so that their memory does not add up.
    """
    deadline = time.monotonic() + seconds

    def call(function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        left = max(0.0, deadline - time.monotonic())
        sandbox = replace(limits.sandbox, memory=memory_limit, reserved=RESERVED, seconds=left)
        return run_in_child(
            function,
            arguments,
            sandbox,
            work_dir=work_dir,
            on_progress=on_progress,
            should_stop=should_stop,
        )

    with tempfile.TemporaryDirectory(prefix="columns-", dir=work_dir) as folder:
        file = {"path": str(path.resolve()), "detected": asdict(detected), "limits": asdict(limits)}
        file["target"] = str(Path(folder).resolve())
        if path.is_file() and path.stat().st_size <= MOST_BY_ONE_CHILD:
            return Profile.from_json(call("profile", {"file": file}))
        return Profile.from_json(call("profile", call("convert", file)))


def read_profile(
    arguments: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
) -> dict[str, Any]:
    """The child's part: the facts about columns that were converted before, or now of a `file`."""
    if "file" in arguments:
        arguments = read_table(arguments["file"], folder, sandbox, on_progress)
    relation, detected = Relation.from_json(arguments["relation"]), Detected.from_json(arguments["detected"])
    with connect(folder, [Path(file) for file in relation.files], sandbox) as connection:
        found = _profile_of(connection, relation, detected, memory_of(sandbox), on_progress)
    return asdict(found) | {"regular": arguments["regular"]}


def _profile_of(
    connection: "DuckDBPyConnection",
    relation: Relation,
    detected: Detected,
    memory: int,
    on_progress: OnProgress,
) -> Profile:
    """Column by column; those that could be read with either decimal mark follow what the whole file says."""
    names, decimal = relation.names, detected.decimal or "."
    profiles: list[ColumnProfile] = []
    kinds: list[tuple[Kind, ...]] = []
    stored = stored_columns(connection, relation)
    for place, name in enumerate(names):
        on_progress(place, len(names), "columns")
        facts, fits = profile_column(connection, stored[place], name, decimal, memory)
        profiles.append(facts)
        kinds.append(fits)
    mark = decimal_mark(kinds, detected.delimiter)
    columns = tuple(column(name, fits, mark) for name, fits in zip(names, kinds, strict=True))
    for place, read in enumerate(columns):
        if read.is_ambiguous and read.decimal and mark != decimal:
            profiles[place], _ = profile_column(connection, stored[place], read.name, mark, memory)
    on_progress(len(names), len(names), "columns")
    return Profile(
        detected=replace(detected, columns=columns, decimal=mark), rows=relation.rows, columns=tuple(profiles)
    )
