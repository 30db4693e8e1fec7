"""The first rows of workbooks and Parquet files, read in a child process: their readers are native code."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

from src.engine.reading.content import unpack
from src.engine.reading.parquet import head_of_parquet
from src.engine.reading.workbooks import check_workbook, sheet_names, sheet_rows
from src.engine.sandbox import run_in_child
from src.engine.values import Format, OnProgress, Packing, ReadLimits, Sandbox, Turn


@dataclass(frozen=True, kw_only=True)
class Head:
    """The first rows as texts. A sheet's header is its first row; a Parquet file has its names apart."""

    rows: list[list[str]]
    has_more: bool
    names: tuple[str, ...] = ()
    sheets: tuple[str, ...] = ()
    sheet: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "names": tuple(data["names"]), "sheets": tuple(data["sheets"])})


def head_of_table(
    path: Path,
    packing: Packing,
    form: Format,
    sheet: str | None,
    rows: int,
    limits: ReadLimits,
    work_dir: Path | None,
    in_turn: Turn = nullcontext,
) -> Head:
    """The head of a workbook's sheet (the first one with content, if none is named) or of a Parquet file."""
    arguments = {
        "path": str(path.resolve()),
        "packing": packing,
        "format": form,
        "sheet": sheet,
        "rows": rows,
        "limits": asdict(limits),
    }
    with in_turn():
        return Head.from_json(run_in_child("head", arguments, limits.sandbox, work_dir=work_dir))


def read_head(
    arguments: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
) -> dict[str, Any]:
    """The child's part."""
    limits, rows = ReadLimits.from_json(arguments["limits"]), arguments["rows"]
    on_progress(0, 1, "files")
    plain = unpack(Path(arguments["path"]), arguments["packing"], folder / "unpacked", limits)
    if arguments["format"] == "parquet":
        names, found, has_more = head_of_parquet(plain, rows, folder, limits, sandbox)
        return asdict(Head(rows=found, has_more=has_more, names=tuple(names)))
    has_errors = check_workbook(plain, limits)
    return asdict(_head_of_workbook(plain, arguments["sheet"], rows, has_errors=has_errors))


def _head_of_workbook(path: Path, wanted: str | None, rows: int, *, has_errors: bool) -> Head:
    """The head of the sheet that is wanted, else of the first one with content."""
    sheets = sheet_names(path)
    for name in [wanted] if wanted else sheets:
        found = [row for _, row in islice(sheet_rows(path, name, has_errors=has_errors), rows + 1)]
        if found:
            return Head(rows=found[:rows], has_more=len(found) > rows, sheets=tuple(sheets), sheet=name)
    return Head(rows=[], has_more=False, sheets=tuple(sheets), sheet=wanted)
