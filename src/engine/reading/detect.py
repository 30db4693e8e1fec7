"""Detection: what an uploaded file is and how it is read, from its head."""

import codecs
import io
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

from src.engine.reading.archives import BadArchive
from src.engine.reading.columns import guess_columns, names_of
from src.engine.reading.content import BOMS, error_handling, find_packing, open_content
from src.engine.reading.dialects import Dialect, find_dialect, has_header
from src.engine.reading.encodings import encoding_of_head, encoding_of_mark
from src.engine.reading.formats import EmptyFile, media_type, recognise, recognise_text
from src.engine.reading.heads import head_of_table
from src.engine.reading.jsonlines import column_names, read_objects
from src.engine.reading.records import GiantLine, check_width, read_records
from src.engine.reading.workbooks import refuse_ole
from src.engine.values import Detected, Format, Packing, ReadLimits, Turn

__all__ = ["Detected", "ReadLimits", "detect"]

DEFAULT_LIMITS = ReadLimits()


def detect(
    path: Path,
    name: str,
    limits: ReadLimits = DEFAULT_LIMITS,
    *,
    work_dir: Path | None = None,
    in_turn: Turn = nullcontext,
) -> Detected:
    """How to read the file at `path`, or the reason why it can't be; `name` is the one it was sent with."""
    packing = find_packing(path, limits)
    with open_content(path, packing, limits) as content:
        head = content.read(limits.head_bytes + 1)
    kind = recognise(head)
    if kind == "ole":
        raise refuse_ole(head, path)
    if kind == "gzip":
        raise BadArchive("An archive lies inside the archive. Pack the file itself, once.")
    if kind != "text":
        return _detect_table(path, packing, kind, limits, work_dir, in_turn)
    return _detect_text(head, name, packing, limits)


def _detect_table(
    path: Path, packing: Packing, form: Format, limits: ReadLimits, work_dir: Path | None, in_turn: Turn
) -> Detected:
    """A workbook's first sheet with content, or a Parquet file."""
    head = head_of_table(path, packing, form, None, limits.head_rows, limits, work_dir, in_turn)
    if form == "xlsx" and not head.rows:
        raise EmptyFile("The workbook has no cell with content. Send one with at least a header.")
    titled = form == "parquet" or has_header(head.rows)
    header = head.names or (head.rows[0] if titled else [])
    names = names_of(len(header or head.rows[0]), header)
    check_width(len(names), limits.columns)
    columns, decimal = guess_columns(names, head.rows[1:] if form == "xlsx" and titled else head.rows)
    return Detected(
        format=form,
        packing=packing,
        media_type=media_type(form, packing),
        columns=columns,
        has_header=titled,
        decimal=decimal,
        sheets=tuple(head.sheets),
        sheet=head.sheet,
    )


def _detect_text(head: bytes, name: str, packing: Packing, limits: ReadLimits) -> Detected:
    is_whole = len(head) <= limits.head_bytes
    mark = encoding_of_mark(head)
    encoding = mark or encoding_of_head(head, is_whole=is_whole)
    text = _decode(head[: limits.head_bytes], encoding, is_whole=is_whole)
    if recognise_text(text) == "jsonl":
        return _detect_json_lines(text, packing, encoding, mark is not None, limits)
    dialect = find_dialect(text)
    rows = _sample(text, dialect, limits, is_whole=is_whole)
    titled = has_header(rows)
    names = names_of(len(rows[0]), rows[0] if titled else ())
    columns, decimal = guess_columns(names, rows[1:] if titled else rows, dialect.delimiter)
    form = _form(dialect, name)
    return Detected(
        format=form,
        packing=packing,
        media_type=media_type(form, packing),
        columns=columns,
        has_header=titled,
        encoding=encoding,
        has_bom=mark is not None,
        delimiter=dialect.delimiter,
        quote=dialect.quote,
        decimal=decimal,
        line_end=dialect.line_end,
    )


def _detect_json_lines(
    text: str, packing: Packing, encoding: str, has_bom: bool, limits: ReadLimits
) -> Detected:
    objects = _objects(text, limits, is_strict=False) or _objects(text, limits)  # which says what is wrong
    names = column_names(objects, limits.columns)
    if not names:
        raise EmptyFile("Its lines have no member with a name. Send one with columns.")
    rows = [[values.get(name, "") for name in names] for _, values in objects]
    columns, decimal = guess_columns(names, rows)
    return Detected(
        format="jsonl",
        packing=packing,
        media_type=media_type("jsonl", packing),
        columns=columns,
        encoding=encoding,
        has_bom=has_bom,
        decimal=decimal,
    )


def _objects(
    text: str, limits: ReadLimits, *, is_strict: bool = True
) -> Sequence[tuple[int, dict[str, str]]]:
    source = io.StringIO(text, newline="")
    return list(islice(read_objects(source, limits.record_bytes, is_strict=is_strict), limits.head_rows))


def _decode(head: bytes, encoding: str, *, is_whole: bool) -> str:
    """The whole lines of the head, without the byte order mark."""
    handling = error_handling(encoding).replace("strict", "replace")
    decoder = codecs.getincrementaldecoder(encoding)(handling)
    text = decoder.decode(head.removeprefix(BOMS.get(encoding, b"")), final=is_whole)
    if is_whole:
        return text
    end = max(text.rfind("\n"), text.rfind("\r")) + 1
    if not end:
        raise GiantLine(f"There is no line end in the first {len(head) // 1024} KiB. Is this a table?")
    return text[:end]


def _sample(text: str, dialect: Dialect, limits: ReadLimits, *, is_whole: bool) -> Sequence[Sequence[str]]:
    """The rows of the head; the last one may be cut in a quoted cell, so it counts only in a whole file."""
    source = io.StringIO(text, newline="")
    records = read_records(source, dialect.delimiter, dialect.quote, limits.record_bytes, is_strict=False)
    rows = [row for _, row in islice(records, limits.head_rows) if row]
    if not rows:
        raise EmptyFile("The file names its delimiter, and has no rows. Send one with at least a header.")
    check_width(max(map(len, rows)), limits.columns)
    return rows if is_whole or len(rows) < 2 else rows[:-1]


def _form(dialect: Dialect, name: str) -> Format:
    """Tabs make it tsv, other delimiters csv; a single column is what the name says, else txt."""
    if dialect.delimiter is None:
        return "csv" if ".csv" in name.lower() else "txt"
    return "tsv" if dialect.delimiter == "\t" else "csv"
