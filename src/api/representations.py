"""The same figures as JSON, CSV, XLSX or a picture: by `?format=`, else by the Accept header."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, json, request
from werkzeug.datastructures import MIMEAccept

from src.api.exports import note_export
from src.api.lists import XLSX
from src.domain.errors import Invalid
from src.engine.charts import Chart, draw
from src.engine.export import csv_lines, xlsx_file
from src.engine.pictures import png, svg

TYPES = {
    "json": "application/json",
    "csv": "text/csv",
    "xlsx": XLSX,
    "svg": "image/svg+xml",
    "png": "image/png",
}
Rows = list[dict[str, Any]]


class NotAcceptable(Invalid):
    slug = "not-acceptable"
    title = "This cannot be had in that form"


def represented(
    wanted: str | None,
    body: Mapping[str, Any],
    chart: Callable[[], Chart],
    name: str,
    *,
    blank: Mapping[str, Any],
) -> Response:
    """An answer in the form that was asked for; `data` of the body is what tables and pictures show.

    A table without rows has the columns of a `blank` one.
    """
    form = wanted or _accepted()
    content: Any
    if form == "json":
        content = json.dumps(body)
    elif form in ("csv", "xlsx"):
        note_export("indicator", name, form)
        columns, rows = _table(body["data"], blank)
        content = csv_lines(columns, rows) if form == "csv" else xlsx_file(columns, rows)
    else:
        content = (svg if form == "svg" else png)(draw(chart()))
    answer = Response(content, mimetype=TYPES[form])
    answer.headers["Vary"] = "Accept"
    if form != "json":
        answer.headers["Content-Disposition"] = f'{_disposition(form)}; filename="{name}.{form}"'
    return answer


def _accepted() -> str:
    """Parameters such as `charset` choose nothing: there is one form of each type."""
    if not request.accept_mimetypes:
        return "json"
    wanted = MIMEAccept([(kind.partition(";")[0].rstrip(), q) for kind, q in request.accept_mimetypes])
    best = wanted.best_match(list(TYPES.values()))
    if best is None:
        raise NotAcceptable(f"There are {', '.join(TYPES.values())}.")
    return next(form for form, kind in TYPES.items() if kind == best)


def _disposition(form: str) -> str:
    return "inline" if form in ("svg", "png") else "attachment"


def _table(data: Rows, blank: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows; what has members gets a column for each of them."""
    flat = [dict(_flat(row)) for row in data]
    columns = list(dict.fromkeys(name for row in flat or [dict(_flat(blank))] for name in row))
    return columns, [[row.get(name) for name in columns] for row in flat]


def _flat(row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    members = []
    for name, value in row.items():
        if isinstance(value, dict):
            members += [(f"{name}_{inner}", content) for inner, content in value.items()]
        else:
            members.append((name, value))
    return members
