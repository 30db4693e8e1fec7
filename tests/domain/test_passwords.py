"""Which passwords are good enough."""

import pytest

from src.domain.passwords import LONGEST, WeakPassword, check_password


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short12",
        "password",
        "PassWord",
        "12345678",
        "x" * (LONGEST + 1),
        "with\x00nul in it",
        "ana@example.org",
    ],
)
def test_weak_passwords_are_refused_with_the_place(password: str) -> None:
    with pytest.raises(WeakPassword) as caught:
        check_password(password, names=("Ana@Example.org",))
    assert caught.value.errors[0].pointer == "/password"


@pytest.mark.parametrize("password", ["correct horse battery", "pässwörter sind lang", "x9" * 128])
def test_long_and_uncommon_passwords_are_fine(password: str) -> None:
    check_password(password)
