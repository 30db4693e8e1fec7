"""Files for tests of the engine, made on the spot."""

import csv
import gzip
import io
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from src.engine.values import Sandbox

Make = Callable[..., Path]

# The coverage of child processes is measured like everything else.
SANDBOX = Sandbox(
    seconds=60,
    environment={name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
)


def csv_bytes(rows: Iterable[Sequence[str]], encoding: str = "utf-8", **options: Any) -> bytes:
    """Rows as delimited text."""
    out = io.StringIO(newline="")
    csv.writer(out, **{"lineterminator": "\n", **options}).writerows(rows)
    return out.getvalue().encode(encoding)


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def parts_of(workbook: bytes) -> dict[str, bytes]:
    """The parts of a workbook, for tests that spoil one of them."""
    with zipfile.ZipFile(io.BytesIO(workbook)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def workbook_bytes(sheets: dict[str, list[list[Any]]]) -> bytes:
    """A workbook of plain cells; dates and times get a format of their kind."""
    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"default_date_format": "yyyy-mm-dd hh:mm:ss"}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for place, row in enumerate(rows):
                sheet.write_row(place, 0, row)
    return out.getvalue()


def with_error_cells(workbook: bytes, errors: dict[str, str], sheet: str = "sheet1") -> bytes:
    """The workbook with errors in these of its cells, as spreadsheet programs write them."""
    written = {cell: f' t="e"><f>1/0</f><v>{error}</v></c>' for cell, error in errors.items()}
    return with_cells(workbook, written, sheet)


def with_cells(workbook: bytes, written: dict[str, str], sheet: str = "sheet1") -> bytes:
    """The workbook with these of its cells written so, from behind their place on."""
    parts = parts_of(workbook)
    part = f"xl/worksheets/{sheet}.xml"
    for cell, xml in written.items():
        found = rf'<c r="{cell}"[^>]*?(?:/>|>.*?</c>)'.encode()
        parts[part], count = re.subn(found, f'<c r="{cell}"{xml}'.encode(), parts[part])
        assert count == 1
    return zipped(parts)


def parquet_bytes(query: str) -> bytes:
    """The result of a query as a Parquet file."""
    import tempfile

    import duckdb

    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        path = Path(folder, "made.parquet")
        connection.execute(f"copy ({query}) to '{path}' (format parquet)")
        return path.read_bytes()
