"""Safe unpacking of gzip and zip: streamed, checked against what is declared, counted because sizes lie."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from src.domain.errors import Invalid, TooLarge
from src.engine.values import MIB, BrokenFile, ReadLimits

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
BLOCK = 256 * 1024
DIRECTORY_BYTES = 4 * MIB
NO_BOMB_BELOW = MIB  # a small file may be as repetitive as it likes
RESOURCE_FORKS, FOLDER_VIEW = "__MACOSX/", ".DS_Store"


class ArchiveBomb(TooLarge):
    slug = "archive-bomb"
    title = "The file unpacks to more than is allowed"


class BadArchive(Invalid):
    slug = "bad-archive"
    title = "The archive must hold exactly one file"


class EncryptedFile(Invalid):
    slug = "encrypted-file"
    title = "The file is protected by a password"


class Meter:
    """Counts what comes out against what went in."""

    def __init__(self, largest: int, ratio: int) -> None:
        self.largest = largest
        self.ratio = ratio
        self.unpacked = 0
        self.packed = 0

    def count(self, unpacked: int, packed: int) -> None:
        """Add what came out, and what went in for it."""
        self.unpacked += unpacked
        self.packed += packed
        if self.unpacked > self.largest:
            raise ArchiveBomb(f"Unpacked, the file is larger than the {self.largest // MIB} MiB allowed.")
        if self.unpacked > NO_BOMB_BELOW and self.unpacked > self.ratio * self.packed:
            raise ArchiveBomb(f"The file unpacks to more than {self.ratio} times its packed size.")


class _Packed:
    """The packed bytes of one stream, block by block."""

    def __init__(self, raw: BinaryIO, length: int | None = None) -> None:
        self._raw = raw
        self._left = length

    def take(self) -> bytes:
        block = self._raw.read(BLOCK if self._left is None else min(BLOCK, self._left))
        if self._left is not None:
            self._left -= len(block)
        return block


class _Unpacking(io.RawIOBase):
    """The blocks of an unpacking generator as a readable file."""

    def __init__(self, blocks: Iterator[bytes], raw: BinaryIO) -> None:
        self._blocks = blocks
        self._raw = raw
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # BufferedReader passes these
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = memoryview(block)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DirectoryReader(io.FileIO):
    """`zipfile` reads a whole directory in one go; one that would fill the memory is refused here."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > DIRECTORY_BYTES:
            raise ArchiveBomb("The archive has far too many entries.")
        return super().read(size)


def open_gzip(path: Path, limits: ReadLimits) -> BinaryIO:
    """The unpacked content of a .gz file, of one member or several."""
    raw = path.open("rb")
    meter = Meter(limits.unpacked_bytes, limits.ratio)
    return io.BufferedReader(_Unpacking(_gunzip(_Packed(raw), meter), raw))


def open_entry(path: Path, entry: zipfile.ZipInfo, meter: Meter) -> BinaryIO:
    """The unpacked content of one entry; it must have the size and checksum that the directory declares."""
    raw = path.open("rb")
    raw.seek(max(0, entry.header_offset))  # a damaged directory may point to a place before the start
    header = raw.read(30)
    if len(header) < 30 or not header.startswith(ZIP_MAGICS[0]):
        raw.close()
        raise BrokenFile("The archive is damaged: an entry is not where the directory says. Pack it again.")
    raw.seek(sum(struct.unpack("<HH", header[26:30])), io.SEEK_CUR)
    return io.BufferedReader(_Unpacking(_unzip(_Packed(raw, entry.compress_size), entry, meter), raw))


def open_zip(path: Path, limits: ReadLimits) -> BinaryIO:
    """The unpacked content of the one file that a .zip holds."""
    return open_entry(path, single_entry(path, limits), Meter(limits.unpacked_bytes, limits.ratio))


