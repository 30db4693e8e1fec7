"""Alerts through the API: listed, explained, acknowledged, snoozed, reopened, noted, counted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from src.models import Alert, AlertRule, AuditEntry, Client
from src.wiring import Services, services
from tests.factories.accounts import Caller
from tests.factories.alert_rules import an_alert_rule
from tests.factories.alerts import an_alert
from tests.factories.clients import a_client
from tests.factories.files import Files

ALERTS = "/api/v1/alerts"
SOON = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


@pytest.fixture
def rule(app: Any) -> AlertRule:
    return an_alert_rule(Files(app).owner())


@pytest.fixture
def ana(app: Any) -> Client:
    return a_client("ana")


@pytest.fixture
def alert(rule: AlertRule, ana: Client) -> Alert:
    return an_alert(rule, ana)


def ids(caller: Caller, query: str = "", path: str = ALERTS) -> list[int]:
    answer = caller.get(f"{path}?{query}")
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json["data"]]


def do(caller: Caller, alert: Alert, verb: str, **body: Any) -> dict[str, Any]:
    answer = caller.post(f"{ALERTS}/{alert.id}/{verb}", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def actions(s: Services, alert: Alert) -> list[str]:
    query = s.session.query(AuditEntry).filter_by(object_type="alert", object_id=str(alert.id))
    return [entry.action for entry in query.order_by(AuditEntry.id)]


def test_an_alert_says_why(viewer: Caller, rule: AlertRule, alert: Alert) -> None:
    told = viewer.get(f"{ALERTS}/{alert.id}").json
    assert (told["code"], told["client_id"], told["t"], told["state"]) == (rule.code, "ana", alert.t, "open")
    assert (told["rule_id"], told["rule_version"]) == (str(rule.id), 1)
    assert (told["kind"], told["parameters"]) == ("threshold", {"amount": "10.00", "compare": "over"})
    assert told["causes"] == [event["t"] for event in told["events"]]
    assert [(event["type"], event["amount"]) for event in told["events"]] == [
        ("withdraw", "0.50"),
        ("deposit", "150.00"),
    ]
    assert told["notes"] == []


def test_alerts_are_listed_newest_first_and_filtered(viewer: Caller, rule: AlertRule, ana: Client) -> None:
    other = an_alert_rule(Files(viewer.app).owner())
    first, second, third = an_alert(rule, ana), an_alert(other, ana), an_alert(rule, a_client("rui"))
    assert ids(viewer) == [third.id, second.id, first.id]
    assert ids(viewer, "client=ana") == [second.id, first.id]
    assert ids(viewer, f"code={rule.code}") == ids(viewer, f"rule_id={rule.id}") == [third.id, first.id]
    assert ids(viewer, "client=nobody") == []
    assert ids(viewer, path="/api/v1/clients/ana/alerts") == [second.id, first.id]
    assert ids(viewer, f"code={other.code}", path="/api/v1/clients/ana/alerts") == [second.id]
    assert viewer.get("/api/v1/clients/nobody/alerts").status_code == 404


def test_alerts_are_filtered_by_time(viewer: Caller, rule: AlertRule, ana: Client) -> None:
    old = an_alert(rule, ana, created_at=datetime(2024, 3, 15, 12, tzinfo=UTC))
    new = an_alert(rule, ana)
    assert ids(viewer, "from=2024-03-15&to=2024-03-15") == [old.id]
    assert ids(viewer, "from=2024-03-16") == [new.id]
    assert ids(viewer, "to=2024-03-15T11:59:59Z") == []


def test_alerts_of_rules_in_the_shadow_show_when_asked_for(
    viewer: Caller, rule: AlertRule, ana: Client
) -> None:
    plain, shadow = an_alert(rule, ana), an_alert(rule, ana, is_shadow=True)
    assert ids(viewer) == [plain.id]
    assert (
        ids(viewer, "shadow=true") == ids(viewer, "shadow=true", "/api/v1/clients/ana/alerts") == [shadow.id]
    )


def test_an_alert_is_acknowledged_once_by_the_first(
    operator: Caller, admin: Caller, alert: Alert, services: Services
) -> None:
    told = do(operator, alert, "ack", note="called her")
    assert (told["state"], told["acknowledged_by"]) == ("acknowledged", str(operator.id))
    assert [(note["account_id"], note["text"]) for note in told["notes"]] == [
        (str(operator.id), "called her")
    ]
    again = do(admin, alert, "ack")
    assert (again["acknowledged_by"], again["acknowledged_at"]) == (str(operator.id), told["acknowledged_at"])
    assert (ids(operator, "state=open"), ids(operator, "state=acknowledged")) == ([], [alert.id])
    assert actions(services, alert) == ["alert.acknowledged", "alert.noted"]


def test_a_snoozed_alert_is_open_again_when_its_time_is_over(operator: Caller, alert: Alert) -> None:
    told = do(operator, alert, "snooze", until=SOON)
    assert told["state"] == "snoozed"
    assert ids(operator, "state=snoozed") == [alert.id]
    with services() as s:
        found = s.alert_rows.get_with_client(alert.id, is_locked=True)
        found.snoozed_until = datetime.now(UTC) - timedelta(seconds=1)
    assert operator.get(f"{ALERTS}/{alert.id}").json["state"] == "open"
    assert (ids(operator, "state=open"), ids(operator, "state=snoozed")) == ([alert.id], [])


def test_an_alert_is_reopened_whatever_was_done(operator: Caller, alert: Alert, services: Services) -> None:
    for verb, body in (("ack", {}), ("snooze", {"until": SOON})):
        do(operator, alert, verb, **body)
        told = do(operator, alert, "reopen")
        assert told["state"] == "open"
        assert told["acknowledged_by"] is told["acknowledged_at"] is told["snoozed_until"] is None
    do(operator, alert, "reopen")
    assert actions(services, alert) == [
        "alert.acknowledged",
        "alert.reopened",
        "alert.snoozed",
        "alert.reopened",
    ]


def test_notes_are_kept_in_order_with_who_wrote_them(operator: Caller, admin: Caller, alert: Alert) -> None:
    do(operator, alert, "note", text="no answer")
    told = do(admin, alert, "note", text="she called back")
    assert [(note["account_id"], note["text"]) for note in told["notes"]] == [
        (str(operator.id), "no answer"),
        (str(admin.id), "she called back"),
    ]
    assert told["state"] == "open"


@pytest.mark.parametrize(
    "until", [datetime.now(UTC) - timedelta(seconds=5), datetime.now(UTC) + timedelta(days=400)]
)
def test_a_snooze_ends_in_the_next_year(operator: Caller, alert: Alert, until: datetime) -> None:
    answer = operator.post(f"{ALERTS}/{alert.id}/snooze", json={"until": until.isoformat()})
    assert (answer.status_code, answer.json["type"]) == (400, "/problems/bad-snooze")
    assert answer.json["errors"][0]["pointer"] == "/until"


@pytest.mark.parametrize(
    ("verb", "body", "pointer"),
    [
        ("ack", {"note": ""}, "/note"),
        ("ack", {"why": "x"}, "/why"),
        ("snooze", {}, "/until"),
        ("snooze", {"until": "2030-01-01T00:00:00"}, "/until"),
        ("note", {}, "/text"),
        ("note", {"text": "x" * 2_001}, "/text"),
    ],
)
def test_a_fault_is_told_with_its_place(
    operator: Caller, alert: Alert, verb: str, body: dict[str, Any], pointer: str
) -> None:
    answer = operator.post(f"{ALERTS}/{alert.id}/{verb}", json=body)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


def test_alerts_are_counted_by_rule_and_hour(viewer: Caller, rule: AlertRule, ana: Client) -> None:
    at = [datetime(2024, 3, 15, 12, minute, tzinfo=UTC) for minute in (0, 59)]
    for moment in (*at, at[1] + timedelta(minutes=1)):
        an_alert(rule, ana, created_at=moment)
    an_alert(rule, a_client("rui"), created_at=at[0], acknowledged_at=at[1])
    an_alert(rule, ana, created_at=at[0], is_shadow=True)
    data = viewer.get(f"{ALERTS}/counts?from=2024-03-15&to=2024-03-15").json["data"]
    names = ("hour", "is_shadow", "alerts", "clients", "acknowledged")
    assert [tuple(one[name] for name in names) for one in data] == [
        ("2024-03-15T13:00:00+00:00", False, 1, 1, 0),
        ("2024-03-15T12:00:00+00:00", False, 3, 2, 1),
        ("2024-03-15T12:00:00+00:00", True, 1, 1, 0),
    ]
    assert {(one["code"], one["name"], one["rule_id"]) for one in data} == {
        (rule.code, "A rule", str(rule.id))
    }


@pytest.mark.parametrize(
    "query", ["from=2024-03-15&to=2024-03-14", "from=2024-01-01&to=2024-03-14", "from=2024-01-01"]
)
def test_counts_are_of_a_month_at_most(viewer: Caller, query: str) -> None:
    answer = viewer.get(f"{ALERTS}/counts?{query}")
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json["errors"]] == ["/to"]


def test_an_alert_that_is_not_there_is_404(viewer: Caller) -> None:
    for id_ in (1, 2**62, 2**70):
        answer = viewer.get(f"{ALERTS}/{id_}")
        assert (answer.status_code, answer.json["type"]) == (404, "/problems/alert-not-found")


def test_a_list_of_alerts_is_a_file_too(viewer: Caller, alert: Alert) -> None:
    lines = viewer.get(f"{ALERTS}?format=csv").text.splitlines()
    assert lines[0].startswith("id,code,rule_id,rule_version,client_id,t,causes")
    assert lines[1].startswith(f"{alert.id},{alert.code}")
