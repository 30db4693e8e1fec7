"""Idempotency-Key: the same request again gets the first answer again."""

from collections.abc import Callable

from flask import Response, json, request

from src.api.authentication import actor
from src.services.idempotency import Answer
from src.wiring import Services

HEADER = "Idempotency-Key"


def once(s: Services, fingerprint: str, make: Callable[[], Answer]) -> Answer:
    """Make the answer in this unit of work, or replay the first one, if the caller sent a key."""
    key = request.headers.get(HEADER)
    key = key.strip().strip('"') if key is not None else None
    return s.idempotency.once(actor().account_id, key, fingerprint, make)


def respond(answer: Answer) -> Response:
    response = Response(json.dumps(answer.body), status=answer.status, mimetype="application/json")
    response.headers.update(answer.headers)
    if answer.is_replay:
        response.headers["Idempotency-Replayed"] = "true"
    return response
