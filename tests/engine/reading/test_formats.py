"""What an uploaded file is found to be, by its content alone."""

import zipfile

import pytest

from src.domain.errors import DomainError, Invalid, TooLarge, UnsupportedMedia
from src.engine.reading.detect import detect
from src.engine.reading.preview import preview
from src.engine.values import Detected, ReadLimits
from tests.engine.making import (
    SANDBOX,
    Make,
    csv_bytes,
    gzipped,
    parquet_bytes,
    workbook_bytes,
    zipped,
)

LIMITS = ReadLimits(sandbox=SANDBOX)
ROWS = [["id", "name", "amount"], ["1", "Ana", "2.50"], ["2", "Zé", "3.75"]]
CSV = csv_bytes(ROWS)
WORKBOOK = workbook_bytes({"Data": [["id", "name"], [1, "Ana"]], "Other": [["x"]]})
PARQUET = parquet_bytes("select 1 as id, 'Ana' as name")
JSON_LINES = b'{"id": 1, "name": "Ana"}\n{"id": 2, "city": "Rio"}\n'


def names(detected: Detected) -> list[str]:
    return [column.name for column in detected.columns]


def types(detected: Detected) -> list[str]:
    return [column.type for column in detected.columns]


def refusal(make: Make, content: bytes, limits: ReadLimits = LIMITS) -> DomainError:
    with pytest.raises(DomainError) as caught:
        detect(make(content), "claims.csv", limits)
    return caught.value


class TestFormats:
    @pytest.mark.parametrize(
        ("content", "form", "columns"),
        [
            (CSV, "csv", ["id", "name", "amount"]),
            (csv_bytes(ROWS, delimiter=";"), "csv", ["id", "name", "amount"]),
            (csv_bytes(ROWS, delimiter="|"), "csv", ["id", "name", "amount"]),
            (csv_bytes(ROWS, delimiter="\t"), "tsv", ["id", "name", "amount"]),
            (b"word\nalpha\nbeta\n", "txt", ["word"]),
            (WORKBOOK, "xlsx", ["id", "name"]),
            (JSON_LINES, "jsonl", ["id", "name", "city"]),
            (PARQUET, "parquet", ["id", "name"]),
        ],
    )
    def test_the_content_decides_plain_or_packed(
        self, make: Make, content: bytes, form: str, columns: list[str]
    ) -> None:
        for packing, data in [
            ("none", content),
            ("gzip", gzipped(content)),
            ("zip", zipped({"inner": content, "__MACOSX/._inner": b"fork"})),
        ]:
            detected = detect(make(data), "anything.pdf", LIMITS)
            assert (detected.format, detected.packing) == (form, packing)
            assert names(detected) == columns

    @pytest.mark.parametrize("bad", [b"{broken", b"[1,2]", b'{"id": 1,', b'{"id": 1, "id": 2}', b"[" * 5000])
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_a_bad_line_among_json_lines_is_passed_over(self, make: Make, bad: bytes, place: int) -> None:
        lines = JSON_LINES.splitlines()
        lines.insert(place, bad)
        path = make(b"\n".join(lines))
        detected = detect(path, "a", LIMITS)
        assert (detected.format, names(detected)) == ("jsonl", ["id", "name", "city"])
        assert preview(path, detected, 5).rows == (("1", "Ana", ""), ("2", "", "Rio"))

    def test_json_lines_without_any_that_is_sound_are_refused_with_the_reason(self, make: Make) -> None:
        error = refusal(make, b'{"id": 1, "id": 2}\n{"id": NaN}\n')
        assert (error.slug, error.detail) == (
            "broken-file",
            "Line 1 is not valid JSON: a key occurs twice.",
        )

    def test_the_media_type_is_that_of_the_file_as_it_was_sent(self, make: Make) -> None:
        assert detect(make(CSV), "a").media_type == "text/csv"
        assert detect(make(gzipped(CSV)), "a").media_type == "application/gzip"
        assert detect(make(zipped({"a.csv": CSV})), "a").media_type == "application/zip"

    def test_a_single_column_is_csv_only_if_it_is_called_so(self, make: Make) -> None:
        assert detect(make(b"id\n1\n2\n"), "ids.CSV").format == "csv"
        assert detect(make(b"id\n1\n2\n"), "ids.dat").format == "txt"
        assert detect(make(b"id\n1\n2\n"), "ids.dat").delimiter is None

    def test_a_stored_zip_is_read_like_a_deflated_one(self, make: Make) -> None:
        assert names(detect(make(zipped({"a": CSV}, zipfile.ZIP_STORED)), "a")) == ["id", "name", "amount"]

    def test_gzip_members_follow_each_other_and_may_be_padded(self, make: Make) -> None:
        content = gzipped(b"id,n\n1,2\n") + gzipped(b"3,4\n") + b"\0" * 600_000
        assert types(detect(make(content), "a")) == ["integer", "integer"]

    def test_all_sheets_are_named_and_the_first_with_content_is_taken(self, make: Make) -> None:
        content = workbook_bytes({"Cover": [], "Data": [["id"], [7]], "More": [["x"]]})
        detected = detect(make(content), "a", LIMITS)
        assert detected.sheets == ("Cover", "Data", "More")
        assert (detected.sheet, names(detected), types(detected)) == ("Data", ["id"], ["integer"])

    def test_a_sheet_without_a_header_has_numbered_columns(self, make: Make) -> None:
        detected = detect(make(workbook_bytes({"Data": [[1, "a"], [2, "b"]]})), "a", LIMITS)
        assert (detected.has_header, names(detected)) == (False, ["column_1", "column_2"])

    def test_a_reading_survives_json(self, make: Make) -> None:
        import json
        from dataclasses import asdict

        for content in (CSV, WORKBOOK, JSON_LINES):
            detected = detect(make(content), "a", LIMITS)
            assert Detected.from_json(json.loads(json.dumps(asdict(detected)))) == detected


