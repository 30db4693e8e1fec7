"""Cursors go out and come back the same; anything else is refused with a sentence."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.paging import BadCursor, BadOrder, Cursor, PageQuery, TooDeep

storable = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
values = st.one_of(
    st.uuids(), st.integers(-(2**63), 2**63 - 1), storable, st.datetimes(timezones=st.just(UTC))
)


@given(st.text(), values, values, st.booleans())
def test_a_cursor_comes_back_as_it_went_out(
    order: str, value: object, id_: object, is_backward: bool
) -> None:
    cursor = Cursor(order, value, id_, is_backward)
    assert Cursor.decode(cursor.encode()) == cursor


@given(st.text())
def test_any_other_text_is_refused_or_harmless(text: str) -> None:
    with suppress(BadCursor):
        assert isinstance(Cursor.decode(text).order_by, str)


def test_a_refusal_names_the_place() -> None:
    with pytest.raises(BadCursor) as caught:
        Cursor.decode("nonsense")
    assert caught.value.errors[0].pointer == "/cursor"


def test_an_order_must_be_allowed_and_fit_the_cursor() -> None:
    PageQuery("-name").check_order(("id", "name"))
    with pytest.raises(BadOrder, match="id, -id, name, -name"):
        PageQuery("password_hash").check_order(("id", "name"))
    foreign = Cursor("id", 1, 1)
    with pytest.raises(BadOrder):
        PageQuery("-name", cursor=foreign).check_order(("id", "name"))


def test_page_numbers_reach_only_so_deep() -> None:
    assert PageQuery(per_page=100, page=3).offset == 200
    with pytest.raises(TooDeep):
        _ = PageQuery(per_page=500, page=1_000_000).offset


def test_times_keep_their_microseconds() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert Cursor.decode(Cursor("created_at", moment, 1).encode()).value == moment


@pytest.mark.parametrize("value", ["a\x00b", "\ud800", 2**63, -(2**63) - 1, 1.5, True, None, [1]])
def test_what_no_column_can_hold_is_refused_or_told_from_a_number(value: object) -> None:
    text = Cursor("id", value, 1).encode()
    if value is True or value is None:  # a list knows whether its rows can have no value
        assert Cursor.decode(text).value is value
        return
    with pytest.raises(BadCursor):
        Cursor.decode(text)
