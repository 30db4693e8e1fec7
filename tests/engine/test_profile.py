"""The profile of a whole file equals a naive model of it, and whatever is broken is named, never skipped."""

import csv
import gzip
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.domain.errors import DomainError
from src.engine.profile import read_profile
from src.engine.reading.detect import detect
from src.engine.reading.relation import COLUMNS_PER_FILE
from src.engine.reading.tables import read_table
from src.engine.sandbox import ignore_progress
from src.engine.values import Column, ColumnProfile, Detected, Profile, ReadLimits
from tests.engine import model
from tests.engine.making import SANDBOX, Make, csv_bytes, gzipped, parquet_bytes, workbook_bytes, zipped

LIMITS = ReadLimits(sandbox=SANDBOX)


def profiled(
    path: Path, folder: Path, detected: Detected | None = None, limits: ReadLimits = LIMITS
) -> Profile:
    """What the two children would answer, without the children."""
    detected = detected or detect(path, "a.csv", limits)
    file = {"path": str(path), "detected": asdict(detected), "limits": asdict(limits), "target": str(folder)}
    table = json.loads(json.dumps(read_table(file, folder, SANDBOX, ignore_progress)))
    return Profile.from_json(read_profile(table, folder, SANDBOX, ignore_progress))


def reading(names: Sequence[str]) -> Detected:
    """Plain CSV, nothing known about its columns but their names."""
    return Detected(
        format="csv",
        packing="none",
        media_type="text/csv",
        columns=tuple(Column(name=name) for name in names),
        delimiter=",",
        quote='"',
        decimal=".",
    )


def column(make: Make, tmp_path: Path, cells: Sequence[str]) -> ColumnProfile:
    """The profile of a single column, quoted so that blank cells stay cells."""
    path = make(csv_bytes([["name"], *([cell] for cell in cells)], quoting=csv.QUOTE_ALL))
    return profiled(path, tmp_path, reading(["name"])).columns[0]


NUMBERS = st.integers(-(10**18) + 1, 10**18 - 1).map(str) | st.integers(-20, 20).map(str)
DECIMALS = st.decimals(-(10**6), 10**6, places=2, allow_nan=False).map(lambda number: f"{number:f}")
DAYS = st.dates().filter(lambda day: day.year >= 1000).map(str)
MOMENTS = (
    st.datetimes()
    .filter(lambda moment: moment.year >= 1000)
    .map(lambda moment: str(moment.replace(microsecond=0)))
)
TEXTS = st.text(st.sampled_from(list("ab\"',;\n\r é漢😀\t|=")), max_size=6)
BLANK = st.sampled_from(["", " ", "\t"])
CELLS = [
    st.sampled_from(["true", "FALSE", "True"]),
    NUMBERS,
    NUMBERS | DECIMALS,
    NUMBERS | st.just("007"),
    DAYS,
    DAYS | MOMENTS,
    DAYS | st.just("2023-02-30"),
    TEXTS,
    NUMBERS.map(lambda number: f" {number}\t"),
]


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    kinds = draw(st.lists(st.sampled_from(CELLS), min_size=1, max_size=4))
    return draw(st.lists(st.tuples(*(kind | BLANK for kind in kinds)).map(list), min_size=1, max_size=30))


@settings(deadline=None, max_examples=30)
@given(tables(), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), st.sampled_from(["\n", "\r\n"]))
def test_a_profile_equals_a_naive_model(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], quoting: int, end: str
) -> None:
    if quoting == csv.QUOTE_MINIMAL and end == "\n":
        rows = [[cell.replace("\r", "") for cell in row] for row in rows]  # csv.writer would not quote it
    folder = tmp_path_factory.mktemp("profile")
    names = [f"name{place}" for place in range(len(rows[0]))]
    path = folder / "a.csv"
    path.write_bytes(csv_bytes([names, *rows], quoting=quoting, lineterminator=end))
    found = profiled(path, folder, reading(names))
    assert found.rows == len(rows)
    for place, name in enumerate(names):
        assert found.columns[place] == model.profile(name, [row[place] for row in rows])
        assert found.detected.columns[place].type == found.columns[place].type


