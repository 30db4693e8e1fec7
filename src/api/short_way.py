"""The short way of events: a plain request with one event, without what Flask does for any request.

By the same parts as the long way, which takes whatever is out of the ordinary: it begins anew, and says what
is wrong with it.
"""

import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from io import BytesIO
from typing import Any, NamedTuple
from wsgiref.types import StartResponse, WSGIEnvironment

import orjson
from flask import Flask
from werkzeug.exceptions import SecurityError
from werkzeug.sansio.utils import get_host

from src.api import authentication, envelope, metrics, rate_limits, tokens
from src.api.event_problems import published
from src.api.problems import from_domain
from src.database import Database
from src.domain.errors import DomainError, Unavailable
from src.domain.event_batches import Outcome
from src.domain.event_reading import read_event, shown_user_id
from src.domain.roles import Actor
from src.statements import NoLongerSo, Reading
from src.wiring import EXTENSION, Adapters

VIEWS = {
    "/event": "event.append",
    "/event/": "event.append_with_slash",
    "/api/v1/events": "events.append_event",
}
LONGEST = 10_000
MOST_SEEN = 4_096
FAILED = "indicators.failed"  # in the environ: what the long way is to raise
Headers = list[tuple[str, str]]


class _Judged(NamedTuple):
    """What became of an event, whose it is, and what the answer tells of the sender's budget."""

    outcome: Outcome
    user_id: int | str | None = None
    counted: Sequence[tuple[str, str]] = ()


class ShortWay:
    def __init__(self, app: Flask) -> None:
        self.app = app
        self.long_way = app.wsgi_app
        self._seen: dict[str, tuple[Actor, Reading]] = {}  # by credential

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not _is_plain(environ, self.app.config["TRUSTED_HOSTS"]):
            return self.long_way(environ, start_response)
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = BytesIO(body)
        try:
            found = self._answer(environ, body)
        except Exception as error:  # noqa: BLE001  the long way logs it, and answers as for any other
            environ[FAILED], found = error, None
        if found is None:
            return self.long_way(environ, start_response)
        status, headers, answer = found
        start_response(status, headers)
        return [answer]

    def _answer(self, environ: WSGIEnvironment, body: bytes) -> tuple[str, Headers, bytes] | None:
        """The whole answer; None, with nothing done, when this is not the way for it."""
        path, started = environ["PATH_INFO"], time.perf_counter()
        request_id = envelope.opened(environ.get("HTTP_X_REQUEST_ID", ""), environ.get("REMOTE_ADDR", ""))
        judged = self._judged(environ, body)
        if judged is None:
            return None
        status, headers, answer = self._said(judged.outcome, judged.user_id)
        headers += judged.counted
        seconds = time.perf_counter() - started
        metrics.seconds_of("POST", path, int(status[:3])).observe(seconds)
        envelope.note(method="POST", path=path, status=int(status[:3]), seconds=seconds)
        headers += envelope.headers_of(request_id, is_secure=environ["wsgi.url_scheme"] == "https")
        return status, headers, answer

    def _judged(self, environ: WSGIEnvironment, body: bytes) -> "_Judged | None":
        view: Any = self.app.view_functions[VIEWS[environ["PATH_INFO"]]]
        credential = authentication.credential_of(
            environ.get("HTTP_X_API_KEY"), environ.get("HTTP_AUTHORIZATION", "")
        )
        if credential is None:
            return None
        try:
            actor, known = self._actor(credential)
            view.policy.check(actor)
            sent: Any = self.app.json.loads(body)
            event = read_event(sent)
        except Unavailable as error:  # the long way would wait for it once more
            return _Judged(error)
        except (DomainError, ValueError):
            return None
        counted = rate_limits.count_event(actor, self.app.config)
        if counted is None:
            return None
        try:
            outcome = self._adapters.intake.append([event], known)[0]
        except NoLongerSo:
            self._seen.pop(credential, None)
            return None
        except DomainError as error:
            outcome = error
        return _Judged(outcome, shown_user_id(sent), counted)

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

    def _said(self, outcome: Outcome, user_id: int | str | None) -> tuple[str, Headers, bytes]:
        if not isinstance(outcome, DomainError):
            answer = outcome.answer.encode()
            return (
                "200 OK",
                [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))],
                answer,
            )
        with self.app.app_context():
            made = from_domain(outcome)
            problem = orjson.loads(made.get_data())
            made.set_data(orjson.dumps(problem | published(problem, user_id)))
            return made.status, [*made.headers], made.get_data()


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
        and _is_ours(environ.get("HTTP_HOST"), None if trusted is None else tuple(trusted))
    )


@lru_cache
def _is_ours(host: str | None, trusted: tuple[str, ...] | None) -> bool:
    """Whether we answer for this host, as Flask would."""
    try:
        return host is not None and bool(get_host("http", host, None, trusted))
    except SecurityError:
        return False