def entries_of(path: Path, limits: ReadLimits) -> list[zipfile.ZipInfo]:
    """The directory of a zip, if it is small, readable, and free of passwords and rare methods."""
    try:
        with _DirectoryReader(path) as raw, zipfile.ZipFile(raw) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, struct.error) as error:
        raise BrokenFile(
            "The archive is damaged or cut short. Pack it again, or send it unpacked."
        ) from error
    if len(entries) > limits.archive_entries:
        raise ArchiveBomb(f"The archive has more than {limits.archive_entries} entries.")
    if any(entry.flag_bits & 0x1 for entry in entries):
        raise EncryptedFile("The archive needs a password. Pack the file without one and send it again.")
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
        raise BadArchive("The archive uses a rare way of packing. Pack the file as a plain .zip.")
    return entries


def check_declared(entries: list[zipfile.ZipInfo], largest: int, ratio: int) -> Meter:
    """Refuse what the directory itself declares too large; the meter then counts what really comes out."""
    meter = Meter(largest, ratio)
    meter.count(sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries))
    return Meter(largest, ratio)


def single_entry(path: Path, limits: ReadLimits) -> zipfile.ZipInfo:
    """The one file in a .zip; folders and the extras that macOS adds do not count."""
    entries = entries_of(path, limits)
    check_declared(entries, limits.unpacked_bytes, limits.ratio)
    files = [entry for entry in entries if not _is_extra(entry.filename)]
    if len(files) != 1:
        raise BadArchive(f"The .zip holds {len(files)} files. Pack exactly one, or send them one by one.")
    return files[0]


def _is_extra(name: str) -> bool:
    """A folder, or what macOS adds. A damaged directory may have a file without a name."""
    return name.startswith(RESOURCE_FORKS) or name.endswith(("/", FOLDER_VIEW))


def _gunzip(packed: _Packed, meter: Meter) -> Iterator[bytes]:
    pending = packed.take()
    while pending:
        unpacker = zlib.decompressobj(wbits=31)
        yield from _inflate(unpacker, pending, packed, meter)
        pending = unpacker.unused_data or packed.take()
        while pending and not pending.strip(b"\0"):  # padding after the last member is allowed
            pending = packed.take()


def _unzip(packed: _Packed, entry: zipfile.ZipInfo, meter: Meter) -> Iterator[bytes]:
    checksum, size = 0, 0
    is_stored = entry.compress_type == zipfile.ZIP_STORED
    unpacker = zlib.decompressobj(wbits=-15)
    blocks = _stored(packed, meter) if is_stored else _inflate(unpacker, packed.take(), packed, meter)
    for block in blocks:
        checksum, size = zlib.crc32(block, checksum), size + len(block)
        if size > entry.file_size:
            raise ArchiveBomb("The archive unpacks to more than it declares.")
        yield block
    if size != entry.file_size or checksum != entry.CRC:
        raise BrokenFile("The archive is damaged: its content does not match its checksum. Pack it again.")


def _stored(packed: _Packed, meter: Meter) -> Iterator[bytes]:
    while block := packed.take():
        meter.count(len(block), len(block))
        yield block


def _inflate(unpacker: "zlib._Decompress", pending: bytes, packed: _Packed, meter: Meter) -> Iterator[bytes]:
    """Unpack one stream in bounded blocks, and leave what follows it in `unpacker.unused_data`."""
    while not unpacker.eof:
        size = len(pending)
        try:
            block = unpacker.decompress(pending, BLOCK)
        except zlib.error as error:
            raise BrokenFile("The packed content is damaged. Pack it again, or send it unpacked.") from error
        pending = unpacker.unconsumed_tail
        meter.count(len(block), size - len(pending) - len(unpacker.unused_data))
        if block:
            yield block
        if not pending and not unpacker.eof and len(block) < BLOCK:
            pending = packed.take()
            if not pending:
                raise BrokenFile("The packed content is cut short. Send the file again, or send it unpacked.")
