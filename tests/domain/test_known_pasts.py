"""What is known of clients' pasts: until another writes, for so many clients, and as if it had just been read."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from src.domain import known_pasts
from src.domain.alerts import History
from src.domain.event_batches import ALL, Past
from src.domain.known_pasts import KnownPasts

TYPES = st.lists(st.sampled_from(["deposit", "withdraw"]), max_size=30)


def history(types: list[str]) -> History:
    """An event at each second."""
    made = History()
    for t, type_ in enumerate(types):
        made.add(made.next(t, type_, Decimal(1)))
    return made


def a_past(client: int, latest: int, *, stream: int = ALL) -> Past:
    return Past(client, stream, latest, history(["deposit"]))


@given(TYPES, TYPES, st.integers(1, 5), st.integers(1, 5), st.booleans())
def test_a_shortened_history_holds_what_reading_the_latest_of_each_type_gives_without_a_hole(
    before: list[str], after: list[str], deposits: int, withdraws: int, may_have_holes: bool
) -> None:
    known = history(before)
    known.shorten(deposits, withdraws)
    for t, type_ in enumerate(after, len(before)):
        known.add(known.next(t, type_, Decimal(1)))
    known.may_have_holes = may_have_holes
    known.shorten(deposits, withdraws)
    everything = history(before + after)
    for mine, all_, most in (
        (known.deposit, everything.deposit, deposits),
        (known.withdraw, everything.withdraw, withdraws),
    ):
        assert mine[-most:] == all_[-most:]
        assert mine == all_[len(all_) - len(mine) :]
        assert len(mine) <= most or not may_have_holes
    longest = min(deposits, withdraws)
    assert known.any[-longest:] == everything.any[-longest:]
    assert known.any == sorted((*known.deposit, *known.withdraw))
    assert len(known.any) <= 2 * (deposits + withdraws)
    assert not known.may_have_holes


def test_a_history_that_may_have_holes_is_cut_to_what_has_none() -> None:
    read = history(["deposit"] * 9)
    known = History([*read.any[:1], *read.any[-3:]], may_have_holes=True)
    known.shorten(3, 3)
    assert known.any == known.deposit == read.any[-3:]


def test_what_is_taken_and_not_given_back_is_forgotten() -> None:
    known = KnownPasts()
    known.keep({"a": a_past(1, 5), "b": a_past(2, 5)}, {ALL: 7}, (1, 1))
    assert {name: past.latest for name, past in known.take(["a", "nobody"]).items()} == {"a": 7}
    assert known.take(["a", "b"]).keys() == {"b"}


def test_of_one_stream_all_are_forgotten_when_another_process_has_written() -> None:
    known = KnownPasts()
    known.keep({"a": a_past(1, 5)}, {ALL: 7}, (1, 1))
    known.keep({"b": a_past(2, 9)}, {ALL: 10}, (1, 1))
    assert {name: past.latest for name, past in known.take(["a", "b"]).items()} == {"b": 10}


def test_clients_with_streams_of_their_own_are_known_for_themselves() -> None:
    known = KnownPasts()
    known.keep({"a": a_past(1, 5, stream=1)}, {1: 6}, (1, 1))
    known.keep({"b": a_past(2, 90, stream=2), "nobody": Past(None, ALL, None, History())}, {}, (1, 1))
    taken = known.take(["a", "b", "nobody"])
    assert {name: past.latest for name, past in taken.items()} == {"a": 6, "b": 90}
    known.keep(taken, {}, (1, 1))
    known.clear()
    assert known.take(["a", "b"]) == {}


def test_of_too_many_the_one_that_was_used_longest_ago_goes() -> None:
    known = KnownPasts()
    for number in range(known_pasts.MOST):
        known.keep({str(number): a_past(number, 5, stream=number + 1)}, {}, (1, 1))
    known.keep(known.take(["0"]), {}, (1, 1))
    known.keep({"one more": a_past(0, 5, stream=1)}, {}, (1, 1))
    assert known.take(["0", "1", "2"]).keys() == {"0", "2"}


def test_what_has_not_come_true_is_forgotten_with_all_that_hung_on_it() -> None:
    known = KnownPasts()
    known.keep({"a": a_past(1, 5), "b": a_past(2, 5)}, {ALL: 7}, (1, 1))
    known.forget(["a"])
    assert known.take(["a", "b"]) == {}
    known = KnownPasts()
    known.keep({"a": a_past(1, 5, stream=1), "b": a_past(2, 5, stream=2)}, {1: 7}, (1, 1))
    known.forget(["a", "nobody"])
    assert {name: past.latest for name, past in known.take(["a", "b"]).items()} == {"b": 5}
