"""What counts as a number, a date, a truth: the same in Python and in SQL."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.engine.reading.kinds import KINDS, Kind, fitting

BY_KEY = {(kind.type, kind.date_order, kind.has_offset): kind for kind in KINDS}
CONNECTION = duckdb.connect()
CONNECTION.execute("set TimeZone = 'UTC'")


def kinds(text: str) -> set[tuple[str, str | None]]:
    return {(kind.type, kind.decimal or kind.date_order) for kind in fitting([text])}


class TestValues:
    @pytest.mark.parametrize("text", ["0", "-7", "123456789012345678"])
    def test_integers(self, text: str) -> None:
        assert ("integer", None) in kinds(text)

    @pytest.mark.parametrize(
        "text",
        [
            "007",
            "+5",
            "1234567890123456789",
            "12345678901234567890",
            "-",
            "",
            "٣",
            "1_000",
            "NaN",
            "inf",
            "1e400",
        ],
    )
    def test_codes_and_oddities_are_no_numbers(self, text: str) -> None:
        assert not {kind for kind, _ in kinds(text)} & {"integer", "decimal"}

    @pytest.mark.parametrize(
        ("text", "marks"),
        [
            ("1.5", {"."}),
            ("1,5", {","}),
            ("1.234", {".", ","}),
            ("1.234,5", {","}),
            ("1,234.5", {"."}),
            ("-.5", {"."}),
            ("1e-05", {"."}),
            ("1,5E+10", {","}),
            ("00.5", set()),
            ("1.2.3", set()),
            ("12.34,5", set()),
        ],
    )
    def test_decimals(self, text: str, marks: set[str]) -> None:
        assert {mark for kind, mark in kinds(text) if kind == "decimal"} == marks

    @pytest.mark.parametrize(
        ("text", "orders"),
        [
            ("2024-02-29", {"ymd"}),
            ("2023-02-29", set()),
            ("2024/1/2", {"ymd"}),
            ("2024-01/02", set()),
            ("30/02/2024", set()),
            ("01.02.2024", {"dmy"}),
            ("31/12/2024", {"dmy"}),
            ("12/31/2024", {"mdy"}),
            ("0999-01-01", set()),
            ("01/02/24", set()),
            ("now", set()),
        ],
    )
    def test_dates(self, text: str, orders: set[str]) -> None:
        assert {order for kind, order in kinds(text) if kind == "date"} == orders

    @pytest.mark.parametrize(
        ("text", "fits"),
        [
            ("2024-02-29 10:00", True),
            ("2024-02-29T23:59:59.123456Z", True),
            ("2024-02-29 10:00:00-03:00", True),
            ("29/02/2024 9:05", True),
            ("2024-02-29 24:00", False),
            ("2024-02-29 10", False),
            ("2024-02-29 10:00:00 UTC", False),
        ],
    )
    def test_datetimes(self, text: str, fits: bool) -> None:
        assert ("datetime" in {kind for kind, _ in kinds(text)}) is fits

    def test_truths_are_written_out(self) -> None:
        assert all(("boolean", None) in kinds(text) for text in ["true", "False", "SIM", "Não", "NÃO", "yes"])
        assert not any(kinds(text) for text in ["t", "S", "tRue", "ſim"])


class TestColumns:
    def test_blanks_around_values_do_not_matter_and_empty_ones_do_not_count(self) -> None:
        assert fitting([" 1 ", "", " \t", "2\n"])[0].type == "integer"
        assert fitting(["", " "]) == ()


ALPHABET = st.text("0123456789.,-+/:eE TZ", max_size=12)
LOOKALIKES = st.one_of(
    ALPHABET,
    st.from_regex(r"-?[0-9]{1,20}([.,][0-9]{1,19})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.from_regex(r"[0-9]{1,3}([.,][0-9]{3}){1,3}([.,][0-9]{1,3})?", fullmatch=True),
    st.from_regex(
        r"[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}([ T][0-2]?[0-9]:[0-5][0-9](:[0-5][0-9])?)?", fullmatch=True
    ),
    st.from_regex(
        r"[0-3]?[0-9][-/.][0-1]?[0-9][-/.][0-9]{4}( [0-9]{1,2}:[0-9]{2}([+-][0-9]{2}:[0-9]{2})?)?",
        fullmatch=True,
    ),
    st.sampled_from(["true", "Não", "nao", "no"]),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(LOOKALIKES, st.sampled_from(["", " ", "\t", "\r\n"])), min_size=1, max_size=20))
def test_sql_and_python_agree_on_what_fits(texts: list[tuple[str, str]]) -> None:
    values = [f"{blank}{text}{blank}" for text, blank in texts if text.strip()]
    tests = ", ".join(kind.sql_fits("v") for kind in KINDS)
    found = CONNECTION.execute(f"select {tests} from (select unnest(?) as v)", [values]).fetchall()
    assert found == [tuple(kind.fits(value.strip(" \t\r\n")) for kind in KINDS) for value in values]


@pytest.mark.parametrize(
    ("kind", "text", "moment"),
    [
        (BY_KEY["datetime", "ymd", True], " 2024-02-29T10:00:00+02:00 ", "2024-02-29 08:00:00"),
        (BY_KEY["datetime", "ymd", False], "2024-02-29 10:00:00Z", "2024-02-29 10:00:00"),
        (BY_KEY["datetime", "ymd", True], "2024-02-29\n", "2024-02-29 00:00:00"),
        (BY_KEY["datetime", "dmy", False], "1/2/2024 9:05\n", "2024-02-01 09:05:00"),
        (BY_KEY["datetime", "mdy", False], "1/2/2024 9:05", "2024-01-02 09:05:00"),
        (BY_KEY["date", "dmy", False], "\t1.2.2024", "2024-02-01 00:00:00"),
    ],
)
def test_moments_mean_what_they_say(kind: Kind, text: str, moment: str) -> None:
    query = f"select cast({kind.sql_moment('v')} as varchar) from (select ? as v)"
    assert CONNECTION.execute(query, [text]).fetchall() == [(moment,)]
