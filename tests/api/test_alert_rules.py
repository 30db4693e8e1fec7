"""Alert rules through the API: made, versioned, switched, refused with the place of each fault."""

from typing import Any

import pytest

from src.models import AuditEntry
from src.wiring import Services, services
from tests.factories.accounts import Caller
from tests.factories.alert_rules import THRESHOLD, a_document

RULES = "/api/v1/alert-rules"
SUM = {"kind": "window_sum", "asked_on": "any", "parameters": {"window": 60, "amount": "500.00"}}


def made(caller: Caller, **members: Any) -> dict[str, Any]:
    answer = caller.post(RULES, json=a_document(**members))
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"{RULES}/{answer.json['id']}"
    return dict(answer.json)


def asked() -> dict[int, tuple[int, bool]]:
    """Which rules events are held against: by code, the version and whether in the shadow."""
    with services() as s:
        return {rule.code: (rule.version, rule.is_shadow) for rule in s.alert_rule_rows.asked()[1].rules}


def revision() -> int:
    with services() as s:
        return s.alert_rule_rows.asked()[0]


def audited(services: Services, rule: dict[str, Any]) -> list[str]:
    query = services.session.query(AuditEntry).filter_by(object_id=rule["id"]).order_by(AuditEntry.id)
    return [entry.action for entry in query]


def test_four_rules_ship_enabled_as_data(viewer: Caller) -> None:
    rules = {rule["code"]: rule for rule in viewer.get(f"{RULES}?order_by=code").json["data"]}
    assert list(rules) == [30, 123, 300, 1100]
    assert {rule["state"] for rule in rules.values()} == {"enabled"}
    assert rules[123]["kind"] == "window_sum"
    assert rules[123]["parameters"] == {"window": 30, "amount": "200.00", "compare": "over"}
    assert asked() == dict.fromkeys(rules, (1, False))


def test_a_rule_is_made_with_all_its_parameters_written_down(operator: Caller, services: Services) -> None:
    rule = made(operator, name="Much at once", state="shadow", note="to see how often")
    assert rule["parameters"] == {"amount": "10.00", "compare": "over"}
    assert (rule["state"], rule["version"], rule["kind"]) == ("shadow", 1, "threshold")
    (version,) = operator.get(f"{RULES}/{rule['id']}/versions").json["data"]
    assert (version["note"], version["created_by"]) == ("to see how often", str(operator.id))
    assert audited(services, rule) == ["alert-rule.created"]
    assert asked()[rule["code"]] == (1, True)


def test_a_new_version_is_asked_from_then_on_and_changes_no_old_one(operator: Caller) -> None:
    rule = made(operator)
    path = f"{RULES}/{rule['id']}"
    before = operator.get(f"{path}/versions/1").json
    answer = operator.post(f"{path}/versions", json=SUM | {"note": "sums say more"})
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{path}/versions/2"
    assert (answer.json["version"], answer.json["kind"], answer.json["asked_on"]) == (2, "window_sum", "any")
    assert operator.get(f"{path}/versions/1").json == before
    assert [one["version"] for one in operator.get(f"{path}/versions").json["data"]] == [2, 1]
    assert asked()[rule["code"]] == (2, False)


def test_a_rule_is_switched_off_into_the_shadow_and_on_again(operator: Caller, services: Services) -> None:
    rule = made(operator)
    states = {"disable": "disabled", "shadow": "shadow", "enable": "enabled"}
    for verb, state in states.items():
        for _ in ("once", "and again, which is no change"):
            assert operator.post(f"{RULES}/{rule['id']}/{verb}").json["state"] == state
        assert (rule["code"] in asked()) == (state != "disabled")
    actions = ["alert-rule.created", "alert-rule.disabled", "alert-rule.shadowed", "alert-rule.enabled"]
    assert audited(services, rule) == actions


def test_a_rule_gets_another_name(operator: Caller) -> None:
    rule = made(operator)
    assert operator.patch(f"{RULES}/{rule['id']}", json={"name": "Better"}).json["name"] == "Better"
    assert operator.get(f"{RULES}/{rule['id']}").json["name"] == "Better"


def test_every_change_raises_the_revision_by_which_processes_notice_it(operator: Caller) -> None:
    seen = [revision()]
    rule = made(operator)
    path = f"{RULES}/{rule['id']}"
    seen.append(revision())
    operator.post(f"{path}/shadow")
    seen.append(revision())
    operator.post(f"{path}/versions", json=SUM)
    seen.append(revision())
    assert seen == sorted(set(seen))
    operator.post(f"{path}/shadow")
    assert revision() == seen[-1], "what changes nothing raises nothing"


def test_who_has_seen_another_rule_changes_none(operator: Caller) -> None:
    rule = made(operator)
    path = f"{RULES}/{rule['id']}"
    etag = operator.get(path).headers["ETag"]
    assert operator.get(path, headers={"If-None-Match": etag}).status_code == 304
    operator.post(f"{path}/versions", json=SUM)
    for method, address, body in (
        ("patch", path, {"name": "x"}),
        ("post", f"{path}/versions", SUM),
        ("post", f"{path}/disable", None),
    ):
        stale = operator.call(method, address, json=body, headers={"If-Match": etag})
        assert stale.status_code == 412
        fresh = {"If-Match": operator.get(path).headers["ETag"]}
        assert operator.call(method, address, json=body, headers=fresh).status_code < 300


def test_a_code_is_given_once(operator: Caller) -> None:
    answer = operator.post(RULES, json=a_document(code=1100))
    assert (answer.status_code, answer.json["type"]) == (409, "/problems/alert-code-taken")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"parameters": {"amount": "1.001"}}, "/parameters/amount"),
        ({"parameters": {"amount": 1.5}}, "/parameters/amount"),
        ({"parameters": {}}, "/parameters/amount"),
        ({"parameters": {"amount": "1", "above": "2"}}, "/parameters/above"),
        ({"parameters": []}, "/parameters"),
        ({"kind": "oracle"}, "/kind"),
        ({"asked_on": "transfer"}, "/asked_on"),
        ({"code": 0}, "/code"),
        ({"code": "7"}, "/code"),
        ({"name": ""}, "/name"),
        ({"state": "asleep"}, "/state"),
        ({"speed": 3}, "/speed"),
    ],
)
def test_a_fault_in_a_rule_is_told_with_its_place(
    operator: Caller, change: dict[str, Any], pointer: str
) -> None:
    answer = operator.post(RULES, json=a_document() | change)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


def test_a_version_that_cannot_be_asked_leaves_the_rule_as_it_was(operator: Caller) -> None:
    rule = made(operator)
    bad = THRESHOLD | {"parameters": {"amount": "-1"}}
    answer = operator.post(f"{RULES}/{rule['id']}/versions", json=bad)
    assert (answer.status_code, answer.json["type"]) == (400, "/problems/bad-alert-rule")
    assert operator.get(f"{RULES}/{rule['id']}").json == rule


def test_rules_are_filtered_by_state_and_kind(operator: Caller) -> None:
    rule = made(operator, state="shadow", **SUM)
    assert [one["id"] for one in operator.get(f"{RULES}?state=shadow&kind=window_sum").json["data"]] == [
        rule["id"]
    ]
    assert operator.get(f"{RULES}?state=disabled").json["data"] == []


def test_a_version_that_is_not_there_is_404(viewer: Caller) -> None:
    (rule,) = viewer.get(f"{RULES}?kind=consecutive").json["data"]
    for version in (0, 2, 2**31, 2**70):
        assert viewer.get(f"{RULES}/{rule['id']}/versions/{version}").status_code == 404
