"""The bytes and the text of a file, whatever it is packed in and however it is encoded."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from src.engine.reading.archives import GZIP_MAGIC, ZIP_MAGICS, entries_of, open_gzip, open_zip
from src.engine.values import OnProgress, Packing, ReadLimits

BLOCK = 1024 * 1024
BOMS = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


def _as_control(error: UnicodeError) -> tuple[str, int]:
    """The five bytes that CP1252 leaves undefined are the control characters of Latin-1."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("latin-1-control", _as_control)


def error_handling(encoding: str) -> str:
    """How bytes that the encoding does not know are decoded: CP1252 has no invalid bytes here."""
    return "latin-1-control" if encoding == "cp1252" else "strict"


def is_workbook(names: list[str]) -> bool:
    """A zip with these entries is an Office document, not an archive of somebody's files."""
    return "[Content_Types].xml" in names


def find_packing(path: Path, limits: ReadLimits) -> Packing:
    """What a file is packed in, by its first bytes; a workbook is a zip by itself and counts as unpacked."""
    with path.open("rb") as raw:
        start = raw.read(4)
    if start.startswith(GZIP_MAGIC):
        return "gzip"
    if start in ZIP_MAGICS:
        return "none" if is_workbook([entry.filename for entry in entries_of(path, limits)]) else "zip"
    return "none"


def open_content(path: Path, packing: Packing, limits: ReadLimits) -> BinaryIO:
    """The unpacked bytes, as a stream."""
    if packing == "gzip":
        return open_gzip(path, limits)
    if packing == "zip":
        return open_zip(path, limits)
    return path.open("rb")


@contextmanager
def open_head(path: Path, packing: Packing, encoding: str, limits: ReadLimits) -> Iterator[TextIO]:
    """The text for a look at the head: line ends untouched, byte order mark left out, bad bytes replaced."""
    handling = error_handling(encoding).replace("strict", "replace")
    with open_content(path, packing, limits) as content:
        skip_bom(content, encoding)
        with io.TextIOWrapper(content, encoding=encoding, errors=handling, newline="") as text:
            yield text


def open_utf8(path: Path, on_progress: OnProgress, unit: str) -> TextIO:
    """The text of a plain UTF-8 file, from behind its mark, telling how far it was read."""
    content = io.BufferedReader(_Watched(path, on_progress, unit), BLOCK)
    skip_bom(content, "utf-8")
    return io.TextIOWrapper(content, encoding="utf-8", newline="")


class _Watched(io.FileIO):
    """A file that tells how far it was read."""

    def __init__(self, path: Path, on_progress: OnProgress, unit: str) -> None:
        super().__init__(path)
        self._on_progress = on_progress
        self._unit = unit
        self._total = path.stat().st_size

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override] # as BufferedReader calls it
        size = super().readinto(buffer)
        self._on_progress(self.tell(), self._total, self._unit)
        return size


def skip_bom(content: BinaryIO, encoding: str) -> None:
    """Move past the byte order mark, if the stream stands at one."""
    mark = BOMS.get(encoding, b"")
    if isinstance(content, io.BufferedReader) and mark and content.peek(len(mark)).startswith(mark):
        content.read(len(mark))


def unpack(path: Path, packing: Packing, target: Path, limits: ReadLimits) -> Path:
    """A plain file with the unpacked content: the file itself, or a copy at `target`."""
    if packing == "none":
        return path
    with open_content(path, packing, limits) as content, target.open("wb") as out:
        while block := content.read(BLOCK):
            out.write(block)
    return target
