"""Reads events out of requests: one reader for a single event, a batch and a line, so that all refuse alike.

By hand and not by a schema, as a batch of a thousand would spend most of its time there; the documented
schema is held against it by a test.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from src.domain.alerts import EventType
from src.domain.errors import FieldError
from src.domain.events import LAST_T, InvalidEvent, NewEvent

REQUIRED = ("type", "amount", "user_id", "t")
LONGEST_CLIENT = 50
LONGEST_EVENT_ID = 100
AMOUNT = re.compile(r"0*([0-9]{1,8})(?:\.([0-9]{1,2})0*)?")
TYPES = frozenset(EventType)
TEXTS = {
    "required": "Missing data for required field.",
    "unknown_field": "Unknown field.",
    "type": f"Must be one of: {', '.join(EventType)}.",
    "amount": "Must be a decimal above 0, with up to 8 digits and 2 decimals, best as a text.",
    "user_id": f"Must be a positive integer, or a text of 1 to {LONGEST_CLIENT} characters.",
    "t": f"Must be an integer from 0 to {LAST_T}.",
    "event_id": f"Must be a text of 1 to {LONGEST_EVENT_ID} characters.",
}


def read_event(body: Any) -> NewEvent:
    """The event that a body holds; raises InvalidEvent with every fault in it."""
    if not isinstance(body, Mapping):
        text = "An event is a JSON object."
        raise InvalidEvent(text, errors=[FieldError("/", "invalid", text)])
    type_, amount, client, t = (
        _type(body.get("type")),
        _amount(body.get("amount")),
        _client(body.get("user_id")),
        _t(body.get("t")),
    )
    event_id, size = None, len(REQUIRED)
    if "event_id" in body:
        event_id, size = _event_id(body["event_id"]), size + 1
    is_good_id = event_id is not None or size == len(REQUIRED)
    if type_ is None or amount is None or client is None or t is None or len(body) != size or not is_good_id:
        raise _refusal(body)
    return NewEvent(type_, amount, client, t, body["user_id"], event_id)


def shown_user_id(body: Any) -> int | str | None:
    """The user_id of a body that may be faulty, for the answer to repeat."""
    found = body.get("user_id") if isinstance(body, Mapping) else None
    return found if isinstance(found, int | str) and not isinstance(found, bool) else None


def _refusal(body: Mapping[Any, Any]) -> InvalidEvent:
    faults = [(name, "unknown_field") for name in body if name not in READERS]
    faults += [(name, "required") for name in REQUIRED if name not in body]
    faults += [
        (name, "invalid") for name, read in READERS.items() if name in body and read(body[name]) is None
    ]
    named = [(name, code, TEXTS[name if code == "invalid" else code]) for name, code in faults]
    errors = [FieldError(f"/{_escaped(name)}", code, text) for name, code, text in named]
    return InvalidEvent("Some values are not as they should be.", errors=errors)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _type(value: Any) -> str | None:
    return value if isinstance(value, str) and value in TYPES else None


def _amount(value: Any) -> Decimal | None:
    """Exact: a number is taken for the digits that were sent, as far as JSON keeps them."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = repr(value)
    found = AMOUNT.fullmatch(value) if isinstance(value, str) else None
    amount = Decimal(f"{found[1]}.{found[2] or '0'}") if found else None
    return amount or None


def _client(value: Any) -> str | None:
    """7 and "7" are the same client, as in files."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if 0 < value <= LAST_T else None
    return _text(value.strip(), LONGEST_CLIENT) if isinstance(value, str) else None


def _t(value: Any) -> int | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and 0 <= value <= LAST_T else None


def _event_id(value: Any) -> str | None:
    return _text(value, LONGEST_EVENT_ID) if isinstance(value, str) else None


def _text(value: str, longest: int) -> str | None:
    return value if 0 < len(value) <= longest and "\x00" not in value else None


READERS: Mapping[str, Callable[[Any], object]] = {
    "type": _type,
    "amount": _amount,
    "user_id": _client,
    "t": _t,
    "event_id": _event_id,
}
