"""Delimiter, quote, line end, header and decimal mark, from the head of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.engine.reading.detect import detect
from src.engine.reading.dialects import find_dialect, has_header
from src.engine.reading.formats import EmptyFile
from src.engine.values import Detected
from tests.engine.making import Make, csv_bytes

# Words that neither look like numbers or dates nor hold a delimiter; those are for quoted cells.
WORDS = st.text("abcdefghij éãüЖ漢-_.'", min_size=1, max_size=8).map(lambda text: f"w{text}".strip())
CELLS = st.one_of(WORDS, st.integers(0, 10**6).map(str), st.sampled_from(["2024-02-29", "1.25", ""]))


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(2, 6))
    body = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=20))
    return [[f"name{place}" for place in range(width)], *body]


@given(tables(), st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_a_well_formed_table_is_read_as_it_was_written(
    rows: list[list[str]], delimiter: str, end: str, is_quoted: bool
) -> None:
    text = csv_bytes(rows, delimiter=delimiter, lineterminator=end, quoting=int(is_quoted)).decode()
    dialect = find_dialect(text)
    assert (dialect.delimiter, dialect.quote, dialect.line_end) == (delimiter, '"', end)


def read(make: Make, text: str) -> Detected:
    return detect(make(text.encode()), "a.csv")


class TestDelimiter:
    @pytest.mark.parametrize(
        ("text", "delimiter"),
        [
            ("1,5;2,5\n3,5;4,5\n", ";"),
            ("name;price\nx;1,50\ny;2,75\n", ";"),
            ("a\tb\nSilva, João\tSão Paulo, SP\nSouza, Ana\tRio, RJ\n", "\t"),
            ("a, b, c\n1, 2, 3\n", ","),
            ('a;b\n"x,y";"p,q"\n"x,z";"p,r"\n', ";"),
            ("when|what\n2024-01-01 10:00|a,b\n2024-01-02 10:00|c,d\n", "|"),
            ("one\ntwo\nthree\n", None),
            ("some words, and more\nnothing here\nnor here\nor here\nand so on\n", None),
            ("a,b\n1,2\n3\n4,5\n", ","),
            ('a,b\n"x"y,2\n"p"q,3\n4,5\n', ","),
        ],
    )
    def test_the_delimiter_that_leaves_clean_cells_wins(self, text: str, delimiter: str | None) -> None:
        assert find_dialect(text).delimiter == delimiter

    @pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "\nsep=;"])
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_a_first_line_may_name_it(self, make: Make, first: str, end: str) -> None:
        detected = read(make, f"{first}\na,b;c,d\n1,5;2,5\n".replace("\n", end))
        assert (detected.delimiter, detected.has_header, detected.line_end) == (";", True, end)
        assert [column.name for column in detected.columns] == ["a,b", "c,d"]

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_the_name_decides_where_nothing_else_does(self, delimiter: str) -> None:
        assert find_dialect(f"sep={delimiter}\nword\n").delimiter == delimiter
        assert find_dialect(f"sep={delimiter}").delimiter == delimiter

    def test_a_file_of_nothing_else_is_empty(self, make: Make) -> None:
        with pytest.raises(EmptyFile):
            read(make, "sep=;\n")

    def test_elsewhere_such_a_line_is_a_row(self, make: Make) -> None:
        assert [column.name for column in read(make, "a;b\nsep=;\n1;2\n").columns] == ["a", "b"]

    def test_single_quotes_count_where_cells_stand_in_them(self) -> None:
        assert find_dialect("'a','b'\n'x, y','z'\n").quote == "'"
        assert find_dialect("a,b\nO'Neil,d'Or\n").quote == '"'

    @pytest.mark.parametrize(
        ("text", "end"), [("a,b\r\n1,2\n", "mixed"), ('a\r\n"x\ny"\r\n', "\r\n"), ("a,b", None)]
    )
    def test_line_ends_inside_quotes_do_not_count(self, text: str, end: str | None) -> None:
        assert find_dialect(text).line_end == end


class TestHeader:
    @pytest.mark.parametrize(
        ("rows", "expected"),
        [
            ([["id", "name"], ["1", "Ana"]], True),
            ([["id", "name"]], True),
            ([["No", "Yes"], ["1", "2"]], True),
            ([["", "x"], ["0", "y"]], True),
            ([["1", "Ana"], ["2", "Zé"]], False),
            ([["2024-01-01", "x"], ["2024-01-02", "y"]], False),
            ([["red", "small"], ["blue", "small"]], False),
            ([["colour", "size"], ["blue", "small"], ["red"]], True),
            ([["", ""], ["a", "b"]], False),
        ],
    )
    def test_a_header_is_a_row_of_names(self, rows: list[list[str]], expected: bool) -> None:
        assert has_header(rows) is expected

    def test_a_name_that_is_missing_is_a_number(self, make: Make) -> None:
        assert [column.name for column in read(make, " id ,,x\n1,2,3\n").columns] == ["id", "column_2", "x"]


class TestColumns:
    def test_types_are_guessed_from_the_sample(self, make: Make) -> None:
        detected = read(
            make,
            "t,i,d,day,at,b,code,e\n"
            "x,1,1.5,2024-01-31,2024-01-31 10:00,true,01,\n"
            "y,-2,2,2024-02-29,2024-02-29T11:30:05.25-03:00,FALSE,2,\n",
        )
        types = [column.type for column in detected.columns]
        assert types == ["text", "integer", "decimal", "date", "datetime", "boolean", "text", "text"]

    def test_leading_zeros_anywhere_make_a_column_text(self, make: Make) -> None:
        body = "".join(f"{number}\n" for number in range(500))
        assert read(make, f"n\n{body}007\n").columns[0].type == "text"

    @pytest.mark.parametrize(
        ("text", "decimal", "is_ambiguous"),
        [
            ("a;b\n1,5;1.234,50\n", ",", False),
            ("a;b\n1.5;2.5\n", ".", False),
            ("a;b\n1.234;5.678\n", ",", True),
            ("a\tb\n1.234\t5.678\n", ".", True),
            ('a,b\n"1,234",1.25\n', ".", True),
            ("a,b\nx,y\n", ".", False),
        ],
    )
    def test_the_decimal_mark_is_what_the_columns_agree_on(
        self, make: Make, text: str, decimal: str, is_ambiguous: bool
    ) -> None:
        detected = read(make, text)
        assert (detected.decimal, detected.columns[0].is_ambiguous) == (decimal, is_ambiguous)

    def test_the_order_of_day_and_month_is_what_all_dates_allow(self, make: Make) -> None:
        columns = read(
            make, "a,b,c\n03/04/2021,13/04/2021,04/13/2021\n01/02/2021,01/02/2021,01/02/2021\n"
        ).columns
        assert [(column.date_order, column.is_ambiguous) for column in columns] == [
            ("dmy", True),
            ("dmy", False),
            ("mdy", False),
        ]

    def test_a_cell_that_is_cut_by_the_end_of_the_sample_does_not_count(self, make: Make) -> None:
        content = b"n,text\n" + b"1,y\n" * 200_000 + b'2,"' + b"x\n" * 400_000 + b'"\n'
        detected = detect(make(content), "a.csv")
        assert [column.type for column in detected.columns] == ["integer", "text"]
