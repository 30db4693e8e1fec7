"""What a rule would have found, held against what it finds as it is asked now."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from itertools import chain
from typing import Any, NamedTuple

SHOWN = 20  # of each change, in the result; the file has all


class Change(StrEnum):
    """What the rule would make of an alert of the live version."""

    ADDED = "added"
    REMOVED = "removed"
    KEPT = "kept"


class HitEvent(NamedTuple):
    """An event on which a rule fires; the first two members name and order it."""

    client_id: int
    t: int
    client: str
    type: str
    amount: Decimal


def compared(new: Iterable[HitEvent], live: Iterable[HitEvent]) -> Iterator[tuple[Change, HitEvent]]:
    """The hits of both, each once, as they come: both are in the order of clients and times."""
    ahead = iter(chain(live, [None]))
    waiting = next(ahead)
    for hit in new:
        while waiting is not None and waiting[:2] < hit[:2]:
            yield Change.REMOVED, waiting
            waiting = next(ahead)
        is_kept = waiting is not None and waiting[:2] == hit[:2]
        if is_kept:
            waiting = next(ahead)
        yield Change.KEPT if is_kept else Change.ADDED, hit
    while waiting is not None:
        yield Change.REMOVED, waiting
        waiting = next(ahead)


@dataclass(slots=True)
class Findings:
    """The counts of a backtest, and a few hits of each change to look at."""

    events: int = 0
    hits: int = 0
    clients: int = 0
    counts: dict[Change, int] = field(default_factory=lambda: dict.fromkeys(Change, 0))
    samples: dict[Change, list[HitEvent]] = field(default_factory=lambda: {change: [] for change in Change})
    _last_client: int = -1

    def add(self, change: Change, hit: HitEvent) -> None:
        self.counts[change] += 1
        if len(self.samples[change]) < SHOWN:
            self.samples[change].append(hit)
        if change is Change.REMOVED:
            return
        self.hits += 1
        if hit.client_id != self._last_client:
            self.clients, self._last_client = self.clients + 1, hit.client_id

    def to_json(self) -> dict[str, Any]:
        sample = [
            {
                "change": change,
                "client_id": hit.client,
                "t": hit.t,
                "type": hit.type,
                "amount": str(hit.amount),
            }
            for change, hits in self.samples.items()
            for hit in hits
        ]
        counts = {str(change): count for change, count in self.counts.items()}
        return {"events": self.events, "hits": self.hits, "clients": self.clients, **counts, "sample": sample}