class TestRefusals:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\n\n \r\n",
            b"\xef\xbb\xbf",
            b"\xff\xfe",
            gzipped(b""),
            zipped({"a": b""}),
            workbook_bytes({"A": []}),
        ],
    )
    def test_a_file_without_content_is_empty(self, make: Make, content: bytes) -> None:
        error = refusal(make, content)
        assert (error.slug, type(error).__mro__[1]) == ("empty-file", Invalid)

    @pytest.mark.parametrize(
        "content",
        [
            b"MZ\x90\x00\x03" + bytes(60) + b"This program cannot be run in DOS mode",
            b"\x7fELF\x02\x01\x01",
            b"\x89PNG\r\n\x1a\n",
            b"%PDF-1.7\n%\xe2\xe3",
            b"\xff\xd8\xff\xe0JFIF",
            b"<!DOCTYPE html><html></html>",
            b"  <HTML><body>a,b</body></HTML>",
            b'<?xml version="1.0"?><rows/>',
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000),
            "id,name\n".encode("utf-32"),
            "id,name\n".encode("utf-32-le"),
            "id,n\1me\n".encode("utf-16-le"),
            bytes(range(1, 32)) * 20,
            b'{\n  "rows": []\n}',
            b'[{"id": 1}]',
            b"[\n1\n]",
            zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w/>"}),
            zipped({"[Content_Types].xml": b"<Types/>", "xl/workbook.bin": b"\x00"}),
        ],
    )
    def test_what_is_no_table_is_unsupported(self, make: Make, content: bytes) -> None:
        error = refusal(make, content)
        assert error.slug == "unsupported-file"
        assert isinstance(error, UnsupportedMedia)

    def test_a_text_of_braces_or_capitals_is_still_a_table(self, make: Make) -> None:
        assert detect(make(b"MZ,PK\n1,2\n"), "a").format == "csv"
        assert detect(make(b"{abc},[id]\n1,2\n"), "a").format == "csv"

    def test_an_encrypted_workbook_says_so(self, make: Make) -> None:
        container = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le")
        assert refusal(make, container).slug == "encrypted-file"

    def test_the_directory_of_an_encrypted_workbook_may_lie_at_its_end(self, make: Make) -> None:
        header = bytearray(512)
        header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        header[30:32] = (9).to_bytes(2, "little")
        header[48:52] = (6000).to_bytes(4, "little")
        container = bytes(header) + bytes(6000 * 512) + "EncryptedPackage".encode("utf-16-le")
        assert refusal(make, container).slug == "encrypted-file"

    def test_a_line_without_an_end_is_giant(self, make: Make) -> None:
        assert refusal(make, b"a,b\t" * 300_000).slug == "giant-line"

    def test_a_long_file_of_many_lines_is_not(self, make: Make) -> None:
        assert detect(make(b"aaaaaaa,b\n" * 300_000), "a").format == "csv"

    @pytest.mark.parametrize(
        "content",
        [
            b",".join(b"c%d" % place for place in range(1001)) + b"\n",
            b"{%s}\n" % b",".join(b'"c%d":1' % place for place in range(1001)),
            workbook_bytes({"A": [[f"c{place}" for place in range(1001)]]}),
        ],
    )
    def test_more_than_a_thousand_columns_are_too_many(self, make: Make, content: bytes) -> None:
        error = refusal(make, content)
        assert (error.slug, "1001" in error.detail) == ("too-many-columns", True)

    def test_a_parquet_file_may_not_be_too_wide_either(self, make: Make) -> None:
        content = parquet_bytes("select " + ", ".join(f"1 as c{place}" for place in range(1001)))
        assert refusal(make, content).slug == "too-many-columns"

    def test_a_bomb_is_too_large_and_not_unsupported(self, make: Make) -> None:
        assert isinstance(refusal(make, gzipped(bytes(20_000_000))), TooLarge)
