"""Loading a file: a child reads and judges it, and its good rows come out as a binary COPY stream.

The memory of both sides is bounded: the child waits while the caller deals with a block.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from src.engine.imports.plans import (
    Ambiguous,
    Loaded,
    LoadPlan,
    MappedColumn,
    Settled,
    staging_types,
)
from src.engine.sandbox import ignore_progress, never, run_in_child
from src.engine.values import MIB, Detected, OnProgress, ReadLimits, ShouldStop

__all__ = [
    "Ambiguous",
    "LoadPlan",
    "Loaded",
    "MappedColumn",
    "Settled",
    "collect_rows",
    "load",
    "settle",
    "staging_types",
    "unsettled",
]

SECONDS = 3600.0
DEFAULT_LIMITS = ReadLimits()


def load(
    path: Path,
    plan: LoadPlan,
    *,
    work_dir: Path,
    faults: Path,
    on_block: Callable[[bytes], object],
    refused: Path | None = None,
    most_rejects: int | None = None,
    memory_limit: int = 512 * MIB,
    on_progress: OnProgress = ignore_progress,
    should_stop: ShouldStop = never,
    seconds: float = SECONDS,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> Loaded:
    """Give `on_block` a COPY stream of the good rows; what is wrong with the others goes to `faults`, and
    what is to be compared of them to `refused`.

    Reading ends early once more than `most_rejects` rows are refused; `Stopped` comes if the caller says so.
    """
    arguments = {
        "path": str(path.resolve()),
        "plan": plan.to_json(),
        "faults": str(faults.resolve()),
        "refused": str(refused.resolve()) if refused else os.devnull,
        "most_rejects": most_rejects,
        "limits": asdict(limits),
    }
    return Loaded.from_json(
        run_in_child(
            "load",
            arguments,
            replace(limits.sandbox, memory=memory_limit, seconds=seconds),
            work_dir=work_dir,
            on_progress=on_progress,
            should_stop=should_stop,
            on_block=on_block,
        )
    )


def collect_rows(
    path: Path,
    detected: Detected,
    faults: Path | Sequence[Path],
    target: Path,
    *,
    work_dir: Path,
    encoding: str | None = None,
    marks: Mapping[int, str] | None = None,
    memory_limit: int = 512 * MIB,
    on_progress: OnProgress = ignore_progress,
    should_stop: ShouldStop = never,
    seconds: float = SECONDS,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> int:
    """Write the faults, sorted by line, with the cells of their rows as they stand in the file, to `target`.

    `encoding` and the decimal `marks` of columns are those that the file was loaded with. The answer is how
    many faults there are.
    """
    files = [faults] if isinstance(faults, Path) else faults
    arguments = {
        "path": str(path.resolve()),
        "detected": asdict(detected),
        "encoding": encoding,
        "marks": marks or {},
        "faults": [str(file.resolve()) for file in files],
        "target": str(target.resolve()),
        "limits": asdict(limits),
    }
    answer = run_in_child(
        "collect",
        arguments,
        replace(limits.sandbox, memory=memory_limit, seconds=seconds),
        work_dir=work_dir,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    return int(answer["faults"])


def unsettled(plan: LoadPlan) -> list[MappedColumn]:
    """The columns whose order of dates or decimal mark the head of the file did not settle."""
    return [column for column in plan.columns if _is_unsettled(plan, column)]


def _is_unsettled(plan: LoadPlan, column: MappedColumn) -> bool:
    """Where bad values made the column a text, nothing is known about the others."""
    found = plan.detected.columns[column.position]
    return column.field.type in ("date", "datetime", "decimal") and (
        found.is_ambiguous or found.type in ("text", "boolean")
    )


def settle(
    path: Path,
    plan: LoadPlan,
    *,
    work_dir: Path,
    names: Collection[str] | None = None,
    memory_limit: int = 512 * MIB,
    on_progress: OnProgress = ignore_progress,
    should_stop: ShouldStop = never,
    seconds: float = SECONDS,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> Settled:
    """Read these fields' columns, or the unsettled ones, as their values say, if they say anything."""
    columns = unsettled(plan)
    if names is not None:
        columns = [column for column in plan.columns if column.field.name in names]
    if not columns:
        return Settled(plan=plan, ambiguous=())
    arguments = {
        "path": str(path.resolve()),
        "plan": plan.to_json(),
        "positions": [column.position for column in columns],
        "limits": asdict(limits),
    }
    answer = run_in_child(
        "settle",
        arguments,
        replace(limits.sandbox, memory=memory_limit, seconds=seconds),
        work_dir=work_dir,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    return Settled.from_json(answer)
