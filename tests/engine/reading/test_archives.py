"""Archives: one file in them, no passwords, no bombs, whatever they declare."""

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from src.domain.errors import DomainError
from src.engine.reading.content import open_content, unpack
from src.engine.reading.detect import detect
from src.engine.reading.workbooks import check_workbook
from src.engine.values import MIB, ReadLimits
from tests.engine.making import SANDBOX, Make, csv_bytes, gzipped, parts_of, workbook_bytes, zipped

LIMITS = ReadLimits(sandbox=SANDBOX)
CSV = csv_bytes([["id", "name"], ["1", "Ana"]])
NOISE = csv_bytes([[str(number * 7919 % 1_000_003), "x"] for number in range(200_000)])


def slug_of(make: Make, content: bytes, limits: ReadLimits = LIMITS) -> str:
    with pytest.raises(DomainError) as caught:
        detect(make(content), "a.csv", limits)
    return caught.value.slug


def slug_of_unpacking(make: Make, tmp_path: Path, content: bytes, limits: ReadLimits = LIMITS) -> str:
    path = make(content)
    packing = "gzip" if content.startswith(b"\x1f\x8b") else "zip"
    with pytest.raises(DomainError) as caught:
        unpack(path, packing, tmp_path / "unpacked", limits)
    return caught.value.slug


class TestOneFile:
    @pytest.mark.parametrize("members", [{}, {"a.csv": CSV, "b.csv": CSV}, {"folder/": b""}])
    def test_none_or_several_are_refused(self, make: Make, members: dict[str, bytes]) -> None:
        assert slug_of(make, zipped(members)) == "bad-archive"

    @pytest.mark.parametrize(
        "content",
        [zipped({"a.zip": zipped({"a.csv": CSV})}), gzipped(gzipped(CSV)), zipped({"a.gz": gzipped(CSV)})],
    )
    def test_an_archive_in_an_archive_is_refused(self, make: Make, content: bytes) -> None:
        assert slug_of(make, content) == "bad-archive"

    def test_a_file_that_has_lost_its_name_is_read(self, make: Make) -> None:
        content = zipped({"a.csv": CSV}).replace(b"a.csv", b"\0.csv")  # a name ends with its first zero byte
        assert [column.name for column in detect(make(content), "a.csv", LIMITS).columns] == ["id", "name"]

    def test_a_rare_method_of_packing_is_refused(self, make: Make) -> None:
        assert slug_of(make, zipped({"a.csv": CSV}, zipfile.ZIP_BZIP2)) == "bad-archive"

    def test_a_password_is_named(self, make: Make) -> None:
        content = bytearray(zipped({"a.csv": CSV}))
        content[content.index(b"PK\x01\x02") + 8] |= 1
        assert slug_of(make, bytes(content)) == "encrypted-file"


