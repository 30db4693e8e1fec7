"""Alert rules for tests."""

from itertools import count
from typing import Any

from src.domain.alerts import RuleState
from src.domain.roles import Actor
from src.models import AlertRule
from src.wiring import services

THRESHOLD = {"kind": "threshold", "asked_on": "deposit", "parameters": {"amount": "10.00"}}
_codes = count(10_001)


def a_document(**members: Any) -> dict[str, Any]:
    """What a client sends to make a rule of its own code."""
    return {"code": next(_codes), "name": "A rule", **THRESHOLD, **members}


def an_alert_rule(by: Actor, state: RuleState = RuleState.ENABLED, **members: Any) -> AlertRule:
    """A rule in the tables."""
    document = a_document(note=None, **members)
    with services() as s:
        return s.alert_rules.create(document["code"], document["name"], state, document, by)