class TestFormats:
    ROWS = (["id", "name", "price"], ["1", "Zé", "2.50"], ["2", 'Ana; "x"', "10"], ["3", "", "7.25"])

    @pytest.mark.parametrize(
        "content",
        [
            csv_bytes(ROWS),
            csv_bytes(ROWS, delimiter="\t", lineterminator="\r\n"),
            csv_bytes(ROWS, delimiter=";", lineterminator="\r"),
            csv_bytes(ROWS, delimiter="|", quoting=csv.QUOTE_ALL, quotechar="'"),
            csv_bytes(ROWS, encoding="cp1252"),
            csv_bytes(ROWS, encoding="utf-8-sig", quoting=csv.QUOTE_ALL),
            b"\xff\xfe" + csv_bytes(ROWS, encoding="utf-16-le"),
            gzipped(csv_bytes(ROWS)),
            zipped({"a": csv_bytes(ROWS)}),
            csv_bytes(ROWS[:2], lineterminator="\r\n") + b"\n" + csv_bytes(ROWS[2:]),
            b'{"id":1,"name":"Z\xc3\xa9","price":2.50}\n'
            b'{"id":2,"name":"Ana; \\"x\\"","price":10}\n{"id":3,"price":7.25}\n',
            gzipped(
                parquet_bytes(
                    "select * from (values (1, 'Zé', 2.50::decimal(9,2)), (2, 'Ana; \"x\"', 10), (3, null, 7.25)) t(id, name, price)"
                )
            ),
            zipped(
                {
                    "a.xlsx": workbook_bytes(
                        {"A": [["id", "name", "price"], [1, "Zé", 2.5], [2, 'Ana; "x"', 10], [3, None, 7.25]]}
                    )
                }
            ),
        ],
    )
    def test_the_same_table_has_the_same_profile_in_every_format(
        self, make: Make, tmp_path: Path, content: bytes
    ) -> None:
        found = profiled(make(content), tmp_path)
        assert found.rows == 3
        identifier, name, price = found.columns
        assert (identifier.type, identifier.min, identifier.max, identifier.mean) == (
            "integer",
            "1",
            "3",
            "2",
        )
        assert (name.type, name.empty, name.distinct, name.max) == ("text", 1, 2, "Zé")
        assert (price.type, price.mean, float(price.max or 0)) == ("decimal", repr(19.75 / 3), 10.0)

    def test_a_json_name_that_comes_last_is_a_column_too(self, make: Make, tmp_path: Path) -> None:
        content = b'{"a": 1}\n' * 3000 + b'{"b": "late"}\n'
        found = profiled(make(content), tmp_path, detect(make(content), "a", ReadLimits(head_rows=10)))
        assert [(column.name, column.empty) for column in found.columns] == [("a", 1), ("b", 3000)]

    def test_parquet_that_is_not_a_number_is_empty(self, make: Make, tmp_path: Path) -> None:
        content = parquet_bytes("select unnest(['nan'::double, 1.5, null]) as x, unnest([1, 2, 2]) as x")
        found = profiled(make(content), tmp_path)
        assert (found.columns[0].empty, found.columns[0].type) == (2, "decimal")

    def test_a_header_alone_is_a_table_of_no_rows(self, make: Make, tmp_path: Path) -> None:
        for content in (
            b"id,name\n",
            workbook_bytes({"A": [["id", "name"]]}),
            parquet_bytes("select 1 as id, 2 as name limit 0"),
        ):
            found = profiled(make(content), tmp_path)
            assert (found.rows, [column.distinct for column in found.columns]) == (0, [0, 0])

    def test_without_a_header_every_row_counts(self, make: Make, tmp_path: Path) -> None:
        assert profiled(make(b"\xef\xbb\xbf1,2\n3,4\n"), tmp_path).columns[0].min == "1"

    def test_a_profile_survives_json(self, make: Make, tmp_path: Path) -> None:
        found = profiled(make(csv_bytes(self.ROWS)), tmp_path)
        assert Profile.from_json(found.to_json()) == found


