"""Records are cut where Python's csv cuts them, whatever the blocks; what breaks costs one line."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.engine.reading.splitting import Splitter
from src.engine.reading.stretches import Marks, Records
from tests.engine.making import csv_bytes

LONG = 10_000
CELLS = st.text(st.sampled_from(list("ab\"',;\n\r\t| é")), max_size=6)
Cut = list[tuple[int, bytes, str]]


def cut(
    text: bytes,
    *sizes: int,
    delimiter: str | None = ",",
    quote: str | None = '"',
    longest: int = LONG,
    width: int | None = None,
) -> Cut:
    """Each record that is not blank: its line, its bytes, and what is wrong with it."""
    splitter = Splitter(Marks(delimiter, quote, longest, width))
    found: Cut = []
    for size in sizes:
        found += listed(splitter.take(text[:size]))
        text = text[size:]
    return found + listed(splitter.take(text)) + listed(splitter.take(b"", is_last=True))


def listed(records: Records) -> Cut:
    states = zip(records.is_broken, records.is_giant, strict=True)
    wrong = ["broken" if is_broken else "giant" if is_giant else "" for is_broken, is_giant in states]
    numbered = zip(records.lines.tolist(), wrong, strict=True)
    return [
        (line, records.raw(place), state)
        for place, (line, state) in enumerate(numbered)
        if records.raw(place)
    ]


def by_csv(text: str, delimiter: str, quote: str) -> list[tuple[int, list[str]]]:
    """What Python's own reader makes of a sound text, with the lines that records start on."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote, strict=True)
    found, line = [], 1
    for row in reader:
        if row:
            found.append((line, row))
        line = reader.line_num + 1
    return found


class TestSoundText:
    @settings(deadline=None)
    @given(
        rows=st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=8),
        delimiter=st.sampled_from(",;\t|"),
        quote=st.sampled_from("\"'"),
        line_end=st.sampled_from(["\n", "\r\n", "\r"]),
        quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        sizes=st.lists(st.integers(1, 20), max_size=5),
    )
    def test_it_is_cut_as_by_csv(
        self,
        rows: list[list[str]],
        delimiter: str,
        quote: str,
        line_end: str,
        quoting: int,
        sizes: list[int],
    ) -> None:
        text = csv_bytes(rows, delimiter=delimiter, quotechar=quote, lineterminator=line_end, quoting=quoting)
        found = cut(text, *sizes, delimiter=delimiter, quote=quote)
        assert {state for *_, state in found} <= {""}
        cells = [
            (
                line,
                next(csv.reader(io.StringIO(raw.decode(), newline=""), delimiter=delimiter, quotechar=quote)),
            )
            for line, raw, _ in found
        ]
        assert cells == by_csv(text.decode(), delimiter, quote)

    def test_quotes_within_a_cell_that_has_none_in_front_are_text(self) -> None:
        assert cut(b'5" pipe,"a\nb"\na "b",""\n') == [(1, b'5" pipe,"a\nb"', ""), (3, b'a "b",""', "")]

    def test_without_a_quote_only_line_ends_cut(self) -> None:
        assert cut(b'"a\nb"\r\rc', delimiter=None, quote=None) == [
            (1, b'"a', ""),
            (2, b'b"', ""),
            (4, b"c", ""),
        ]


class TestBrokenText:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            (b'a,"b\nc,d\n"e",f\n', [(1, b'a,"b', "broken"), (2, b"c,d", ""), (3, b'"e",f', "")]),
            (b'a,"b\nc,d\n', [(1, b'a,"b', "broken"), (2, b"c,d", "")]),
            (b'"a"b,c\nd,e\n', [(1, b'"a"b,c', "broken"), (2, b"d,e", "")]),
            (b'"a\nb"c,d\ne,f\n', [(1, b'"a', "broken"), (2, b'b"c,d', ""), (3, b"e,f", "")]),
            (b'x,y\n"a""\n"b","c\nd"\n', [(1, b"x,y", ""), (2, b'"a""', "broken"), (3, b'"b","c\nd"', "")]),
            (b'"', [(1, b'"', "broken")]),
            (b'5",6",7"\n"a\n', [(1, b'5",6",7"', ""), (2, b'"a', "broken")]),
        ],
    )
    def test_a_quote_that_is_wrong_costs_its_own_line(self, text: bytes, found: Cut) -> None:
        assert cut(text) == found

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            (
                b'1,"a,b\n2,c,d\n3,e,f"\n4,g,h\n',
                [(1, b'1,"a,b', "broken"), (2, b"2,c,d", ""), (3, b'3,e,f"', ""), (4, b"4,g,h", "")],
            ),
            (
                b'1,"a,b\n2,"c\nd",e\n3,f,g"\n"4",h,"i"\n',
                [
                    (1, b'1,"a,b', "broken"),
                    (2, b'2,"c\nd",e', ""),
                    (4, b'3,f,g"', ""),
                    (5, b'"4",h,"i"', ""),
                ],
            ),
            (b'1,"a\nb"\n2,c,d\n', [(1, b'1,"a\nb"', ""), (3, b"2,c,d", "")]),
            (b'1,"a\nb,c,d\n",e\n', [(1, b'1,"a\nb,c,d\n",e', "")]),
        ],
    )
    def test_two_stray_quotes_do_not_hide_the_rows_between_them(self, text: bytes, found: Cut) -> None:
        assert cut(text, width=3) == found
        assert cut(text, 5, 3, 9, width=3) == found

    def test_a_line_without_an_end_is_given_up_and_the_next_one_is_read(self) -> None:
        text = b"a\n" + b"x" * 50 + b"\r\nb\n"
        assert [(line, raw[:3], state) for line, raw, state in cut(text, 10, 10, longest=8)] == [
            (1, b"a", ""),
            (2, b"xxx", "giant"),
            (3, b"b", ""),
        ]

    def test_the_end_of_such_a_line_may_come_in_two_blocks(self) -> None:
        found = cut(b"x" * 10 + b"\r\nb", 11, 1, longest=4)
        assert [(line, state) for line, _, state in found] == [(1, "giant"), (2, "")]

    def test_a_quoted_cell_that_is_too_long_is_taken_for_a_stray_quote(self) -> None:
        text = b'"a\nb\n' + b"c\n" * 10 + b'"\nd\n'
        assert cut(text, longest=12)[:3] == [(1, b'"a', "broken"), (2, b"b", ""), (3, b"c", "")]

    @settings(deadline=None)
    @given(
        text=st.text(st.sampled_from(list('ab",\n\r')), max_size=40),
        sizes=st.lists(st.integers(1, 12), max_size=6),
        longest=st.sampled_from([6, 12, LONG]),
        width=st.sampled_from([None, 2, 3]),
    )
    def test_where_blocks_end_makes_no_difference(
        self, text: str, sizes: list[int], longest: int, width: int | None
    ) -> None:
        one, several = (
            [
                (line, raw[:longest], state)
                for line, raw, state in cut(text.encode(), *parts, longest=longest, width=width)
            ]
            for parts in ([], sizes)
        )
        assert several == one

    @settings(deadline=None)
    @given(text=st.text(st.sampled_from(list('ab",\n\r')), max_size=40))
    def test_every_line_is_in_exactly_one_record(self, text: str) -> None:
        """The records in a row give the text again, but for blank lines and line ends."""
        joined = b"".join(raw for _, raw, _ in cut(text.encode()))
        assert sorted(joined.translate(None, b"\r\n")) == sorted(text.encode().translate(None, b"\r\n"))
        lines = [line for line, *_ in cut(text.encode())]
        assert lines == sorted(set(lines))
