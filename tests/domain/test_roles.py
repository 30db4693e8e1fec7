"""Roles rank, scopes narrow."""

from uuid import uuid4

import pytest

from src.domain.roles import Actor, Policy, Role, RoleTooLow, ScopeMissing


def person(role: Role) -> Actor:
    return Actor(uuid4(), "someone", role)


def machine(*scopes: str) -> Actor:
    return Actor(uuid4(), "machine", Role.ADMIN, key_id=uuid4(), scopes=frozenset(scopes))


@pytest.mark.parametrize("needed", list(Role))
@pytest.mark.parametrize("role", list(Role))
def test_a_role_covers_itself_and_those_before_it(role: Role, needed: Role) -> None:
    order = [Role.VIEWER, Role.OPERATOR, Role.ADMIN]
    assert role.covers(needed) == (order.index(role) >= order.index(needed))


def test_too_low_a_role_is_refused() -> None:
    with pytest.raises(RoleTooLow, match="operator"):
        Policy(Role.OPERATOR).check(person(Role.VIEWER))


def test_a_person_needs_no_scope() -> None:
    Policy(Role.VIEWER, "files:read").check(person(Role.VIEWER))


def test_a_key_needs_its_scope_even_when_its_account_is_admin() -> None:
    Policy(Role.VIEWER, "files:read").check(machine("files:read"))
    with pytest.raises(ScopeMissing, match="files:write"):
        Policy(Role.VIEWER, "files:write").check(machine("files:read"))


def test_what_has_no_scope_is_not_for_keys() -> None:
    with pytest.raises(ScopeMissing, match="API keys cannot"):
        Policy(Role.VIEWER).check(machine("files:read"))


def test_one_sees_ones_own_and_an_admin_sees_all() -> None:
    someone, admin = person(Role.OPERATOR), person(Role.ADMIN)
    assert someone.sees == someone.account_id
    assert admin.sees is None
