"""What a file may be called, and where its bytes live."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from src.domain.files import FALLBACK, LONGEST_NAME, clean_name, storage_key
from src.domain.ids import uuid7
from src.integrations.storage import checked_new_key


@given(st.text())
def test_a_clean_name_has_no_folders_control_or_direction_characters(name: str) -> None:
    cleaned = clean_name(name)
    assert 0 < len(cleaned) <= LONGEST_NAME
    assert not set(cleaned) & {"/", "\\"}
    assert all(unicodedata.category(char)[0] != "C" for char in cleaned)
    assert cleaned not in (".", "..")


@given(st.text())
def test_cleaning_twice_changes_nothing_more(name: str) -> None:
    assert clean_name(clean_name(name)) == clean_name(name)


def test_names_that_people_use_stay_as_they_are() -> None:
    assert clean_name("Relatório março (final).csv") == "Relatório março (final).csv"


def test_odd_names_become_harmless() -> None:
    assert clean_name("../../etc/passwd") == "passwd"
    assert clean_name("C:\\fakepath\\a.csv") == "a.csv"
    assert clean_name("a\r\nSet-Cookie: x.csv") == "aSet-Cookie: x.csv"
    assert clean_name("\u202egpj.exe") == "gpj.exe"
    assert clean_name("..") == FALLBACK


def test_a_long_name_keeps_its_ending() -> None:
    cleaned = clean_name("x" * 5_000 + ".csv")
    assert cleaned.endswith("xx.csv")
    assert len(cleaned) == LONGEST_NAME


def test_keys_are_good_for_every_store_and_carry_the_fence() -> None:
    id_ = uuid7()
    assert checked_new_key(storage_key(id_)) == storage_key(id_)
    assert checked_new_key(storage_key(id_, 3)) == f"{storage_key(id_)}.3"
