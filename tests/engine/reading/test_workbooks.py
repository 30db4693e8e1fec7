"""Workbooks: what is unsafe is refused, cells become texts."""

from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest

from src.domain.errors import DomainError
from src.engine.reading.cell_errors import CellError
from src.engine.reading.detect import detect
from src.engine.reading.preview import preview
from src.engine.reading.workbooks import cell_text, check_workbook, sheet_cells, sheet_rows
from src.engine.values import BrokenFile, ReadLimits
from tests.engine.making import (
    SANDBOX,
    Make,
    parts_of,
    with_cells,
    with_error_cells,
    workbook_bytes,
    zipped,
)

LIMITS = ReadLimits(sandbox=SANDBOX)
PLAIN = parts_of(workbook_bytes({"A": [["id", "name"], [1, "Ana"]]}))
DOCTYPE = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'


def slug_of(make: Make, parts: dict[str, bytes]) -> str:
    with pytest.raises(DomainError) as caught:
        check_workbook(make(zipped(parts)), LIMITS)
    return caught.value.slug


class TestSafety:
    def test_a_plain_workbook_with_a_hyperlink_is_fine(self, make: Make) -> None:
        link = (
            b'<Relationships><Relationship Id="r1" Type="http://x/relationships/hyperlink" '
            b'Target="https://example.com" TargetMode="External"/></Relationships>'
        )
        check_workbook(make(zipped({**PLAIN, "xl/worksheets/_rels/sheet1.xml.rels": link})), LIMITS)

    @pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "utf-16-be"])
    def test_entities_are_unsafe_wherever_they_hide(self, make: Make, codec: str) -> None:
        hidden = b"<!--" + b"x" * 262_130 + b"-->" + DOCTYPE.decode().encode(codec)
        assert slug_of(make, {**PLAIN, "xl/sharedStrings.xml": hidden}) == "unsafe-workbook"

    @pytest.mark.parametrize(
        ("part", "content"),
        [
            ("xl/externalLinks/externalLink1.xml", b"<externalLink/>"),
            ("xl/vbaProject.bin", b"macro"),
            (
                "xl/_rels/workbook.xml.rels",
                b'<Relationships><Relationship Type="http://x/oleObject" TargetMode="External" Target="\\\\host"/>',
            ),
        ],
    )
    def test_links_to_elsewhere_and_macros_are_unsafe(self, make: Make, part: str, content: bytes) -> None:
        assert slug_of(make, {**PLAIN, part: content}) == "unsafe-workbook"

    def test_the_errors_reach_whoever_uploads(self, make: Make) -> None:
        content = zipped({**PLAIN, "xl/sharedStrings.xml": DOCTYPE})
        with pytest.raises(DomainError) as caught:
            detect(make(content), "a.xlsx", LIMITS)
        assert caught.value.slug == "unsafe-workbook"
        assert "XML entities" in caught.value.detail

    def test_a_spoiled_part_makes_the_workbook_broken(self, make: Make) -> None:
        for part in ("xl/workbook.xml", "xl/worksheets/sheet1.xml"):
            with pytest.raises(DomainError) as caught:
                detect(make(zipped({**PLAIN, part: PLAIN[part][:200]})), "a.xlsx", LIMITS)
            assert caught.value.slug == "broken-file"


class TestSheets:
    def test_any_sheet_can_be_previewed_by_its_name(self, make: Make) -> None:
        path = make(workbook_bytes({"One": [["a"], [1]], "Two": [["b", "c"], [2, "x"], [3, "y"]]}))
        detected = detect(path, "a", LIMITS)
        seen = preview(path, detected, 1, sheet="Two", limits=LIMITS)
        assert (seen.columns, seen.rows, seen.truncated) == (("b", "c"), (("2", "x"),), True)

    def test_an_unknown_sheet_lists_those_that_are_there(self, make: Make) -> None:
        path = make(workbook_bytes({"One": [["a"], [1]], "Two": [["b"]]}))
        with pytest.raises(DomainError, match="'Three'.*One, Two") as caught:
            preview(path, detect(path, "a", LIMITS), 1, sheet="Three", limits=LIMITS)
        assert caught.value.slug == "unknown-sheet"

    def test_an_empty_sheet_has_an_empty_preview(self, make: Make) -> None:
        path = make(workbook_bytes({"One": [["a"], [1]], "Two": []}))
        seen = preview(path, detect(path, "a", LIMITS), 5, sheet="Two", limits=LIMITS)
        assert (seen.columns, seen.rows, seen.truncated) == ((), (), False)

    def test_rows_keep_their_numbers_and_blank_ones_are_left_out(self, make: Make) -> None:
        path = make(workbook_bytes({"A": [[], ["id"], [], [7]]}))
        assert list(sheet_rows(path, "A", has_errors=False)) == [(2, ["id"]), (4, ["7"])]


ERRORS = ["#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"]
SHEETS = {"Plain": [["#N/A"]], "A": [["id", "name"], [1, "Ana"], [], [2, "#N/A"], [3, "x"]]}


