"""The rules once more, as slowly and as plainly as they can be said: over a client's whole past, in cents.

It shares no line with what it is compared with, and knows rules only as the documents that clients send.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any, NamedTuple


class Past(NamedTuple):
    """An event of one client, in cents."""

    id: int
    t: int
    type: str
    cents: int


def cents(text: Any) -> int:
    return int(Decimal(text) * 100)


def compares(figure: int, how: str, limit: int) -> bool:
    return {
        "over": figure > limit,
        "at_least": figure >= limit,
        "under": figure < limit,
        "at_most": figure <= limit,
    }[how]


def causes(document: dict[str, Any], past: Sequence[Past]) -> list[int]:
    """The ids of the events that make the rule fire on the last event of a client's past; or none."""
    last, asked, given = past[-1], document["asked_on"], document["parameters"]
    if asked not in ("any", last.type):
        return []
    counted = [event for event in past if asked in ("any", event.type)]
    in_window = [event for event in counted if last.t - given.get("window", 0) <= event.t <= last.t]
    hit: Sequence[Past] = []
    match document["kind"]:
        case "threshold":
            hit = [last] if compares(last.cents, given.get("compare", "over"), cents(given["amount"])) else []
        case "consecutive":
            run = [list(events) for _, events in groupby(past, key=lambda event: event.type)][-1]
            hit = run[-given["count"] :] if len(run) >= given["count"] else []
        case "increasing" | "decreasing":
            row = counted[-given["count"] :]
            steps = [later.cents - earlier.cents for earlier, later in pairwise(row)]
            steps = steps if document["kind"] == "increasing" else [-step for step in steps]
            is_hit = all(step > 0 or (step == 0 and not given.get("is_strict", True)) for step in steps)
            hit = row if len(row) == given["count"] and is_hit else []
        case "window_sum":
            total = sum(event.cents for event in in_window)
            hit = in_window if compares(total, given.get("compare", "over"), cents(given["amount"])) else []
        case "window_count":
            is_hit = compares(len(in_window), given.get("compare", "at_least"), given["count"])
            hit = in_window if is_hit else []
    return [event.id for event in hit][-100:]


def gaps(document: dict[str, Any], past: Sequence[Past], now: int) -> list[int]:
    """The ids of the counted events after which nothing counted came for too long, as seen at `now`."""
    counted = [event for event in past if document["asked_on"] in ("any", event.type)]
    after = document["parameters"]["after"]
    ends = [event.t for event in counted[1:]] + [now]
    return [event.id for event, end in zip(counted, ends, strict=True) if end - event.t > after]
