"""Spooled rows as a COPY stream for their table: a child makes it, with ids where the file has names."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from src.domain.datasets import Folds
from src.engine.sandbox import ignore_progress, never, run_in_child
from src.engine.values import MIB, OnProgress, ReadLimits, ShouldStop

# Memory that is free goes back to the system; what it would keep is a third of all it has.
GIVES_BACK = {"MALLOC_TRIM_THRESHOLD_": str(8 * MIB)}


@dataclass(frozen=True, kw_only=True)
class TargetColumn:
    """A column of the table, the place of its values in the spool, and how they become what is written."""

    name: str
    place: int
    default: str | None = None
    ids: str | None = None  # the file with the id of each name
    type: str = "bigint"  # of such an id


@dataclass(frozen=True, kw_only=True)
class RowPlan:
    """How spooled rows become rows of a table; `order` is the place of the column that sorts them."""

    columns: tuple[TargetColumn, ...]
    order: int | None = None
    folds: Folds | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        columns = tuple(TargetColumn(**column) for column in data["columns"])
        return cls(columns=columns, order=data["order"], folds=data["folds"] and Folds(**data["folds"]))


def write_rows(
    spool: Path,
    plan: RowPlan,
    *,
    left_out: Path,
    folded: Path,
    rows: int,
    import_id: UUID,
    on_block: Callable[[bytes], object],
    work_dir: Path,
    on_progress: OnProgress = ignore_progress,
    should_stop: ShouldStop = never,
    seconds: float = 3600.0,
    limits: ReadLimits,
) -> None:
    """Give `on_block` the stream, without the lines that are left out.

    What is counted of them is written to the folder `folded`, if the plan says so.
    """
    arguments = {
        "spool": str(spool.resolve()),
        "plan": asdict(plan),
        "left_out": str(left_out.resolve()),
        "folded": str(folded.resolve()),
        "rows": rows,
        "import_id": import_id.hex,
        "limits": asdict(limits),
    }
    run_in_child(
        "write",
        arguments,
        replace(limits.sandbox, memory=512 * MIB, seconds=seconds, environment=GIVES_BACK),
        work_dir=work_dir,
        on_progress=on_progress,
        should_stop=should_stop,
        on_block=on_block,
    )
