"""Texts become values, or faults with a code: by example, and as a naive model reads them one by one."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.domain.datasets import ATENDIMENTOS, CLIENTS, TRANSACTIONS, Field
from src.domain.outside_ids import BELOW
from src.engine.imports.casting import cast_columns
from src.engine.imports.moments import moment
from tests.engine.importing import plan_of, reading

UTC, SAO_PAULO = "UTC", "America/Sao_Paulo"
TEXT = Field(name="a", type="text", max_length=5)
NUMBER = Field(name="a", type="decimal", digits=7, places=2)
DAY = Field(name="a", type="date")
MOMENT = Field(name="a", type="datetime")


def cast(field: Field, values: Sequence[str], **options: Any) -> list[Any]:
    """Each value as it is loaded, or the code of its fault."""
    plan = plan_of(reading(["a"]), [field], **options)
    (column,), faults = cast_columns(plan, [pa.array(values, pa.string())])
    found = column.to_pylist()
    assert len(found) == len(values)
    for fault in faults:
        assert fault.values.to_pylist() == [values[row] for row in fault.rows]
        for row in fault.rows:
            found[row] = fault.code
    rows = [row for fault in faults for row in fault.rows.tolist()]
    assert len(rows) == len(set(rows))
    return found


def one(field: Field, value: str, **options: Any) -> Any:
    return cast(field, [value], **options)[0]


class TestTexts:
    @pytest.mark.parametrize(
        ("value", "found"),
        [
            ("Ana", "Ana"),
            (" \t\u00a0Ana \r\n", "Ana"),
            ("", None),
            (" \u00a0", None),
            ("=1+1", "=1+1"),
            ("éééé漢", "éééé漢"),
            ("abcdef", "too_long"),
            ("a\0b", "control_character"),
            ("a\x1fb", "control_character"),
            ("a\x7fb", "control_character"),
            ("a\u0081b", "control_character"),
            ("a\tb\nc", "a\tb\nc"),
            ("a\u0085b", "a\u0085b"),
            ("NULL", "NULL"),
        ],
    )
    def test_they_are_trimmed_and_bounded(self, value: str, found: str | None) -> None:
        assert one(TEXT, value) == found

    def test_an_empty_value_is_missing_where_one_is_required(self) -> None:
        assert cast(Field(name="a", type="text", is_required=True), ["", " ", "b"]) == [
            "missing",
            "missing",
            "b",
        ]

    def test_some_are_kept_in_capitals(self) -> None:
        assert cast(Field(name="a", type="text", upper=True), ["done", "São"]) == ["DONE", "SÃO"]

    def test_identifiers_keep_their_zeros(self) -> None:
        assert cast(Field(name="a", type="identifier"), ["7", "007", " 7 ", "7.0"]) == [
            "7",
            "007",
            "7",
            "7.0",
        ]

    @pytest.mark.parametrize("value", ["a\nb", "a\tb", "a\r\nb", "a\0b", "a\x7fb", "é\u0085b", "\u009fé"])
    def test_identifiers_are_of_one_line(self, value: str) -> None:
        field = Field(name="a", type="identifier")
        assert cast(field, ["7", value, " é\t", "漢/."]) == ["7", "control_character", "é", "漢/."]

    @pytest.mark.parametrize("name", ["id_cliente", "client_id"])
    def test_a_client_s_id_has_an_address(self, name: str) -> None:
        field = (CLIENTS if name == "client_id" else ATENDIMENTOS).field(name)
        good = ["7", "...", "a/transactions/b", "2021/07/x", "7.0", "transactions"]
        bad = [".", " .. ", *(f"a{end}" for end in BELOW), *BELOW]
        assert cast(field, [*good, *bad]) == [*good, *(["out_of_range"] * len(bad))]
        assert cast(ATENDIMENTOS.field("id_atendimento"), [".", "a/events"]) == [".", "a/events"]

    def test_nothing_to_read_is_no_trouble(self) -> None:
        for kind in ("text", "identifier", "email", "choice", "code", "decimal", "date", "datetime"):
            assert cast(Field(name="a", type=kind), []) == []
            assert cast(Field(name="a", type=kind), ["", " "]) == [None, None]


class TestEmails:
    @pytest.mark.parametrize("value", ["a@b.com", "A.B+c@Example.Org", "o'neil@x-y.co.uk", "josé@são.br"])
    def test_they_are_kept_in_small_letters(self, value: str) -> None:
        assert one(CLIENTS.field("email"), value) == value.lower()

    @pytest.mark.parametrize(
        "value",
        [
            *(
                "a",
                "a@b",
                "@b.com",
                "a@",
                "a b@c.com",
                "a@b..com",
                "a@-b.com",
                "a@b-.com",
                ".a@b.com",
                "a.@b.com",
            ),
            *("a@b.com,c@d.com", "a@@b.com", "<a@b.com>", "a@b.com.", "a\u00a0b@c.com", "a@b_c.com"),
            f"{'a' * 65}@b.com",
        ],
    )
    def test_what_is_none_is_refused(self, value: str) -> None:
        assert one(CLIENTS.field("email"), value) == "not_an_email"


class TestChoicesAndCodes:
    def test_choices_are_kept_as_they_are_declared(self) -> None:
        field = TRANSACTIONS.field("transaction_type")
        values = ["buy", "SELL", " Buy ", "", "hold", "buy\u200b"]
        assert cast(field, values) == ["buy", "sell", "buy", "missing", "unknown_choice", "unknown_choice"]

    def test_codes_are_three_letters(self) -> None:
        values = ["brl", "USD", "R$", "BRLX", "B1L", "brÉ", ""]
        codes = ["not_a_code"] * 4
        assert cast(TRANSACTIONS.field("currency"), values) == ["BRL", "USD", *codes, "missing"]


class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "mark", "found"),
        [
            ("1234.5", ".", Decimal("1234.50")),
            ("-0.05", ".", Decimal("-0.05")),
            ("+5", ".", Decimal(5)),
            (".5", ".", Decimal("0.5")),
            ("-.5", ".", Decimal("-0.5")),
            ("007", ".", Decimal(7)),
            ("1,234.56", ".", Decimal("1234.56")),
            ("12,345", ".", Decimal(12345)),
            ("1.234,56", ",", Decimal("1234.56")),
            ("1.234", ",", Decimal(1234)),
            ("1,5", ",", Decimal("1.5")),
            ("", ".", None),
            ("12,34.5", ".", "not_a_number"),
            ("1,2345", ".", "not_a_number"),
            ("0,125", ".", "not_a_number"),
            (",123", ".", "not_a_number"),
            ("1.234,56", ".", "not_a_number"),
            ("1,234.56", ",", "not_a_number"),
            ("1.5", ",", "not_a_number"),
            ("5.", ".", "not_a_number"),
            ("1e5", ".", "not_a_number"),
            ("NaN", ".", "not_a_number"),
            ("inf", ".", "not_a_number"),
            ("-Infinity", ".", "not_a_number"),
            ("0x10", ".", "not_a_number"),
            ("1_000", ".", "not_a_number"),
            ("--1", ".", "not_a_number"),
            ("１", ".", "not_a_number"),
            ("R$ 1", ".", "not_a_number"),
            ("0.125", ".", "too_many_decimals"),
            ("1.500", ".", "too_many_decimals"),
            ("99999.99", ".", Decimal("99999.99")),
            ("000099999.99", ".", Decimal("99999.99")),
            ("100000", ".", "out_of_range"),
            ("-100000.001", ".", "out_of_range"),
        ],
    )
    def test_each_is_read_with_the_mark_of_its_column(self, value: str, mark: str, found: object) -> None:
        assert one(NUMBER, value, decimal=mark) == found

    @settings(deadline=None)
    @given(
        values=st.lists(
            st.decimals(-(10**5), 10**5, places=3).map(str)
            | st.decimals(-(10**5), 10**5, places=2).map("{:,}".format)
            | st.text(st.sampled_from(list("0123456789.,+-e ")), max_size=8),
            max_size=8,
        ),
        mark=st.sampled_from([".", ","]),
    )
    def test_all_are_read_as_one_by_one(self, values: list[str], mark: str) -> None:
        assert cast(NUMBER, values, decimal=mark) == [number_of(value, mark) for value in values]


def number_of(value: str, mark: str) -> Decimal | str | None:
    """The naive model."""
    text = value.strip()
    if not text:
        return None
    sign, digits = (text[0], text[1:]) if text[0] in "+-" else ("+", text)
    whole, has_mark, fraction = digits.partition(mark)
    groups = whole.split(",.".replace(mark, ""))
    parts = [*groups, fraction] if has_mark else groups
    is_number = all(part.isdecimal() for part in parts if part or part is not groups[0])
    if len(groups) > 1:
        is_number &= (
            1 <= len(groups[0]) <= 3 and groups[0][0] != "0" and all(len(group) == 3 for group in groups[1:])
        )
    if not is_number or (has_mark and not fraction) or not (whole or fraction):
        return "not_a_number"
    number = Decimal(f"{sign}{''.join(groups) or '0'}.{fraction or '0'}")
    if abs(int(number)) >= 10**5:
        return "out_of_range"
    return number if len(fraction) <= 2 else "too_many_decimals"


class TestWhatAClerkIsTold:
    @pytest.mark.parametrize(
        ("field", "value", "how", "detail"),
        [
            (NUMBER, "1.234,5", {"decimal": "."}, "It was read with a decimal point: write it as 1234.50."),
            (NUMBER, "1.5", {"decimal": ","}, "It was read with a decimal comma: write it as 1234,50."),
            (replace(NUMBER, places=0), "x", {}, "It was read with a decimal point: write it as 1234."),
            (NUMBER, "1.500", {"decimal": "."}, "At most 2, behind a decimal point."),
            (DAY, "06/30/2021", {"date_order": "dmy"}, "It was read as day/month/year."),
            (DAY, "30/06/2021", {"date_order": "ymd"}, "It was read as year-month-day."),
            (MOMENT, "30/06/2021 10:00", {"date_order": "mdy"}, "It was read as month/day/year."),
        ],
    )
    def test_how_the_column_was_read(
        self, field: Field, value: str, how: dict[str, Any], detail: str
    ) -> None:
        plan = plan_of(reading(["a"]), [field], **how)
        (fault,) = cast_columns(plan, [pa.array([value])])[1]
        assert fault.detail == detail


class TestSigns:
    def test_a_sale_is_not_above_and_a_purchase_not_below_zero(self) -> None:
        fields = [TRANSACTIONS.field("transaction_type"), TRANSACTIONS.field("amount")]
        plan = plan_of(reading(["transaction_type", "amount"]), fields, rules=TRANSACTIONS.rules)
        kinds = pa.array(["buy", "BUY", "buy", "sell", "sell", "sell", "none", "sell"])
        amounts = pa.array(["1", "-1", "0", "1", "-1", "0", "1", "x"])
        _, faults = cast_columns(plan, [kinds, amounts], plan.rules)
        found = {(fault.column, fault.code, int(row)) for fault in faults for row in fault.rows}
        assert found == {
            ("amount", "wrong_sign", 1),
            ("amount", "wrong_sign", 3),
            ("transaction_type", "unknown_choice", 6),
            ("amount", "not_a_number", 7),
        }

        assert {fault.detail for fault in faults if fault.code == "wrong_sign"} == {
            "It must be ≥ 0 for buy, ≤ 0 for sell."
        }

    def test_without_the_choice_there_is_no_rule(self) -> None:
        plan = plan_of(reading(["amount"]), [TRANSACTIONS.field("amount")], rules=TRANSACTIONS.rules)
        assert cast_columns(plan, [pa.array(["-1"])], plan.rules)[1] == []


class TestDates:
    @pytest.mark.parametrize(
        ("value", "order", "found"),
        [
            ("2021-06-30", "ymd", date(2021, 6, 30)),
            ("2021/06/30", "dmy", date(2021, 6, 30)),
            ("30/06/2021", "dmy", date(2021, 6, 30)),
            ("30.06.2021", "dmy", date(2021, 6, 30)),
            ("30-6-2021", "dmy", date(2021, 6, 30)),
            ("06/30/2021", "mdy", date(2021, 6, 30)),
            ("3/4/2021", "mdy", date(2021, 3, 4)),
            ("2021-06-30 00:00:00", "ymd", date(2021, 6, 30)),
            ("2021-06-30T00:00:00.000Z", "ymd", date(2021, 6, 30)),
            ("0001-01-01", "ymd", date(1, 1, 1)),
            ("9999-12-31", "ymd", date(9999, 12, 31)),
            ("2024-02-29", "ymd", date(2024, 2, 29)),
            ("", "ymd", None),
            *(
                (value, "dmy", "not_a_date")
                for value in (
                    *("2021-02-30", "2023-02-29", "31/06/2021", "06/30/2021", "0000-01-01", "2021-00-10"),
                    *("2021-13-01", "10000-01-01", "2021-6/30", "2021-06-30 15:30", "2021-06-30T00:00+03:00"),
                    *(
                        "now",
                        "infinity",
                        "today",
                        "epoch",
                        "20210630",
                        "30/06/21",
                        "2021-06",
                        "２０２１-06-30",
                    ),
                    *("2021-06-31T00:00:00Z", "2021-06-30T00:00:00.000+00:61", "-2021-06-30"),
                )
            ),
            ("30/06/2021", "ymd", "not_a_date"),
            ("06.30.2021", "mdy", "not_a_date"),
        ],
    )
    def test_each_is_read_in_the_order_of_its_column(self, value: str, order: str, found: object) -> None:
        assert one(DAY, value, date_order=order) == found

    def test_bounds_are_included(self) -> None:
        field = Field(name="a", type="date", first=date(1850, 1, 1), last=date(2099, 12, 31))
        values = ["1849-12-31", "1850-01-01", "2099-12-31", "2100-01-01", ""]
        bounds = [date(1850, 1, 1), date(2099, 12, 31)]
        assert cast(field, values) == ["out_of_range", *bounds, "out_of_range", None]


class TestMoments:
    @pytest.mark.parametrize(
        ("value", "zone", "found"),
        [
            ("2021-06-30 15:30", SAO_PAULO, datetime(2021, 6, 30, 15, 30)),
            ("2021-06-30T15:30:45", SAO_PAULO, datetime(2021, 6, 30, 15, 30, 45)),
            ("2021-06-30T15:30:45.5", UTC, datetime(2021, 6, 30, 15, 30, 45, 500_000)),
            ("2021-06-30 15:30:45,123456789", UTC, datetime(2021, 6, 30, 15, 30, 45, 123_456)),
            ("30/06/2021 9:05", UTC, datetime(2021, 6, 30, 9, 5)),
            ("2021-06-30", SAO_PAULO, datetime(2021, 6, 30)),
            ("2021-06-30T15:30:00Z", SAO_PAULO, datetime(2021, 6, 30, 12, 30)),
            ("2021-06-30 15:30:00+02:00", SAO_PAULO, datetime(2021, 6, 30, 10, 30)),
            ("2021-06-30 15:30-0300", SAO_PAULO, datetime(2021, 6, 30, 15, 30)),
            ("2021-06-30 15:30 +00", UTC, datetime(2021, 6, 30, 15, 30)),
            ("2018-11-04T02:59:59Z", SAO_PAULO, datetime(2018, 11, 3, 23, 59, 59)),
            ("2018-11-04T03:00:00Z", SAO_PAULO, datetime(2018, 11, 4, 1, 0)),
            *(
                (value, SAO_PAULO, "not_a_date")
                for value in (
                    *(
                        "2021-06-30 24:00",
                        "2021-06-30 23:60",
                        "2021-06-30 23:59:60",
                        "2021-06-30 15",
                        "15:30",
                    ),
                    *(
                        "2021-06-30 15:30 PM",
                        "2021-06-30  15:30",
                        "2021-06-30 15:30:00.",
                        "2021-06-30 15:30+15:00",
                    ),
                    *("2021-06-30 15:30:00+14:01", "2021-06-30Z", "now", "-infinity", "2021-06-30x15:30"),
                    *("0001-01-01T00:00:00Z", "2021-02-29 10:00:00", "1625067000", "2021-06-30 15:3"),
                )
            ),
            ("9999-12-31T23:59:59-01:00", UTC, "not_a_date"),
        ],
    )
    def test_each_becomes_a_time_on_the_clock_of_the_zone(self, value: str, zone: str, found: object) -> None:
        assert one(MOMENT, value, time_zone=zone, date_order="dmy") == found

    @settings(deadline=None)
    @given(
        parts=st.lists(
            st.tuples(
                st.sampled_from(["%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y"]),
                st.sampled_from(["", " %H:%M", "T%H:%M", " %H:%M:%S", "T%H:%M:%S", " %H:%M:%S.%f", " %H.%M"]),
                st.sampled_from(["", "", "Z", "+02:00", "-03:30", "+14:00", " ", "X"]),
                st.datetimes(datetime(1000, 1, 1), datetime(9998, 12, 31))
                | st.datetimes(datetime(2017, 1, 1), datetime(2019, 12, 31)),
            ),
            max_size=6,
        ),
        order=st.sampled_from(["ymd", "dmy", "mdy"]),
        zone=st.sampled_from([UTC, SAO_PAULO, "Europe/Lisbon"]),
    )
    def test_all_are_read_as_one_by_one(
        self, parts: list[tuple[str, str, str, datetime]], order: str, zone: str
    ) -> None:
        values = [when.strftime(day + clock) + offset for day, clock, offset, when in parts]
        found = cast(MOMENT, values, date_order=order, time_zone=zone)
        assert found == [moment_of(value, order, zone) for value in values]

    @settings(deadline=None)
    @given(
        values=st.lists(st.text(st.sampled_from(list("0123456789-/: TZ.+")), max_size=20), max_size=5),
        order=st.sampled_from(["ymd", "dmy", "mdy"]),
    )
    def test_the_fast_way_and_the_slow_way_agree(self, values: list[str], order: str) -> None:
        found = cast(MOMENT, values, date_order=order)
        assert found == [by_itself(value, order) for value in values]

    @settings(deadline=None)
    @given(
        value=st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)).map(str),
        place=st.integers(0, 25),
        other=st.sampled_from(list("0123456789-/: TZ.+x")),
        order=st.sampled_from(["ymd", "dmy", "mdy"]),
    )
    def test_they_agree_where_a_character_is_wrong(
        self, value: str, place: int, other: str, order: str
    ) -> None:
        spoilt = value[:place] + other + value[place + 1 :]
        assert one(MOMENT, spoilt, date_order=order) == by_itself(spoilt, order)


def by_itself(value: str, order: Any) -> datetime | str | None:
    """What the reading of single texts says."""
    if not value.strip():
        return None
    found = moment(value.strip(), order, UTC)
    return "not_a_date" if found is None else datetime(1970, 1, 1) + timedelta(microseconds=found)


def moment_of(value: str, order: str, zone: str) -> datetime | str:
    """The naive model, which knows the ways of writing that the test writes."""
    days = {"ymd": [], "dmy": ["%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y"], "mdy": ["%m/%d/%Y", "%m-%d-%Y"]}[order]
    for day in ("%Y-%m-%d", "%Y/%m/%d", *days):
        for clock in ("", " %H:%M", "T%H:%M", " %H:%M:%S", "T%H:%M:%S", " %H:%M:%S.%f"):
            for offset in ("", "%z"):
                if offset and (not clock or not re.search("(Z|[+-][0-9]{2}:[0-9]{2})$", value)):
                    continue
                try:
                    found = datetime.strptime(value.strip(), day + clock + offset)  # noqa: DTZ007
                except ValueError:
                    continue
                return found.astimezone(ZoneInfo(zone)).replace(tzinfo=None) if offset else found
    return "not_a_date"


class TestMasks:
    def test_slices_of_columns_are_read_as_their_own(self) -> None:
        plan = plan_of(reading(["a"]), [TEXT])
        column = pa.array(["first", "", " b ", "too long", "c\0"])
        (values,), faults = cast_columns(plan, [column.slice(1, 3)])
        assert values.to_pylist()[:2] == [None, "b"]
        assert [(fault.code, fault.rows.tolist()) for fault in faults] == [("too_long", [2])]
        assert np.array_equal(faults[0].rows, [2])
