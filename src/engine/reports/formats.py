"""A report in the form that someone wants: from its CSV, row by row, and always to the same bytes."""

import html
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from src.engine.export import xlsx_file
from src.engine.reports.sheet import Sheet
from src.engine.reports.written import Value, value_of

MOST_DIGITS = 15  # of a number in a workbook


def as_json(sheet: Sheet) -> Iterator[bytes]:
    """A list with an object for each row."""
    start = b"[\n"
    for line in as_jsonl(sheet):
        yield start + line.rstrip(b"\n")
        start = b",\n"
    yield b"[]\n" if start == b"[\n" else b"\n]\n"


def as_jsonl(sheet: Sheet) -> Iterator[bytes]:
    """An object for each row: numbers are numbers, with all their digits."""
    names = [json.dumps(name, ensure_ascii=False) for name in sheet.names]
    for row in sheet.values():
        members = (f"{name}:{_json(value)}" for name, value in zip(names, row, strict=True))
        yield ("{" + ",".join(members) + "}\n").encode()


def as_xlsx(sheet: Sheet) -> Iterator[bytes]:
    rows = (
        [
            _for_workbook(cell, column) if is_number else cell
            for cell, column, is_number in zip(row, sheet.columns, sheet.are_numbers, strict=True)
        ]
        for row in sheet.rows()
    )
    return xlsx_file(sheet.names, rows)


def as_csv(sheet: Sheet) -> Iterator[bytes]:
    with sheet.path.open("rb") as content:
        while block := content.read(1 << 20):
            yield block


def as_parquet(sheet: Sheet) -> Iterator[bytes]:
    from src.engine.reports.columnar import as_parquet as made

    yield from made(sheet)


def as_html(sheet: Sheet) -> Iterator[bytes]:
    """A page that stands for itself, and prints well: the header on every sheet, totals at the end."""
    title = html.escape(sheet.title)
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in sheet.names)
    yield PAGE.replace("{title}", title).replace("{heads}", heads).encode()
    count = 0
    marks = [' class="n"' if is_number else "" for is_number in sheet.are_numbers]
    for row in sheet.rows():
        count += 1
        cells = "".join(f"<td{mark}>{html.escape(cell)}</td>" for mark, cell in zip(marks, row, strict=True))
        yield f"<tr>{cells}</tr>\n".encode()
    totals = "".join(f"<td{mark}>{total}</td>" for mark, total in zip(marks, sheet.totals(), strict=True))
    yield f"</tbody><tfoot><tr>{totals}</tr></tfoot></table><p>{count:,} rows</p></body></html>\n".encode()


def as_pdf(sheet: Sheet) -> Iterator[bytes]:
    from src.engine.reports.pdf import pdf_of

    yield pdf_of(sheet)


def _json(value: Value) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    return json.dumps(str(value) if isinstance(value, date) else value, ensure_ascii=False)


def _for_workbook(cell: str, column: Mapping[str, Any]) -> str | int | float | None:
    value = value_of(cell, column)
    if not isinstance(value, Decimal) or sum(map(str.isdigit, cell)) > MOST_DIGITS:
        return cell or None
    return int(value) if value == value.to_integral_value() else float(value)


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body{font:14px/1.4 system-ui,sans-serif;margin:2rem;color:#1a1a1a}
h1{font-size:1.4rem}
table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .6rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}
td{overflow-wrap:anywhere}
th{background:#f3f4f6}
.n{text-align:right;font-variant-numeric:tabular-nums}
tfoot td{font-weight:600;border-top:2px solid #555}
@page{margin:15mm;@bottom-right{content:counter(page) " / " counter(pages)}}
@media print{body{margin:0}tfoot{display:table-row-group}tr{break-inside:avoid}}
thead{display:table-header-group}
</style></head><body><h1>{title}</h1><table><thead><tr>{heads}</tr></thead><tbody>
"""
Writer = Callable[[Sheet], Iterator[bytes]]
WRITERS: Mapping[str, tuple[Writer, str]] = {
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "xlsx": (as_xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "json": (as_json, "application/json"),
    "jsonl": (as_jsonl, "application/x-ndjson"),
    "parquet": (as_parquet, "application/vnd.apache.parquet"),
    "html": (as_html, "text/html; charset=utf-8"),
    "pdf": (as_pdf, "application/pdf"),
}
