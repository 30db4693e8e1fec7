"""Which encoding a text is in: by its byte order mark, else by the lines that hold non-ASCII bytes.

If most of those lines are valid UTF-8, the text is UTF-8 and the others are damaged; else it is CP1252.
UTF-16 without a mark shows by its NUL bytes.
"""

import codecs
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from src.domain.errors import UnsupportedMedia
from src.engine.reading.content import BOMS, error_handling, skip_bom
from src.engine.values import MIB, BrokenFile, OnProgress

BLOCK = 4 * 1024 * 1024
LONGEST_LINE = 1024 * 1024
NO_TEXT = re.compile(r"[\0-\x08\x0b\x0e-\x19\x1c-\x1f]")
UTF32_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


class UnsupportedFile(UnsupportedMedia):
    slug = "unsupported-file"
    title = "This kind of file cannot be read"


def encoding_of_mark(head: bytes) -> str | None:
    """The encoding that a byte order mark names."""
    if head.startswith(UTF32_MARKS):
        raise UnsupportedFile("The text is UTF-32. Save it as UTF-8 and send it again.")
    return next((encoding for encoding, mark in BOMS.items() if head.startswith(mark)), None)


def utf16_without_mark(head: bytes) -> str | None:
    """The kind of UTF-16 that a text is: of most of its characters the same one of two bytes is NUL."""
    units = len(head) // 2
    for encoding, first in (("utf-16-le", 1), ("utf-16-be", 0)):
        nuls = head[first : 2 * units : 2].count(0)
        if nuls > max(1, units // 2) and _is_sound(head, encoding):
            return encoding
    return None


def _is_sound(head: bytes, encoding: str) -> bool:
    """Whether it is text up to its end, which may be cut in a character."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return NO_TEXT.search(text) is None


def encoding_of_head(head: bytes, *, is_whole: bool) -> str:
    """The same rule over the first bytes of a text; its last line may be incomplete."""
    if unmarked := utf16_without_mark(head):
        return unmarked
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=is_whole)
    except UnicodeDecodeError:
        return encoding_of_lines(head.splitlines()[: None if is_whole else -1])
    return "utf-8"


def encoding_of_lines(lines: Iterable[bytes]) -> str:
    """The rule for texts without a byte order mark."""
    balance = 0
    for line in lines:
        if not line.isascii():
            balance += 1 if _is_utf8(io.BytesIO(line)) else -1
    return "utf-8" if balance >= 0 else "cp1252"


def encoding_of_file(path: Path) -> tuple[str, bool]:
    """The same rule over a whole plain file, and whether it can be read as it is: it is sound UTF-8."""
    with path.open("rb") as raw:
        mark = encoding_of_mark(raw.read(4))
        if mark not in (None, "utf-8"):
            return str(mark), False
        raw.seek(0)
        if unmarked := utf16_without_mark(raw.read(MIB)):
            return unmarked, False
        raw.seek(0)
        if _is_utf8(raw):
            return "utf-8", True
        raw.seek(0)
        return mark or encoding_of_lines(iter(lambda: raw.readline(LONGEST_LINE), b"")), False


def recode(path: Path, encoding: str, target: Path, on_progress: OnProgress) -> Path:
    """Write the text as UTF-8 without a mark to `target`; a byte that does not fit is named by its line."""
    decoder = codecs.getincrementaldecoder(encoding)(error_handling(encoding))
    total, line, last = path.stat().st_size, 1, ""
    with path.open("rb") as raw, target.open("wb") as out:
        skip_bom(raw, encoding)
        while True:
            block = raw.read(BLOCK)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise _misencoded(error, encoding, line) from error
            out.write(text.encode())
            line += _line_ends(text) - (last == "\r" and text.startswith("\n"))
            last = text[-1:]
            on_progress(raw.tell(), total, "bytes")
            if not block:
                return target


def _misencoded(error: UnicodeDecodeError, encoding: str, line: int) -> BrokenFile:
    line += _line_ends(error.object[: error.start].decode(encoding, "replace"))
    return BrokenFile(
        f"Line {line} holds bytes that are not {encoding.upper()}. Save the file anew as UTF-8."
    )


def _line_ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _is_utf8(raw: BinaryIO) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block := raw.read(BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
