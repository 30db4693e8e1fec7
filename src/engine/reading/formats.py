"""What a file is, by its first bytes and its content, whatever its name says."""

import io
import json
import re
from itertools import islice
from typing import Literal

from src.domain.errors import Invalid
from src.engine.reading.archives import GZIP_MAGIC, ZIP_MAGICS
from src.engine.reading.encodings import UnsupportedFile, encoding_of_mark, utf16_without_mark
from src.engine.values import Format, Packing

PARQUET_MAGIC = b"PAR1"
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
FOREIGN_MAGICS = {
    b"%PDF-": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"\x7fELF": "a program",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"{\\rtf": "an RTF document",
}
ACCEPTED = "Send CSV, TSV, TXT, XLSX, JSON lines or Parquet, plain or as .gz or .zip."
MARKUP = re.compile(r"\s*<(!doctype|html|head|body|\?xml|svg|script|table|!--)", re.IGNORECASE)
JSON_DOCUMENT = re.compile(r"\s*(\{\s*[\"}]|\[\s*[\[{\"\]]|[\[{]\s*$)", re.MULTILINE)
JUDGED_LINES = 100
CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x1a\x1b"))
MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
PACKED_TYPES: dict[Packing, str] = {"gzip": "application/gzip", "zip": "application/zip"}


class EmptyFile(Invalid):
    slug = "empty-file"
    title = "The file is empty"


def media_type(form: Format, packing: Packing) -> str:
    """The media type of a file as it was sent."""
    return PACKED_TYPES.get(packing) or MEDIA_TYPES[form]


def recognise(head: bytes) -> Literal["xlsx", "parquet", "ole", "gzip", "text"]:
    """What the first bytes of unpacked content say; content that can't be read is refused by its name."""
    if not head:
        raise EmptyFile("The file has no content. Send a file with at least a header.")
    if head.startswith(ZIP_MAGICS):
        return "xlsx"
    if head.startswith(PARQUET_MAGIC):
        return "parquet"
    if head.startswith(OLE_MAGIC):
        return "ole"
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    for magic, what in FOREIGN_MAGICS.items():
        if head.startswith(magic):
            raise UnsupportedFile(f"This is {what}. {ACCEPTED}")
    _refuse_binary(head)
    return "text"


def recognise_text(text: str) -> Literal["jsonl", "delimited"]:
    """What a decoded head is; documents that are no tables are refused."""
    if _is_much(text.count("\0"), len(text)):
        raise UnsupportedFile(f"This is not a text file: it holds NUL characters. {ACCEPTED}")
    if not text.strip():
        raise EmptyFile("The file holds nothing but blank lines. Send a file with at least a header.")
    if MARKUP.match(text):
        raise UnsupportedFile(f"This is a web page or an XML document. {ACCEPTED}")
    if _are_json_lines(text):
        return "jsonl"
    if JSON_DOCUMENT.match(text):
        raise UnsupportedFile("This is a JSON document, not JSON lines. Send one JSON object per line.")
    return "delimited"


def _are_json_lines(text: str) -> bool:
    """The first line is an object, or a broken one and most of the next ones are: a document has few such."""
    text = text.lstrip()
    if not text.startswith(("{", "[")):
        return False
    lines = [line for line in islice(io.StringIO(text, newline=""), JUDGED_LINES) if not line.isspace()]
    return _is_object(lines[0]) or 2 * sum(map(_is_object, lines)) > len(lines)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _refuse_binary(head: bytes) -> None:
    if encoding_of_mark(head) in ("utf-16-le", "utf-16-be") or utf16_without_mark(head):
        return
    if _is_much(len(head) - len(head.translate(None, CONTROLS)), len(head)):
        raise UnsupportedFile(f"This is not a text file: it holds NUL or other control bytes. {ACCEPTED}")


def _is_much(controls: int, size: int) -> bool:
    """A stray one is the fault of its row, and told there."""
    return controls > max(1, size // 100)
