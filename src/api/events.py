"""Events: sent one by one or in batches, answered with the alerts that they raise, and listed."""

from collections.abc import Iterator
from typing import Any

import orjson
from flask import Response, current_app, g, request

from src.api.blueprint import OPERATOR, VIEWER, Blueprint
from src.api.clients import blp as clients
from src.api.event_problems import add_published_members, published
from src.api.lists import listing
from src.api.problems import document
from src.api.ranges import check_range
from src.api.schemas.events import (
    BATCH_BODY,
    EVENT,
    EVENT_BODY,
    BatchAnswerSchema,
    ClientEventQuery,
    EventAnswerSchema,
    EventList,
    EventQuery,
)
from src.api.short_way import FAILED
from src.domain.errors import DomainError, FieldError
from src.domain.event_batches import Outcome
from src.domain.event_reading import read_event, shown_user_id
from src.domain.events import MOST_IN_A_BATCH, InvalidEvent, NewEvent
from src.wiring import adapters, services

blp = Blueprint(
    "events",
    url_prefix="/api/v1/events",
    description="Deposits and withdraws, in one order, watched by the alert rules.",
    for_keys=True,
)
blp.after_request(add_published_members)
NDJSON = ("application/x-ndjson", "application/jsonl", "application/ndjson")
ACCEPTED = '{"status":200'
FILTERS = ("from_t", "to_t", "type")


@blp.post("", needs=OPERATOR)
@blp.doc(requestBody=EVENT_BODY)
@blp.response(200, EventAnswerSchema)
def append_event() -> Response:
    """Store an event, and say which rules it makes fire."""
    return answered()


@blp.post("/batch", needs=OPERATOR)
@blp.doc(requestBody=BATCH_BODY)
@blp.response(200, BatchAnswerSchema)
def append_batch() -> Response:
    """Store events in one transaction, in their order, each judged as if it had come alone."""
    read = list(_read_batch())
    outcomes = iter(adapters().intake.append([one for one in read if isinstance(one, NewEvent)]))
    answers = [
        _member(next(outcomes), one.user_id) if isinstance(one, NewEvent) else _member(one) for one in read
    ]
    refused = sum(not answer.startswith(ACCEPTED) for answer in answers)
    body = f'{{"accepted":{len(answers) - refused},"refused":{refused},"answers":[{",".join(answers)}]}}'
    return Response(body, mimetype="application/json")


@blp.get("", needs=VIEWER)
@blp.arguments(EventQuery, location="query")
@blp.lists(EventList)
def list_events(query: dict[str, Any]) -> Response:
    """Events, the latest first."""
    return _listed(query, {name: query.get(name) for name in (*FILTERS, "client", "import_id")})


@clients.get("/<outside_id:client_id>/events", needs=VIEWER, scope="events")
@clients.arguments(ClientEventQuery, location="query")
@clients.lists(EventList)
def list_client_events(query: dict[str, Any], client_id: str) -> Response:
    """A client's events, the latest first."""
    with services() as s:
        client = s.client_rows.get_by_external_id(client_id).external_id
    return _listed(query, {name: query.get(name) for name in FILTERS} | {"client": client})


def answered() -> Response:
    """The answer to a request that holds one event."""
    body = _json_body()
    g.user_id = shown_user_id(body)
    if FAILED in request.environ:
        raise request.environ[FAILED]
    outcome = adapters().intake.append([read_event(body)])[0]
    if isinstance(outcome, DomainError):
        raise outcome
    return Response(outcome.answer, mimetype="application/json")


def _json_body() -> Any:
    if not request.is_json:
        raise _not_json("Send JSON, with Content-Type: application/json.")
    try:
        return current_app.json.loads(request.get_data())
    except ValueError as error:
        raise _not_json("The body is not valid JSON.") from error


def _not_json(text: str) -> InvalidEvent:
    return InvalidEvent(text, errors=[FieldError("/", "not_json", text)])


def _read_batch() -> Iterator[NewEvent | InvalidEvent]:
    """Each event as it was read, or why it could not be."""
    if request.mimetype in NDJSON:
        bodies = [_line(line) for line in request.get_data().splitlines() if line.strip()]
    else:
        bodies = _json_body()
    if not isinstance(bodies, list) or not 0 < len(bodies) <= MOST_IN_A_BATCH:
        text = f"A batch has 1 to {MOST_IN_A_BATCH:,} events."
        raise InvalidEvent(text, errors=[FieldError("/", "batch_size", text)])
    for body in bodies:
        try:
            yield read_event(body)
        except InvalidEvent as refusal:
            refusal.members["user_id"] = shown_user_id(body)  # not the request's: each event has its own
            yield refusal


def _line(line: bytes) -> Any:
    """A line that is no JSON is an event that cannot be read; the others can."""
    try:
        return current_app.json.loads(line)
    except ValueError:
        return None


def _member(outcome: Outcome, user_id: int | str | None = None) -> str:
    """One event's answer within that of its batch."""
    if not isinstance(outcome, DomainError):
        return f"{ACCEPTED},{outcome.answer[1:]}"
    problem = document(outcome)
    return orjson.dumps(problem | published(problem, problem.get("user_id", user_id))).decode()


def _listed(query: dict[str, Any], filters: dict[str, Any]) -> Response:
    check_range(query.get("from_t"), query.get("to_t"), "to_t")
    ordering = adapters().intake.memory.ordering
    return listing(query, EVENT, lambda s, page: s.event_rows.search(page, ordering, **filters), "events")
