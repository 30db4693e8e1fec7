"""The short way of events: plain requests with one event each, without what Flask does for any request.

By the same parts as the long way, which takes whatever is out of the ordinary: it begins anew, and says what
is wrong with it.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from functools import lru_cache, partial
from io import BytesIO
from typing import Any, NamedTuple
from wsgiref.types import StartResponse, WSGIEnvironment

import orjson
from flask import Flask
from werkzeug.exceptions import SecurityError
from werkzeug.sansio.utils import get_host
from werkzeug.test import run_wsgi_app

from src.api import authentication, envelope, metrics, rate_limits, tokens
from src.api.event_problems import published
from src.api.problems import from_domain
from src.database import Database
from src.domain.errors import DomainError, Unavailable
from src.domain.event_batches import Outcome
from src.domain.event_reading import read_event, shown_user_id
from src.domain.roles import Actor
from src.services.event_intake import Sent
from src.services.events import tell
from src.statements import NoLongerSo, Reading
from src.wiring import EXTENSION, Adapters

VIEWS = {
    "/event": "event.append",
    "/event/": "event.append_with_slash",
    "/api/v1/events": "events.append_event",
}
SHORT_WAY = "short_way"  # among the application's extensions
LONGEST = 10_000
MOST_SEEN = 4_096
# In the environ: what the long way is to raise; where to put a plain request that is only looked at.
FAILED, PLAIN = "indicators.failed", "indicators.plain"
Headers = list[tuple[str, str]]


class Asked(NamedTuple):
    """A plain request: its environment, in which nobody looks for the body, and the body."""

    environ: WSGIEnvironment
    body: bytes


class Said(NamedTuple):
    """An answer, and what writes it down, in log and metrics, when it is on its way."""

    status: str
    headers: Headers
    body: bytes
    write_down: Callable[[], None]


@dataclass(eq=False, slots=True)
class _Request:
    """One of those that are answered together, on its way; with a log context of its own."""

    asked: Asked
    started: float
    context: Context = field(default_factory=Context)
    id: str = ""
    credential: str = ""
    actor: Actor | None = None
    user_id: int | str | None = None
    sent: Sent | None = None  # unless this is not the way for it
    counted: Headers = field(default_factory=list)  # what the answer tells of the sender's budget
    outcome: Sequence[Outcome] | BaseException = ()

    @property
    def path(self) -> str:
        return str(self.asked.environ["PATH_INFO"])


class ShortWay:
    def __init__(self, app: Flask) -> None:
        self.app = app
        self.long_way = app.wsgi_app
        self._seen: dict[str, tuple[Actor, Reading]] = {}  # by credential

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        is_plain = _is_plain(environ, self.app.config["TRUSTED_HOSTS"])
        if PLAIN in environ:
            environ[PLAIN].append(environ if is_plain else None)
            return []
        if not is_plain:
            return self.long_way(environ, start_response)
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        said = self.answer([Asked(environ, body)])[0]
        if said is None:
            environ["wsgi.input"] = BytesIO(body)
            return self.long_way(environ, start_response)
        said.write_down()
        start_response(said.status, said.headers)
        return [said.body]

    def plain(self, environ: WSGIEnvironment) -> WSGIEnvironment | None:
        """As it comes here through all that stands before; None when it is not plain. Nothing is done yet."""
        found: list[WSGIEnvironment | None] = []
        self.app.wsgi_app(environ | {PLAIN: found}, _nobody)
        return found[0] if found else None

    def answer(self, asked: Sequence[Asked]) -> list[Said | None]:
        """What to say to each; None, with nothing done, when this is not the way for it.

        Their events are stored together, as they came at the same time.
        """
        started = time.perf_counter()
        requests = [_Request(one, started) for one in asked]
        for one in requests:
            one.context.run(self._read, one)
        self._count(requests)
        going = [one for one in requests if one.sent is not None]
        outcomes = self._adapters.intake.append_each([one.sent for one in going if one.sent])
        for one, outcome in zip(going, outcomes, strict=True):
            one.outcome = outcome
        return [one.context.run(self._answered, one) for one in requests]

    def _read(self, request: _Request) -> None:
        """Who asks, and for what."""
        environ = request.asked.environ
        given, address = environ.get("HTTP_X_REQUEST_ID", ""), environ.get("REMOTE_ADDR", "")
        request.id = envelope.named(given, address)
        view: Any = self.app.view_functions[VIEWS[request.path]]
        credential = authentication.credential_of(
            environ.get("HTTP_X_API_KEY"), environ.get("HTTP_AUTHORIZATION", "")
        )
        if credential is None:
            return
        try:
            actor, known = self._actor(credential)
            view.policy.check(actor)
            sent: Any = self.app.json.loads(request.asked.body)
            event = read_event(sent)
        except Unavailable as error:  # the long way would wait for it once more
            request.outcome = error
        except (DomainError, ValueError):
            pass
        except Exception as error:  # noqa: BLE001  the long way logs it, and answers as for any other
            request.outcome = error
        else:
            request.credential, request.actor = credential, actor
            request.sent, request.user_id = Sent([event], known), shown_user_id(sent)

    def _count(self, requests: Sequence[_Request]) -> None:
        """Those of one sender at once. Who has not enough left is for the long way, which refuses."""
        if not self.app.config["RATELIMIT_ENABLED"]:
            return
        by_actor: dict[Actor, list[_Request]] = {}
        for one in requests:
            if one.actor is not None:
                by_actor.setdefault(one.actor, []).append(one)
        for actor, mine in by_actor.items():
            counted, failed = None, None
            try:
                counted = rate_limits.count_events(actor, len(mine), self.app.config)
            except Exception as error:  # noqa: BLE001  as above
                failed = error
            for number, one in enumerate(mine):
                if counted is None:
                    one.sent, one.outcome = None, failed or ()
                else:
                    one.counted = counted[number]

    @property
    def _adapters(self) -> Adapters:
        found: Adapters = self.app.extensions[EXTENSION]
        return found

    @property
    def _database(self) -> Database:
        return self._adapters.database

    def _actor(self, credential: str) -> tuple[Actor, Reading]:
        """Who asks, as it was looked up once; the transaction of the event sees whether it still is so."""
        if authentication.is_key(credential):
            seen = self._seen.get(credential) or authentication.actor_by_key(self._database, credential)
        else:
            with self.app.app_context():  # where a token's time is looked at
                tokens.read(credential, "access")
                seen = self._seen.get(credential) or authentication.actor_by_token(self._database, credential)
        if len(self._seen) >= MOST_SEEN:
            self._seen.clear()
        self._seen[credential] = seen
        authentication.name(seen[0])
        return seen

    def _answered(self, request: _Request) -> Said | None:
        outcome = request.outcome
        if isinstance(outcome, NoLongerSo):
            self._seen.pop(request.credential, None)
            return None
        try:
            return self._said(request, outcome) if outcome else None
        except Exception as error:  # noqa: BLE001  as above
            return self._failed(request.asked, error)

    def _said(self, request: _Request, outcome: Sequence[Outcome] | BaseException) -> Said:
        """The whole answer."""
        if isinstance(outcome, BaseException) and not isinstance(outcome, DomainError):
            raise outcome
        outcomes = [outcome] if isinstance(outcome, DomainError) else outcome
        status, headers, body = self._of_event(outcomes[0], request.user_id)
        is_secure = request.asked.environ["wsgi.url_scheme"] == "https"
        headers += *request.counted, *envelope.headers_of(request.id, is_secure=is_secure)
        seconds = time.perf_counter() - request.started

        def write_down() -> None:
            tell(outcomes)
            metrics.seconds_of("POST", request.path, int(status[:3])).observe(seconds)
            envelope.note(method="POST", path=request.path, status=int(status[:3]), seconds=seconds)

        return Said(status, headers, body, partial(request.context.run, write_down))

    def _of_event(self, outcome: Outcome, user_id: int | str | None) -> tuple[str, Headers, bytes]:
        if not isinstance(outcome, DomainError):
            body = outcome.answer.encode()
            return (
                "200 OK",
                [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
                body,
            )
        with self.app.app_context():
            made = from_domain(outcome)
            problem = orjson.loads(made.get_data())
            made.set_data(orjson.dumps(problem | published(problem, user_id)))
            return made.status, [*made.headers], made.get_data()

    def _failed(self, asked: Asked, error: BaseException) -> Said:
        """The long way answers as for any other, and writes it down."""
        environ = asked.environ | {"wsgi.input": BytesIO(asked.body), FAILED: error}
        parts, status, headers = run_wsgi_app(self.long_way, environ, buffered=True)
        return Said(status, [*headers], b"".join(parts), lambda: None)


def _nobody(status: str, headers: Headers, exc_info: Any = None, /) -> Callable[[bytes], object]:
    """Nobody waits for an answer."""
    return bytes


def _is_plain(environ: WSGIEnvironment, trusted: list[str] | None) -> bool:
    """Whether it is what nearly all who send events send."""
    length = environ.get("CONTENT_LENGTH", "")
    return (
        environ["REQUEST_METHOD"] == "POST"
        and environ["PATH_INFO"] in VIEWS
        and environ.get("CONTENT_TYPE") == "application/json"
        and length.isdecimal()
        and int(length) <= LONGEST
        and "HTTP_TRANSFER_ENCODING" not in environ
        and not environ.get("SCRIPT_NAME")
        and not environ.get("QUERY_STRING")
        and _is_ours(environ.get("HTTP_HOST"), None if trusted is None else tuple(trusted))
    )


@lru_cache
def _is_ours(host: str | None, trusted: tuple[str, ...] | None) -> bool:
    """Whether we answer for this host, as Flask would."""
    try:
        return host is not None and bool(get_host("http", host, None, trusted))
    except SecurityError:
        return False
