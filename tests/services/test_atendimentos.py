"""Atendimentos recorded at the same moment, each in a transaction of its own."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from src.wiring import services
from tests.committing import Workshop
from tests.factories.atendimentos import an_atendimento

TOGETHER = 50
LIMIT = datetime(2021, 6, 30, 15, 30)


def counts(workshop: Workshop, *tables: str) -> list[int]:
    with workshop.database.unit_of_work() as session:
        return [session.scalars(text(f"SELECT count(*) FROM {table}")).one() for table in tables]


def test_fifty_at_once_with_the_same_new_names_make_each_name_once(workshop: Workshop) -> None:
    rows = workshop.together(lambda _: an_atendimento(id_cliente="7", angel="Rita", polo="Centro"), TOGETHER)
    assert len({row.id for row in rows}) == TOGETHER
    assert counts(workshop, "angel", "polo", "client", "atendimento") == [1, 1, 1, TOGETHER]
    with workshop.database.unit_of_work() as session:
        assert session.scalars(text("SELECT on_time FROM indicator_angel")).one() == TOGETHER


def test_many_at_once_with_names_in_all_combinations_do_not_block_each_other_for_good(
    workshop: Workshop,
) -> None:
    def work(number: int) -> None:
        an_atendimento(id_cliente=str(number % 3), angel=f"angel {number % 4}", polo=f"polo {number % 5}")

    workshop.together(work, TOGETHER)
    assert counts(workshop, "client", "angel", "polo", "atendimento") == [3, 4, 5, TOGETHER]


def test_a_name_that_is_being_removed_is_made_again(workshop: Workshop) -> None:
    an_atendimento(angel="Rita")
    with workshop.another_database().unit_of_work() as session:
        session.execute(text("DELETE FROM atendimento"))
        session.execute(text("DELETE FROM angel"))
        waiting = workshop.in_thread(lambda: an_atendimento(angel="Rita"))
        workshop.await_lock_waiters(1)
    assert waiting.result(timeout=20).angel.name == "Rita"
    assert counts(workshop, "angel", "atendimento") == [1, 1]


def test_a_name_that_is_used_cannot_be_removed_meanwhile(workshop: Workshop) -> None:
    with workshop.database.unit_of_work() as session:
        session.execute(text("INSERT INTO angel (name) VALUES ('Rita')"))

    def remove() -> None:
        with workshop.another_database().unit_of_work() as session:
            session.execute(text("DELETE FROM angel"))

    with services() as s:
        s.atendimentos.record(id_cliente="7", angel="Rita", polo="Centro", data_limite=LIMIT)
        removal = workshop.in_thread(remove)
        workshop.await_lock_waiters(1)
    assert isinstance(removal.exception(timeout=20), IntegrityError)
    assert counts(workshop, "angel", "atendimento") == [1, 1]
