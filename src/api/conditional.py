"""ETags on records that can be edited; If-Match is honoured when sent, never demanded."""

import hashlib
from collections.abc import Mapping
from typing import Any

from flask import Response, json, request
from marshmallow import Schema

from src.domain.errors import PreconditionFailed

COUNTED = ("stored_bytes", "next_due", "missed")


def with_etag(
    record: Any, schema: Schema, status: int = 200, *, more: Mapping[str, Any] | None = None
) -> Response:
    """The record as JSON with its ETag, or 304 when the client has it already.

    What is told beside the record (`more`) follows from it, or from time alone, and is no part of the ETag.
    """
    body = json.dumps(schema.dump(record) | (more or {}))
    answer = Response(body, status=status, mimetype="application/json")
    answer.set_etag(_digest(record, schema))
    if request.method in ("GET", "HEAD"):
        answer.headers["Cache-Control"] = "private, no-cache"
        answer.make_conditional(request)
    if answer.status_code == 412:
        raise PreconditionFailed("It has another ETag by now.")
    return answer


def check_if_match(record: Any, schema: Schema) -> None:
    """Raise unless the client has seen the record as it is now, or does not care. A proxy that compresses
    makes our ETags weak: both forms are good."""
    if request.if_match and not request.if_match.contains_weak(_digest(record, schema)):
        raise PreconditionFailed("Read it again, and repeat your change if it still makes sense.")


def _digest(record: Any, schema: Schema) -> str:
    """Of what can be edited: figures that change by themselves make nobody's edit stale."""
    members = {name: value for name, value in schema.dump(record).items() if name not in COUNTED}
    return hashlib.sha256(json.dumps(members).encode()).hexdigest()[:32]
