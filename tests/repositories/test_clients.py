"""Clients of several requests at once: numbers are given once, addresses and ids have one owner."""

from typing import Any

import pytest
from sqlalchemy import event, func, select, text

from src.domain.errors import DomainError
from src.models import Client
from src.repositories.clients import ClientExists, EmailTaken
from src.wiring import services
from tests.committing import Workshop

MANY = 8


def external_ids() -> list[str]:
    with services() as s:
        return list(s.session.scalars(select(Client.external_id).order_by(Client.id)))


def tried(**values: str) -> type[DomainError] | None:
    """What became of a new client."""
    try:
        with services() as s:
            s.client_rows.create(values.pop("external_id"), values)
    except DomainError as error:
        return type(error)
    return None


def test_numbers_that_are_given_at_once_are_different(workshop: Workshop) -> None:
    def make(_: int) -> str:
        with services() as s:
            return s.client_rows.create_numbered({}).external_id

    assert sorted(workshop.together(make, MANY), key=int) == [str(n) for n in range(1, MANY + 1)]


def test_they_are_different_where_all_meet_the_same_taken_ones(workshop: Workshop) -> None:
    with services() as s:
        s.session.execute(
            text("INSERT INTO client (external_id) SELECT n::text FROM generate_series(1, 1000) n")
        )

    def make(_: int) -> str:
        with services() as s:
            return s.client_rows.create_numbered({}).external_id

    given = workshop.together(make, MANY)
    assert len(set(given)) == MANY
    assert min(map(int, given)) == 1001


def test_a_long_run_of_taken_numbers_is_jumped_over_in_few_steps(workshop: Workshop) -> None:
    with services() as s:
        s.session.execute(
            text("INSERT INTO client (external_id) SELECT n::text FROM generate_series(1, 50000) n")
        )
    statements: list[str] = []

    @event.listens_for(workshop.database.bind, "before_cursor_execute")
    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    with services() as s:
        assert s.client_rows.create_numbered({}).external_id == "50001"
    assert len(statements) < 60


def test_of_twins_with_one_id_one_is_made(workshop: Workshop) -> None:
    answers = workshop.together(lambda _: tried(external_id="7"), MANY)
    assert sorted(map(str, answers)) == sorted(map(str, [None] + [ClientExists] * (MANY - 1)))
    assert external_ids() == ["7"]


def test_of_twins_with_one_address_one_is_made_and_the_others_are_told(workshop: Workshop) -> None:
    answers = workshop.together(lambda n: tried(external_id=str(n), email="ana@example.org"), MANY)
    assert sorted(map(str, answers)) == sorted(map(str, [None] + [EmailTaken] * (MANY - 1)))
    with services() as s:
        assert s.session.scalar(select(func.count()).select_from(Client)) == 1


def test_another_fault_of_the_database_is_not_taken_for_a_taken_address(workshop: Workshop) -> None:
    with pytest.raises(Exception, match="ck_client_email"), services() as s:
        s.client_rows.create("7", {"email": "no address"})
