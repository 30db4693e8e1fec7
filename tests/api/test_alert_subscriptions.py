"""Subscriptions of alerts through the API."""

from typing import Any
from uuid import uuid4

import pytest

from tests.api.nouns import an_alert_subscription
from tests.factories.accounts import Caller

SUBSCRIPTIONS = "/api/v1/alert-subscriptions"
HOOK = "https://hooks.example.org/alerts"


def test_a_subscription_is_made_listed_and_ended(operator: Caller, viewer: Caller, admin: Caller) -> None:
    made = an_alert_subscription(operator)
    assert made["targets"] == [{"channel": "webhook", "address": HOOK}]
    assert (made["rule_id"], made["every_seconds"]) == (None, 60)
    path = f"{SUBSCRIPTIONS}/{made['id']}"
    assert operator.get(path).json == made
    assert operator.get(SUBSCRIPTIONS).json["data"] == admin.get(SUBSCRIPTIONS).json["data"] == [made]
    assert viewer.get(SUBSCRIPTIONS).json["data"] == []
    assert operator.delete(path).status_code == 204
    assert operator.get(path).status_code == 404


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 201),
        ({"every_seconds": 0}, 201),
        ({"every_seconds": 86_401}, 400),
        ({"every_seconds": -1}, 400),
        ({"rule_id": str(uuid4())}, 404),
        ({"webhook": "http://hooks.example.org"}, 400),
        ({"pigeon": "x"}, 400),
    ],
)
def test_what_is_asked_for_is_checked(operator: Caller, change: dict[str, Any], status: int) -> None:
    assert operator.post("/api/v1/deliveries/secret").status_code == 201
    answer = operator.post(SUBSCRIPTIONS, json={"webhook": HOOK} | change)
    assert answer.status_code == status, answer.text


def test_what_is_wrong_is_pointed_at_where_it_stands(operator: Caller) -> None:
    for body, pointer in [
        ({"webhook": "https://10.0.0.1/"}, "/webhook"),
        ({"folder": "nowhere"}, "/folder"),
        ({"email": ["ana@example.org"]}, "/email"),
    ]:
        answer = operator.post(SUBSCRIPTIONS, json=body)
        assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


def test_without_a_secret_no_webhook_is_told(operator: Caller) -> None:
    answer = operator.post(SUBSCRIPTIONS, json={"webhook": HOOK})
    assert (answer.status_code, answer.json["type"]) == (409, "/problems/webhook-secret-missing")
    assert operator.post(SUBSCRIPTIONS, json={}).status_code == 400