class TestColumns:
    def test_leading_zeros_anywhere_in_the_file_make_text(self, make: Make, tmp_path: Path) -> None:
        content = b"id\n" + b"".join(b"%d\n" % number for number in range(1, 5000)) + b"0042\n"
        detected = detect(make(content), "a", ReadLimits(head_bytes=1000))
        assert detected.columns[0].type == "integer"
        assert profiled(make(content), tmp_path, detected).columns[0].type == "text"

    def test_numbers_beyond_the_exact_are_still_ordered_and_averaged(
        self, make: Make, tmp_path: Path
    ) -> None:
        found = column(make, tmp_path, ["1e300", "-1.5e300", "1.5", "3e-310"])
        assert (found.type, found.min, found.max, float(found.mean)) == (
            "decimal",
            "-1.5e300",
            "1e300",
            -1.25e299,
        )
        assert sum(bar.count for bar in found.histogram) == 4

    def test_digits_beyond_a_double_decide_between_neighbours(self, make: Make, tmp_path: Path) -> None:
        found = column(
            make, tmp_path, ["0.1000000000000000002", "0.1000000000000000001", "0.100000000000000003"]
        )
        assert (found.min, found.max) == ("0.1000000000000000001", "0.100000000000000003")

    def test_commas_are_read_where_the_file_says_so(self, make: Make, tmp_path: Path) -> None:
        found = profiled(make(b"a;b\n1.234,50;1.000\n0,25;2.000\n"), tmp_path)
        assert found.detected.decimal == ","
        assert [(column.min, column.mean) for column in found.columns] == [
            ("0.25", "617.375"),
            ("1000", "1500"),
        ]

    def test_the_whole_file_may_settle_what_the_head_left_open(self, make: Make, tmp_path: Path) -> None:
        content = b"a,b\n" + b'"1,234","5,678"\n' * 500 + b'"1,234","5,6"\n'
        detected = detect(make(content), "a", ReadLimits(head_rows=100))
        assert (detected.decimal, detected.columns[0].is_ambiguous) == (".", True)
        found = profiled(make(content), tmp_path, detected)
        assert (found.detected.decimal, found.columns[0].max, found.columns[1].max) == (",", "1.234", "5.678")

    def test_offsets_count_in_the_order_of_moments(self, make: Make, tmp_path: Path) -> None:
        found = column(
            make, tmp_path, ["2024-01-01 10:00:00+05:00", "2024-01-01 06:00:00Z", "31/12/2023 10:00"][:2]
        )
        assert (found.type, found.min, found.max) == (
            "datetime",
            "2024-01-01 05:00:00",
            "2024-01-01 06:00:00",
        )

    def test_the_end_of_time_has_a_histogram(self, make: Make, tmp_path: Path) -> None:
        found = column(make, tmp_path, ["9999-12-31 23:59:59-14:00", "1000-01-01 00:00"])
        assert found.histogram[-1].high == "9999-12-31 23:59:59"

    def test_long_values_are_cut_where_they_are_shown(self, make: Make, tmp_path: Path) -> None:
        found = column(make, tmp_path, ["x" * 5000, "x" * 5000 + "y"])
        assert (found.distinct, len(found.max), found.top[0].value[-1]) == (2, 200, "…")

    def test_a_sample_that_fits_is_not_trusted(self, make: Make, tmp_path: Path) -> None:
        found = column(make, tmp_path, [*map(str, range(3000)), "2024-01-01"])
        assert (found.type, found.distinct) == ("text", 3001)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_line_that_names_the_delimiter_is_no_row(make: Make, tmp_path: Path, mark: bytes) -> None:
    path = make(mark + b"sep=;\nid;name\n1;x\n2;y\n")
    found = profiled(path, tmp_path, detect(path, "a", ReadLimits()))
    assert (found.rows, [one.name for one in found.columns]) == (2, ["id", "name"])
    assert found.regular is None


