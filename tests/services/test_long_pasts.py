"""However long a client's past is and however long windows are, an event reads a few rows of it."""

from collections.abc import Sequence

import pytest
from flask import Flask
from sqlalchemy import text

from src.domain.event_batches import Accepted
from src.domain.events import NewEvent, UnknownClient
from src.wiring import services
from tests.domain.alerts.making import SHIPPED, Document
from tests.domain.alerts.model import Past, causes, cents
from tests.factories.alert_rules import an_alert_rule
from tests.factories.clients import a_client
from tests.factories.events import an_event, append
from tests.factories.files import Files
from tests.factories.histories import store

WITHDRAWS = 30_000
LATEST = WITHDRAWS + 10 + 20_000
ENDLESS = 2**62
PAST = [Past(t, t, "deposit", 15_000) for t in (0, 1)]
PAST += [Past(t, t, "withdraw", 100) for t in range(2, WITHDRAWS + 2)]
SUM = f"{WITHDRAWS}.00"
# Others, of whom the planner learns that a client has a handful of events on average.
CROWD = (
    "INSERT INTO client (external_id) SELECT 'c' || n FROM generate_series(1, 20000) AS n",
    f"""INSERT INTO event (client_id, t, type, amount, number, total, is_global)
        SELECT id, {WITHDRAWS} + 10 + row_number() OVER (), 'withdraw', 1, 1, 1, true
        FROM client WHERE external_id LIKE 'c%'""",
    "UPDATE event_high_water SET t = (SELECT max(t) FROM event)",
    "ANALYZE event",
)
READ = text("SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'event'")


def window(code: int, kind: str, asked_on: str, compare: str, **given: str | int) -> Document:
    parameters = {"compare": compare, "window": ENDLESS, **given}
    return {"code": code, "kind": kind, "asked_on": asked_on, "parameters": parameters}


LONG: list[Document] = [
    window(20_001, "window_sum", "withdraw", "over", amount=SUM),
    window(20_002, "window_sum", "withdraw", "over", amount=f"{WITHDRAWS + 1}.00"),
    window(20_003, "window_sum", "any", "at_least", amount=f"{WITHDRAWS + 301}.00"),
    window(20_004, "window_sum", "any", "at_least", amount=f"{WITHDRAWS + 301}.01"),
    window(20_005, "window_sum", "deposit", "over", amount="100.00"),
    window(20_006, "window_count", "any", "at_least", count=10_000),
    window(20_007, "window_sum", "any", "at_least", amount="9992.00", window=30_000),
    window(20_008, "window_sum", "any", "over", amount="9992.00", window=30_000),
]
FORMULAS = {
    20_101: f"withdraw_count_{10**15} == {WITHDRAWS + 1} and deposit_sum_{10**15} == 300",
    20_102: f"withdraw_max_{10**15} == 1",
}


@pytest.fixture
def rules(app: Flask) -> None:
    by = Files(app).owner()
    for document in LONG:
        an_alert_rule(by, **document)
    for code, formula in FORMULAS.items():
        an_alert_rule(by, code=code, kind="formula", asked_on="withdraw", parameters={"formula": formula})


@pytest.fixture
def past(rules: None) -> list[Past]:
    client = a_client("1")
    with services() as s:
        store(s.session, {client.id: PAST})
        for statement in CROWD:
            s.session.execute(text(statement))
    return list(PAST)


def read_by(*events: NewEvent) -> tuple[list[Accepted], int]:
    """The outcomes of these events, and how many rows of events were looked at for them."""
    with services() as s:
        before = s.session.scalars(READ).one()
    outcomes = append(*events)
    with services() as s:
        rows = s.session.scalars(READ).one() - before
    assert all(isinstance(one, Accepted) for one in outcomes)
    return outcomes, rows


def expected(past: Sequence[Past]) -> list[tuple[int, list[int]]]:
    found = [(rule["code"], causes(rule, past)) for rule in (*SHIPPED, *LONG)]
    return sorted((code, why) for code, why in found if why)


def test_an_event_reads_a_few_rows_of_a_long_past_and_finds_what_the_model_finds(past: list[Past]) -> None:
    for type_, amount, formulas in (
        ("withdraw", "1.00", [20_101, 20_102]),
        ("deposit", "200.00", []),
        ("withdraw", "0.01", [20_102]),
    ):
        t = max(past[-1].t, LATEST) + 1
        past.append(Past(t, t, type_, cents(amount)))
        (outcome,), rows = read_by(an_event(type_, amount, 1, t))
        found = [(hit.rule.code, list(hit.causes)) for hit in outcome.hits]
        assert [hit for hit in found if hit[0] not in FORMULAS] == expected(past)
        assert [code for code, _ in found if code in FORMULAS] == formulas
        assert rows < 1_300, "a thousand for the greatest amount, a hundred for the causes, and little more"


def test_a_batch_reads_them_once_and_a_few_rows_more_for_each_event(past: list[Past]) -> None:
    t = LATEST
    outcomes, rows = read_by(*(an_event("withdraw", "1.00", 1, t + 1 + step) for step in range(100)))
    assert rows < 1_300 + 15 * 100, "two where a window begins, and one for each alert, which belongs to it"
    past += [Past(t + 1 + step, t + 1 + step, "withdraw", 100) for step in range(100)]
    found = [(hit.rule.code, list(hit.causes)) for hit in outcomes[-1].hits if hit.rule.code not in FORMULAS]
    assert found == expected(past)


def test_without_long_windows_a_handful_of_rows_is_all(app: Flask) -> None:
    with services() as s:
        store(s.session, {a_client("1").id: PAST})
        for statement in CROWD:
            s.session.execute(text(statement))
    append(an_event("deposit", "1.00", 1, LATEST + 1))
    for type_ in ("deposit", "withdraw"):
        (outcome,), rows = read_by(an_event(type_, "200.00", 1, LATEST + 2 + (type_ == "withdraw")))
        assert [hit.rule.code for hit in outcome.hits] == {"deposit": [123], "withdraw": [1100]}[type_]
        assert rows < 20


@pytest.mark.usefixtures("rules")
def test_an_unknown_client_has_no_past_to_look_into() -> None:
    assert [type(one) for one in append(an_event("withdraw", "1.00", "nobody", 5))] == [UnknownClient]
