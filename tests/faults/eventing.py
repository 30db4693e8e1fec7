"""Events as the work of fault runs: clients that send them until they are told what became of each."""

import http.client
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from sqlalchemy import text

from src.database import DatabaseUnavailable
from src.wiring import services
from tests.factories.clients import a_client
from tests.factories.events import alerts, stored
from tests.live import Answer, Caller, Live, eventually
from tests.services.test_event_intake import expected

CLIENTS = 6
AMOUNTS = ["1.00", "60.00", "100.00", "100.01", "150.00", "250.00"]
TRIES = 100
LATER = text("SELECT t FROM event WHERE t > :t ORDER BY t")
NAMES = text("SELECT event_id, t FROM event")


@dataclass
class EventBooks:
    """What was sent, what was acknowledged with which alerts, and what a reader saw, in the order it saw it."""

    live: Live
    sent: dict[str, Any] = field(default_factory=dict)
    acknowledged: dict[str, list[int]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    seen: list[int] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)
    is_all_told: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._moments, self._door = itertools.count(1), threading.Lock()
        self.users = [a_client(f"u{number}").external_id for number in range(CLIENTS)]

    def new_event(self, rng: random.Random) -> Any:
        """At the next moment; whoever sends later may be overtaken, and is refused then."""
        with self._door:
            moment = next(self._moments)
            body = {
                "type": rng.choice(["deposit", "deposit", "withdraw"]),
                "amount": rng.choice(AMOUNTS),
                "user_id": rng.choice(self.users),
                "t": moment * 7,
                "event_id": f"event {moment}",
            }
            self.sent[body["event_id"]] = body
        return body

    def send(self, callers: Sequence[Caller], seed: float) -> None:
        """One event or a few after the other, each until it is known what became of it; each caller's on one
        connection, as of who sends much."""
        rng = random.Random(seed)
        callers = [replace(caller, is_kept=True) for caller in callers]
        while not self.is_over.is_set():
            self._send_some(callers, rng)
        for caller in callers:
            caller.hang_up()

    def _send_some(self, callers: Sequence[Caller], rng: random.Random) -> None:
        events = [self.new_event(rng) for _ in range(rng.choice([1, 1, 1, 5]))]
        answer = until_told(lambda body: self._post(rng.choice(callers), body), events)
        assert answer.status < 500, answer
        if len(events) == 1:
            self._note(events[0], answer.json)
        else:
            for event, one in zip(events, answer.json["answers"], strict=True):
                self._note(event, one)

    def _post(self, caller: Caller, events: list[Any]) -> Answer:
        path = "/api/v1/events" if len(events) == 1 else "/api/v1/events/batch"
        body = orjson.dumps(events[0] if len(events) == 1 else events)
        return caller.post(path, body, Content_Type="application/json")

    def _note(self, event: Any, answer: Any) -> None:
        with self._door:
            if "alert_codes" in answer:
                self.acknowledged[event["event_id"]] = sorted(answer["alert_codes"])
            else:
                self.refused[answer["type"]] += 1

    def watch(self) -> None:
        """Read what is later than the latest seen, again and again: what comes before it later is missed."""
        is_last = False
        while not is_last:
            is_last = self.is_all_told.is_set()
            with suppress(DatabaseUnavailable), self.live.workshop.database.unit_of_work() as session:
                self.seen += session.scalars(LATER, {"t": self.seen[-1] if self.seen else 0})
            time.sleep(0.01)

    @contextmanager
    def coming(self, callers: Sequence[Caller], rng: random.Random) -> Iterator[None]:
        """Inside, events come from all sides; outside, it is known what became of each."""
        watching = self.live.workshop.in_thread(self.watch)
        with ThreadPoolExecutor(CLIENTS) as pool:
            sending = [pool.submit(self.send, callers, rng.random()) for _ in range(CLIENTS)]
            try:
                yield
            finally:
                self.is_over.set()
                wait(sending, timeout=120)
                self.is_all_told.set()
            for one in sending:
                one.result(timeout=0)
        watching.result(timeout=60)

    def more_come(self) -> None:
        """Return when some more were acknowledged than until now."""
        before = len(self.acknowledged)
        eventually("more events are taken", lambda: len(self.acknowledged) > before + 50, within=120)

    def check(self) -> None:
        """I4: `t` unique and rising, nothing acknowledged lost or changed, the alerts those of the model."""
        with services() as s:
            rows, fired = stored(s.session), alerts(s.session)
            moments: dict[str, int] = dict(s.session.execute(NAMES).all())
        kept = {t: (client, type_, amount) for client, t, type_, amount in rows}
        assert len(kept) == len(rows)
        assert self.seen == sorted(kept), "a reader missed what came late"
        hits = {(client, t, code) for client, t, code, _ in fired}
        assert (hits, len(hits)) == (expected(rows), len(fired))
        assert moments.keys() <= self.sent.keys()
        for event_id, codes in self.acknowledged.items():
            event = self.sent[event_id]
            assert moments[event_id] == event["t"]
            assert kept[event["t"]] == (event["user_id"], event["type"], event["amount"])
            assert codes == sorted(code for _, t, code in hits if t == event["t"])
        print(f"{len(rows)} events, {len(self.acknowledged)} acknowledged, refused: {dict(self.refused)}")
        assert len(self.acknowledged) > len(self.refused)
        assert set(self.refused) <= {"/problems/timestamp-not-rising", "/problems/duplicate-timestamp"}


def until_told(send: Any, events: list[Any]) -> Answer:
    """Send the same again, whenever no answer comes or it says «later»."""
    last: object = None
    for _ in range(TRIES):
        try:
            last = answer = send(events)
        except (OSError, http.client.HTTPException) as error:
            last = error
            time.sleep(0.2)
            continue
        if answer.status not in (429, 503):
            return answer
        time.sleep(0.2)
    raise AssertionError(f"{TRIES} times: {last}")