class TestDamage:
    @pytest.mark.parametrize(
        "content", [gzipped(NOISE)[:-20_000], gzipped(NOISE)[:-4], zipped({"a": NOISE})[:-30]]
    )
    def test_what_is_cut_short_is_broken(self, make: Make, tmp_path: Path, content: bytes) -> None:
        assert slug_of_unpacking(make, tmp_path, content) == "broken-file"

    def test_a_flipped_byte_is_broken(self, make: Make, tmp_path: Path) -> None:
        for content in (gzipped(NOISE), zipped({"a": NOISE})):
            spoiled = bytearray(content)
            spoiled[len(spoiled) // 2] ^= 0xFF
            assert slug_of_unpacking(make, tmp_path, bytes(spoiled)) == "broken-file"

    def test_a_checksum_that_does_not_fit_is_broken(self, make: Make, tmp_path: Path) -> None:
        content = zipped({"a": NOISE}, zipfile.ZIP_STORED)
        assert slug_of_unpacking(make, tmp_path, content.replace(b"7919", b"7918", 1)) == "broken-file"

    def test_text_behind_a_gzip_is_broken(self, make: Make, tmp_path: Path) -> None:
        assert slug_of_unpacking(make, tmp_path, gzipped(CSV) + b"more") == "broken-file"

    def test_an_entry_that_is_not_where_the_directory_says_is_broken(self, make: Make) -> None:
        content = zipped({"a": CSV})
        place = content.index(b"PK\x01\x02") + 42
        assert slug_of(make, content[:place] + struct.pack("<L", 5) + content[place + 4 :]) == "broken-file"

    def test_a_zip_without_a_directory_is_broken(self, make: Make) -> None:
        assert slug_of(make, b"PK\x03\x04" + bytes(100)) == "broken-file"

    def test_a_workbook_that_is_cut_short_is_broken(self, make: Make) -> None:
        content = workbook_bytes({"A": [["id"], [1]]})
        assert slug_of(make, content[:-30]) == "broken-file"


class TestBombs:
    def test_a_ratio_beyond_the_limit_is_a_bomb(self, make: Make) -> None:
        for content in (gzipped(bytes(20 * MIB)), zipped({"a": bytes(20 * MIB)})):
            assert slug_of(make, content) == "archive-bomb"

    def test_the_size_is_counted_while_unpacking(self, make: Make, tmp_path: Path) -> None:
        limits = ReadLimits(unpacked_bytes=MIB)
        for content in (gzipped(NOISE), zipped({"a": NOISE}), zipped({"a": NOISE}, zipfile.ZIP_STORED)):
            assert slug_of_unpacking(make, tmp_path, content, limits) == "archive-bomb"

    def test_a_declared_size_that_is_too_small_is_a_bomb(self, make: Make, tmp_path: Path) -> None:
        content = zipped({"a": NOISE})
        lie = content.replace(struct.pack("<L", len(NOISE)), struct.pack("<L", 1000))
        assert slug_of_unpacking(make, tmp_path, lie) == "archive-bomb"

    def test_a_declared_size_that_is_too_large_is_damage(self, make: Make, tmp_path: Path) -> None:
        content = zipped({"a": NOISE})
        lie = content.replace(struct.pack("<L", len(NOISE)), struct.pack("<L", len(NOISE) + 1))
        assert slug_of_unpacking(make, tmp_path, lie) == "broken-file"

    def test_too_many_entries_are_a_bomb(self, make: Make) -> None:
        assert slug_of(make, zipped({f"{number}": b"" for number in range(2001)})) == "archive-bomb"

    def test_a_directory_that_would_fill_the_memory_is_not_read(self, make: Make) -> None:
        entries = b"".join(
            struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0)
            + b"name"
            for _ in range(100_000)
        )
        end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(entries), 4, 0)
        assert slug_of(make, b"PK\x03\x04" + entries + end) == "archive-bomb"

    def test_a_workbook_whose_declared_sizes_add_up_is_a_bomb(self, make: Make) -> None:
        limits = ReadLimits(workbook_bytes=10_000, sandbox=SANDBOX)
        assert slug_of(make, workbook_bytes({"A": [["id"] * 500] * 50}), limits) == "archive-bomb"

    def test_a_workbook_whose_sheet_lies_about_its_size_is_a_bomb(self, make: Make) -> None:
        content = workbook_bytes({"A": [["id", number] for number in range(3000)]})
        size = zipfile.ZipFile(io.BytesIO(content)).getinfo("xl/worksheets/sheet1.xml").file_size
        assert (
            slug_of(make, content.replace(struct.pack("<L", size), struct.pack("<L", 900))) == "archive-bomb"
        )

    def test_the_parts_of_a_workbook_are_counted_together(self, make: Make) -> None:
        parts = parts_of(workbook_bytes({"A": [["id"], [1]]}))
        check_workbook(make(zipped({"xl/media/large.bin": NOISE, **parts})), LIMITS)

    def test_a_small_file_may_repeat_itself(self, make: Make) -> None:
        assert detect(make(gzipped(b"a,b\n" + b"1,2\n" * 200_000)), "a").format == "csv"


def test_unpacking_takes_little_memory_whatever_the_size(make: Make) -> None:
    """A raw stream that grows and grows is cut off after the first blocks."""
    packer = zlib.compressobj(wbits=31)
    content = packer.compress(bytes(64 * MIB)) + packer.flush()
    taken = 0
    with pytest.raises(DomainError), open_content(make(content), "gzip", LIMITS) as stream:
        while block := stream.read(64 * 1024):
            taken += len(block)
    assert taken <= 2 * MIB