class TestErrors:
    def rows(self, path: Path) -> list[list[object]]:
        has_errors = check_workbook(path, LIMITS)
        return [list(row) for _, row in sheet_cells(path, "A", has_errors=has_errors)]

    @pytest.mark.parametrize("error", ERRORS)
    def test_an_error_is_a_cell_of_its_own_kind(self, make: Make, error: str) -> None:
        path = make(with_error_cells(workbook_bytes(SHEETS), {"A2": error, "B5": error}, "sheet2"))
        rows = self.rows(path)
        assert rows == [["id", "name"], [error, "Ana"], ["", ""], [2.0, "#N/A"], [3.0, error]]
        assert [type(cell) for row in rows for cell in row].count(CellError) == 2
        assert list(sheet_rows(path, "Plain", has_errors=True)) == [(1, ["#N/A"])]

    def test_without_any_nothing_is_read_twice(self, make: Make) -> None:
        assert not check_workbook(make(workbook_bytes(SHEETS)), LIMITS)

    def test_a_row_of_nothing_else_is_a_row(self, make: Make) -> None:
        content = with_error_cells(workbook_bytes({"A": [["id"], ["x"]]}), {"A2": "#REF!"})
        assert list(sheet_rows(make(content), "A", has_errors=True)) == [(1, ["id"]), (2, ["#REF!"])]

    @pytest.mark.parametrize(
        ("rows", "expected"),
        [
            (b"<row><c t='e'><v>#N/A</v></c><c><v>5</v></c></row>", [["#N/A", 5.0]]),
            (
                b'\n<row/>\n<row><c t="str"><f>A</f><v>"e"</v></c><c/><c s="1" t="e" ><v>#NUM!</v></c></row>',
                [["", "", ""], ['"e"', "", "#NUM!"]],
            ),
            (b'<row r="4"><c r="C4" t="e"><v>#N/A</v></c></row>', [[""] * 3, [""] * 3, ["", "", "#N/A"]]),
            (b'<row r="2"><c r="A2"><v>1</v></c><c r="B2" t="e"/></row>', [[1.0]]),
        ],
    )
    def test_places_and_numbers_may_be_left_out(
        self, make: Make, rows: bytes, expected: list[list[object]]
    ) -> None:
        parts = parts_of(workbook_bytes({"A": [["id"]]}))
        sheet = parts["xl/worksheets/sheet1.xml"].replace(b"</sheetData>", rows + b"</sheetData>")
        found = self.rows(make(zipped({**parts, "xl/worksheets/sheet1.xml": sheet})))
        assert [row[: len(expected[0])] for row in found[1:]] == expected

    def test_a_row_whose_number_no_row_can_have_is_told(self, make: Make) -> None:
        """Its errors could be those of any row."""
        parts = parts_of(with_error_cells(workbook_bytes({"A": [["id"], [1]]}), {"A2": "#N/A"}))
        sheet = parts["xl/worksheets/sheet1.xml"]
        spoiled = sheet.replace(b'<row r="2"', b'<row r="' + b"9" * 5000 + b'"')
        assert spoiled != sheet
        with pytest.raises(BrokenFile, match="number that no row can have"):
            self.rows(make(zipped({**parts, "xl/worksheets/sheet1.xml": spoiled})))

    @pytest.mark.parametrize("block", [7, 64, 1000])
    def test_they_are_found_wherever_blocks_end(
        self, make: Make, block: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("src.engine.reading.cell_errors.BLOCK", block)
        content = workbook_bytes({"A": [[number, "x"] for number in range(40)]})
        rows = self.rows(make(with_error_cells(content, {f"B{place}": "#N/A" for place in range(1, 41, 3)})))
        assert [row[1] for row in rows] == ["x" if place % 3 else "#N/A" for place in range(40)]

    def test_they_are_shown(self, make: Make) -> None:
        path = make(with_error_cells(workbook_bytes({"A": [["id", "name"], [1, "x"]]}), {"B2": "#N/A"}))
        seen = preview(path, detect(path, "a.xlsx", LIMITS), 5, limits=LIMITS)
        assert seen.rows == (("1", "#N/A"),)

    @pytest.mark.parametrize(
        "target", ["/xl/worksheets/sheet1.xml", "xl/worksheets/sheet1.xml", "../xl/worksheets/sheet1.xml"]
    )
    def test_the_sheet_is_found_by_any_way_to_write_where_it_is(self, make: Make, target: str) -> None:
        parts = parts_of(with_error_cells(workbook_bytes({"A": [["id"], [1]]}), {"A2": "#N/A"}))
        relations = "xl/_rels/workbook.xml.rels"
        parts[relations] = parts[relations].replace(b"worksheets/sheet1.xml", target.encode())
        try:
            rows = self.rows(make(zipped(parts)))
        except DomainError as error:  # what the library does not read is not read either
            assert error.slug == "broken-file"
        else:
            assert rows == [["id"], ["#N/A"]]


class TestFormulas:
    BOOK = workbook_bytes({"A": [["id", "name"], [1, "x"], [2, "y"]]})

    def rows(self, make: Make, content: bytes) -> list[list[object]]:
        path = make(content)
        has_errors = check_workbook(path, LIMITS)
        return [list(row) for _, row in sheet_cells(path, "A", has_errors=has_errors)]

    @pytest.mark.parametrize(
        ("xml", "shown"),
        [
            ("><f>1000+234</f></c>", "=1000+234"),
            ("><f>1000+234</f><v/></c>", "=1000+234"),
            ("><f>1000+234</f><v /></c>", "=1000+234"),
            (' s="1"><f>A1&amp;"x"</f><v></v></c>', '=A1&"x"'),
            (' t="s">\n<f>SUM(\n A1)</f>\n<v> </v>\n</c>', "=SUM( A1)"),
            (' t="str"><f>A1</f></c>', "=A1"),
            ('><f t="shared" si="0"/></c>', "="),
            ('><f t="shared" ref="B2:B3" si="0">A1</f></c>', "=A1"),
            ("><f>" + "A1+" * 100 + "A1</f></c>", "=" + ("A1+" * 100)[:199]),
        ],
    )
    def test_one_without_a_result_is_no_empty_cell(self, make: Make, xml: str, shown: str) -> None:
        rows = self.rows(make, with_cells(self.BOOK, {"B2": xml}))
        assert rows == [["id", "name"], [1.0, shown], [2.0, "y"]]
        assert isinstance(rows[1][1], CellError)

    @pytest.mark.parametrize(
        ("xml", "value"),
        [
            ("><f>1000+234</f><v>1234</v></c>", 1234.0),
            ('><f t="shared" si="0"/><v>5</v></c>', 5.0),
            (' t="str"><f>A1</f><v></v></c>', ""),
            (' t="str"><f>A1</f><v/></c>', ""),
            (' t="str"><f>A1</f><v>z</v></c>', "z"),
            ("/>", ""),
            ("><v/></c>", ""),
        ],
    )
    def test_what_one_came_to_is_its_value(self, make: Make, xml: str, value: object) -> None:
        content = with_cells(self.BOOK, {"B2": xml})
        assert not check_workbook(make(content), LIMITS)
        assert self.rows(make, content) == [["id", "name"], [1.0, value], [2.0, "y"]]

    def test_tags_may_have_a_prefix(self, make: Make) -> None:
        parts = parts_of(with_cells(self.BOOK, {"B2": "><f>1+1</f><v></v></c>"}))
        sheet = parts["xl/worksheets/sheet1.xml"].replace(b"<", b"<x:").replace(b"<x:/", b"</x:")
        sheet = sheet.replace(b"<x:?", b"<?").replace(b'xmlns="', b'xmlns:x="')
        rows = self.rows(make, zipped({**parts, "xl/worksheets/sheet1.xml": sheet}))
        assert rows[1] == [1.0, "=1+1"]

    def test_rows_and_columns_of_nothing_else_are_there(self, make: Make) -> None:
        """The library ends a sheet with the last value that it sees."""
        none = "><f>1</f></c>"
        content = workbook_bytes({"A": [["id"], [1, "x"], [2, "x"], [], [3]]})
        rows = self.rows(make, with_cells(content, {"B2": none, "A3": none, "B3": none, "A5": none}))
        assert rows == [["id"], [1.0, "=1"], ["=1", "=1"], [], ["=1"]]

    def test_they_are_found_wherever_blocks_end(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        cells = {"B2": "><f>1+1</f><v></v></c>", "A3": "><f>1+1</f></c>"}
        content = with_cells(self.BOOK, cells)
        saved = with_cells(self.BOOK, dict.fromkeys(cells, ' t="str"><f>1</f><v></v></c>'))
        for block in range(1, 60):
            monkeypatch.setattr("src.engine.reading.workbooks.BLOCK", block)
            assert check_workbook(make(content), LIMITS), block
            assert not check_workbook(make(saved), LIMITS), block


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("", ""),
        (" 007 ", " 007 "),
        (7.0, "7"),
        (9870.610000000001, "9870.61"),
        (0.1 + 0.2, "0.3"),
        (1234567890123456.0, "1234567890123456"),
        (1e15, "1000000000000000"),
        (-(2.0**53), "-9007199254740992"),
        (12345678901234568.0, "12345678901234568"),
        (1e20, "100000000000000000000"),
        (1.1e25, "11" + "0" * 24),
        (999999999999999.9, "999999999999999.9"),
        (-1234567890123456.5, "-1234567890123456.5"),
        (1e-7, "1e-07"),
        (-0.5, "-0.5"),
        (12, "12"),
        (True, "true"),
        (False, "false"),
        (date(2024, 2, 29), "2024-02-29"),
        (datetime(2024, 2, 29, 10, 5), "2024-02-29 10:05:00"),
        (time(10, 5, 1), "10:05:01"),
        (timedelta(hours=30, seconds=5), "30:00:05"),
    ],
)
def test_a_cell_as_text(cell: object, text: str) -> None:
    assert cell_text(cell) == text
