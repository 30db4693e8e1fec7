"""Lists: {data, next, prev} with keyset cursors, page numbers, ordering, and the same as CSV or XLSX."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

from flask import Response, json, request, stream_with_context
from marshmallow import Schema as MarshmallowSchema

from src.api.exports import note_export
from src.domain.errors import Invalid
from src.domain.paging import DEEPEST_OFFSET, MOST_PER_PAGE, Cursor, Page, PageQuery, TooDeep
from src.engine.export import csv_lines, xlsx_file
from src.wiring import Services, services

NOT_PLAIN = re.compile(r'[^ -~]|["\\?]')
BEHIND_THE_DEEPEST = DEEPEST_OFFSET + 1
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Fetch = Callable[[Services, PageQuery], Page[Any]]


def listing(args: dict[str, Any], row: MarshmallowSchema, fetch: Fetch, name: str) -> Response:
    """One page as JSON, or all pages as a file; `fetch` gets one page in a unit of work of its own."""
    query = _page_query(args)
    if args["format"] == "json":
        page = _fetched(query, fetch)
        return page_answer(row.dump(page.rows, many=True), page.next, page.prev)
    rows = _all_rows(query, row, fetch)
    columns = list(row.dump_fields)
    note_export("list", name, args["format"])
    if args["format"] == "csv":
        answer = Response(stream_with_context(csv_lines(columns, rows)), mimetype="text/csv")
    else:
        answer = Response(stream_with_context(xlsx_file(columns, rows)), mimetype=XLSX)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.{args["format"]}"'
    return answer


def _page_query(args: dict[str, Any]) -> PageQuery:
    cursor = Cursor.decode(args["cursor"]) if args.get("cursor") else None
    if cursor is not None and args.get("page"):
        raise Invalid("Give a cursor or a page number, not both.")
    return PageQuery(args["order_by"], args["per_page"], args.get("page"), cursor)


def page_answer(data: list[Any], next_: Cursor | int | None, prev: Cursor | int | None) -> Response:
    """Rows as they are shown, with links to the pages beside them in the body and the header."""
    links = {"next": _link(next_), "prev": _link(prev)}
    answer = Response(json.dumps({"data": data} | links), mimetype="application/json")
    header = ", ".join(f'<{url}>; rel="{name}"' for name, url in links.items() if url)
    if header:
        answer.headers["Link"] = header
    return answer


def _link(place: Cursor | int | None) -> str | None:
    """This request's own address, at another cursor or page."""
    if place is None:
        return None
    values = [(name, v) for name, v in request.args.items(multi=True) if name not in ("cursor", "page")]
    there = ("cursor", place.encode()) if isinstance(place, Cursor) else ("page", place)
    return f"{request.base_url}?{urlencode([*values, there])}"


def _all_rows(query: PageQuery, row: MarshmallowSchema, fetch: Fetch) -> Iterator[list[Any]]:
    """Every row behind the filters, page after page: the memory of one page, and no long transaction.

    The first page is read at once: what is wrong with the request has to be said before the answer begins.
    """
    query = PageQuery(query.order_by, MOST_PER_PAGE)
    first = _fetched(query, fetch)
    if isinstance(first.next, int) and _fetched(PageQuery(query.order_by, 1, BEHIND_THE_DEEPEST), fetch).rows:
        raise TooDeep(f"In this order, a file has at most {DEEPEST_OFFSET} rows; order it by id.")
    return _rows_from(first, query, row, fetch)


def _rows_from(
    page: Page[Any], query: PageQuery, row: MarshmallowSchema, fetch: Fetch
) -> Iterator[list[Any]]:
    while True:
        for item in row.dump(page.rows, many=True):
            yield list(item.values())
        if page.next is None:
            return
        page = _fetched(query.at(page.next), fetch)


def _fetched(query: PageQuery, fetch: Fetch) -> Page[Any]:
    with services() as s:
        return fetch(s, query)


def attachment(name: str) -> str:
    """RFC 6266: an ASCII name for old clients, the true one for the others."""
    ascii_name = NOT_PLAIN.sub("_", name)
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name)}"
