"""Corrections: the table of rejects that came back, as rows of the first file, and what is refused still."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from src.engine.imports.plans import LoadPlan
from src.engine.sandbox import run_in_child
from src.engine.values import Column, Detected, OnProgress, ReadLimits, ShouldStop

SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class Work:
    """A folder for what is made on the way, bounds, and who watches."""

    folder: Path
    limits: ReadLimits
    on_progress: OnProgress
    should_stop: ShouldStop

    @property
    def rows(self) -> Path:
        """The rows to load."""
        return self.folder / "mended.parquet"

    @property
    def left(self) -> Path:
        """The rows that were not looked at anew, with their faults."""
        return self.folder / "left.parquet"

    @property
    def own(self) -> Path:
        """What the correction refused."""
        return self.folder / "own.parquet"

    @property
    def whole(self) -> Path:
        """What its import has refused, and not loaded since."""
        return self.folder / "whole.parquet"

    def run(self, function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return run_in_child(
            function,
            arguments,
            replace(self.limits.sandbox, seconds=SECONDS),
            work_dir=self.folder,
            on_progress=self.on_progress,
            should_stop=self.should_stop,
        )


@dataclass(frozen=True, kw_only=True)
class Mended:
    """How many rows are to be loaded, how many stay refused as they are, and how many are refused no more."""

    mended: int
    refused: int
    unknown: int


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A list of rejects in numbers: faults by column and code, and rows."""

    summary: dict[str, dict[str, int]]
    duplicate: int
    rejected: int


def mend(
    path: Path,
    detected: Detected,
    *,
    rejects: Path,
    headers: Sequence[str],
    marks: Mapping[int, str],
    is_encoding_given: bool,
    is_sheet_given: bool,
    work: Work,
) -> Mended:
    """Turn a table that came back into rows with the columns of the first file, whose names are `headers`."""
    arguments = {
        "path": str(path.resolve()),
        "detected": asdict(detected),
        "rejects": str(rejects.resolve()),
        "headers": list(headers),
        "marks": dict(marks),
        "is_encoding_given": is_encoding_given,
        "is_sheet_given": is_sheet_given,
        "rows": str(work.rows.resolve()),
        "left": str(work.left.resolve()),
        "limits": asdict(work.limits),
    }
    return Mended(**work.run("mend", arguments))


def merge(
    *, former: Path, collected: Path | None, plan: LoadPlan, first_plan: LoadPlan, work: Work
) -> tuple[Listed, Listed]:
    """The rejects of a correction, and those that are left of its import, in `work.own` and `work.whole`."""
    arguments = {
        "former": str(former.resolve()),
        "refused": [str(path.resolve()) for path in (collected, work.left) if path],
        "rows": str(work.rows.resolve()),
        "own": str(work.own.resolve()),
        "whole": str(work.whole.resolve()),
        "plan": plan.to_json(),
        "first_plan": first_plan.to_json(),
    }
    answer = work.run("merge", arguments)
    return Listed(**answer["own"]), Listed(**answer["whole"])


def mended_table(headers: Sequence[str]) -> Detected:
    """How the rows to load are read."""
    columns = tuple(Column(name=header) for header in headers)
    return Detected(format="mended", packing="none", media_type="", columns=columns)
