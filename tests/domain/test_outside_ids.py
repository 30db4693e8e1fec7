"""Which ids of the outside can be kept, and where the clients that have them are."""

from unicodedata import category
from urllib.parse import unquote

import pytest

from src.domain.outside_ids import client_address, has_address, has_controls


def test_controls_are_those_that_unicode_calls_so() -> None:
    characters = list(map(chr, range(0x110000)))
    assert [one for one in characters if has_controls(one)] == [
        one for one in characters if category(one) == "Cc"
    ]


@pytest.mark.parametrize(
    ("id_", "has_one"),
    [
        ("7", True),
        ("...", True),
        ("a/.", True),
        ("transactions", True),
        ("a/transactions/b", True),
        (".", False),
        ("..", False),
        ("a/transactions", False),
        ("/events", False),
    ],
)
def test_an_address_is_had_unless_it_is_walked_or_another_s(id_: str, has_one: bool) -> None:
    assert has_address(id_) is has_one


@pytest.mark.parametrize("id_", ["7", "q%201", "q 1", "/eve", "a//b", "é?#&", "a\nb"])
def test_an_address_is_one_part_of_a_path_and_plain(id_: str) -> None:
    start, part = (
        client_address(id_)[: len("/api/v1/clients/")],
        client_address(id_)[len("/api/v1/clients/") :],
    )
    assert (start, unquote(part)) == ("/api/v1/clients/", id_)
    assert part.isascii()
    assert not set(part) & set("/?# \n")
