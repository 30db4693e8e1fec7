"""Alert rules: what is watched in events, as data; and one pure function that asks them about an event."""

from src.domain.alerts.documents import KINDS, BadAlertRule, read_check, write_check
from src.domain.alerts.events import AskedOn, Event, EventType
from src.domain.alerts.history import History
from src.domain.alerts.kinds import Check, Compare, Gap, GapClock
from src.domain.alerts.needs import Need, Needs
from src.domain.alerts.rules import Hit, Rule, RuleSet, RuleState, evaluate

__all__ = [
    "KINDS",
    "AskedOn",
    "BadAlertRule",
    "Check",
    "Compare",
    "Event",
    "EventType",
    "Gap",
    "GapClock",
    "History",
    "Hit",
    "Need",
    "Needs",
    "Rule",
    "RuleSet",
    "RuleState",
    "evaluate",
    "read_check",
    "write_check",
]
