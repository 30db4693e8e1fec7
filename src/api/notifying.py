"""What a request asks for with `notify`, and the job that its answer is about."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import orjson
from flask import g, request
from marshmallow import ValidationError

from src.api.schemas.notify import NOTIFY, NOTIFY_SCHEMA
from src.domain.deliveries import Wish
from src.domain.errors import FieldError, Invalid
from src.services.idempotency import Answer

JOBS = "/api/v1/jobs/"


def wish_of_request() -> Wish | None:
    """From a JSON body or, as JSON, from a part of a form."""
    given = wish_as_given() if g.get("starts_job") else None
    if given is None:
        return None
    try:
        wish: Wish = NOTIFY_SCHEMA.load(given)
    except ValidationError as error:
        raise Invalid("`notify` is not valid.", errors=list(faults(error.messages, f"/{NOTIFY}"))) from error
    return wish


def job_named_by(answer: Answer) -> UUID | None:
    """The job that an answer is about: named in it, or where it leads."""
    named = answer.body.get("job_id") or answer.body.get("task_id")
    if named is None and answer.headers.get("Location", "").startswith(JOBS):
        named = answer.body["id"]
    return UUID(str(named)) if named else None


def wish_as_given() -> Any:
    """`notify` as it stands in the request; None when it is not there."""
    if request.is_json:
        body = request.get_json()
        return body.get(NOTIFY) if isinstance(body, dict) else None
    text = request.form.get(NOTIFY)
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Invalid(
            "`notify` is not valid JSON.",
            errors=[FieldError(f"/{NOTIFY}", "not_json", "Write it as JSON.")],
        ) from error


def faults(messages: Any, pointer: str) -> Iterator[FieldError]:
    """What marshmallow says, each with its pointer."""
    if isinstance(messages, dict):
        for name, inner in messages.items():
            yield from faults(inner, pointer if name == "_schema" else f"{pointer}/{name}")
    else:
        yield from (FieldError(pointer, "invalid", str(message)) for message in messages)