class TestBrokenFiles:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"a,b\n1,2\n3\n5,6\n", "Line 3 has 1 column where 2 are expected"),
            (b'a,b\n1,2\n"x\ny",3,4\n', "Line 3 has 3 columns where 2 are expected"),
            (b'a,b\n1,2\n"x,4\n5,6\n', "Line 3: a quote opens"),
            (b'a,b\n1,"x"y\n3,4\n', "Line 2: there is text behind"),
            ("a,b\né,2\né,3\n".encode() + b"4,\xff\n", "Line 4 holds bytes that are not UTF-8"),
            (b"\xff\xfe" + "a,b\n1,2".encode("utf-16-le") + b"x", "not UTF-16-LE"),
            (b'{"a": 1}\n{"a": \n', "Line 2 is not valid JSON"),
        ],
    )
    def test_what_is_wrong_is_named_with_its_line(
        self, make: Make, tmp_path: Path, content: bytes, reason: str
    ) -> None:
        with pytest.raises(DomainError, match=reason) as caught:
            profiled(make(content), tmp_path, detect(make(content), "a", ReadLimits(head_rows=1)))
        assert caught.value.slug == "broken-file"

    def test_a_nul_far_down_is_named(self, make: Make, tmp_path: Path) -> None:
        content = b"a,b\n" + b"100000,200000\n" * 100_000 + b"1,\0\n"
        with pytest.raises(DomainError, match="Line 100002 holds a NUL"):
            profiled(make(content), tmp_path)

    def test_a_giant_record_far_down_is_named(self, make: Make, tmp_path: Path) -> None:
        content = b"a,b\n" + b"100000,200000\n" * 100_000 + b"1," + b"x" * 2_000_000 + b"\n"
        with pytest.raises(DomainError, match="line 100002") as caught:
            profiled(make(content), tmp_path)
        assert caught.value.slug == "giant-line"

    def test_a_packed_file_that_is_cut_short_is_not_a_shorter_table(self, make: Make, tmp_path: Path) -> None:
        content = gzip.compress(csv_bytes([[f"{number * 7919 % 100_003}", "x"] for number in range(100_000)]))
        with pytest.raises(DomainError) as caught:
            profiled(make(content[:-5000]), tmp_path)
        assert caught.value.slug == "broken-file"

    def test_a_damaged_parquet_file_is_broken(self, make: Make, tmp_path: Path) -> None:
        content = parquet_bytes("select i, 'text' || i as t from range(50000) t(i)")
        detected = detect(make(content), "a", LIMITS)
        for spoiled in (content[:-20], content[:5000] + bytes(200) + content[5200:], content[:100]):
            with pytest.raises(DomainError) as caught:
                profiled(make(spoiled), tmp_path, detected)
            assert caught.value.slug == "broken-file"

    def test_a_row_of_a_workbook_may_not_be_giant(self, make: Make, tmp_path: Path) -> None:
        content = workbook_bytes({"A": [["a", "b"], ["x" * 30_000, "y"]]})
        with pytest.raises(DomainError, match="Row 2") as caught:
            profiled(make(content), tmp_path, limits=ReadLimits(record_bytes=20_000, sandbox=SANDBOX))
        assert caught.value.slug == "giant-line"


def test_many_blocks_of_quoted_lines_are_all_found(make: Make, tmp_path: Path) -> None:
    """Parallel readers may guess wrongly where a record starts; as many must be found as were counted."""
    rows = [[str(number), f'said "{number}",\r\nand went\n' * (number % 5) * 3] for number in range(150_000)]
    found = profiled(make(csv_bytes([["id", "text"], *rows])), tmp_path)
    assert (found.rows, found.columns[0].distinct, found.columns[1].empty) == (150_000, 150_000, 30_000)


def test_a_wide_table_is_converted_in_parts(make: Make, tmp_path: Path) -> None:
    width = 2 * COLUMNS_PER_FILE + 1
    rows = [[f"{place}.{number % 7}" for place in range(width)] for number in range(50)]
    found = profiled(make(csv_bytes([[f"c{place}" for place in range(width)], *rows])), tmp_path)
    assert [column.min for column in found.columns] == [f"{place}.0" for place in range(width)]
    assert {column.distinct for column in found.columns} == {7}
