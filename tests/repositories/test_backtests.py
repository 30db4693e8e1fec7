"""Rules over history: each kind's statement finds what the plain model finds, asked event by event."""

import pytest
from flask import Flask

from src.repositories.backtests import Span
from src.wiring import services
from tests.domain.alerts.making import a_rule, some_documents
from tests.factories.clients import a_client
from tests.factories.histories import Histories, hits_of, random_histories, store

FIRST, LAST = 0, 2**63 - 1


@pytest.fixture
def clients(app: Flask) -> dict[int, str]:
    made = [a_client() for _ in range(5)]
    return {client.id: client.external_id for client in made}


def check(histories: Histories, clients: dict[int, str], seed: int, first: int, last: int) -> int:
    """Every kind of rule finds between two times what the model finds there; answers how many hits."""
    total = 0
    for document in some_documents(seed):
        span = Span(min(clients) - 1, max(clients), first, last)
        with services() as s:
            hits = list(s.backtest_rows.hits(a_rule({"code": 1, **document}), span))
        expected = {row for row in hits_of(document, histories, clients) if first <= row[1] <= last}
        assert [hit[:2] for hit in hits] == sorted({hit[:2] for hit in hits}), "in order, each once"
        assert {(hit.client, hit.t) for hit in hits} == expected, document
        total += len(hits)
    return total


@pytest.mark.parametrize("seed", range(6))
def test_statements_find_what_the_model_finds_in_the_whole_past(clients: dict[int, str], seed: int) -> None:
    histories = random_histories(seed, list(clients), 250)
    with services() as s:
        store(s.session, histories)
    assert check(histories, clients, seed, FIRST, LAST) > 100


@pytest.mark.parametrize("seed", range(4))
def test_what_lies_before_the_first_time_still_counts_with_what_follows(
    clients: dict[int, str], seed: int
) -> None:
    histories = random_histories(seed, list(clients), 200)
    latest = max(events[-1].t for events in histories.values())
    with services() as s:
        store(s.session, histories)
    assert check(histories, clients, seed, latest // 3, latest * 2 // 3) > 20


def test_times_at_the_end_of_all_numbers_are_times_too(clients: dict[int, str]) -> None:
    late = {
        id_: [event._replace(id=LAST - 3_000 + event.t, t=LAST - 3_000 + event.t) for event in events]
        for id_, events in random_histories(3, list(clients), 200).items()
    }
    with services() as s:
        store(s.session, late)
    assert check(late, clients, 3, LAST - 2_500, LAST) > 20
