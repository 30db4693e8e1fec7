"""Errors as RFC 9457 problem documents: the only table from error categories to statuses."""

import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, json, request
from flask_smorest import Api
from marshmallow import INCLUDE, fields
from werkzeug.exceptions import HTTPException

from src import logs
from src.api.releases import excuse
from src.api.schemas.base import Schema
from src.domain import errors as e

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
A_MOMENT = 5

STATUSES: dict[type[e.DomainError], int] = {
    e.Unauthenticated: 401,
    e.Forbidden: 403,
    e.NotFound: 404,
    e.PreconditionFailed: 412,
    e.Conflict: 409,
    e.Gone: 410,
    e.TooLarge: 413,
    e.UnsupportedMedia: 415,
    e.Unprocessable: 422,
    e.Invalid: 400,
    e.TooManyRequests: 429,
    e.StorageFull: 507,
    e.Unavailable: 503,
}


class FieldErrorSchema(Schema):
    pointer = fields.String(required=True, metadata={"description": "Where, as a JSON pointer."})
    code = fields.String(required=True, metadata={"description": "Which kind of fault, stable."})
    message = fields.String(required=True, metadata={"description": "What to do about it."})


class ProblemSchema(Schema):
    """RFC 9457. `type` leads to its entry in the error catalogue, which names further members."""

    class Meta:
        unknown = INCLUDE

    type = fields.String(required=True, metadata={"example": "/problems/file-not-found"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String()
    instance = fields.String(metadata={"description": "The request's id, for finding it in the logs."})
    errors = fields.List(fields.Nested(FieldErrorSchema))


class ProblemApi(Api):  # type: ignore[misc]  # flask-smorest is untyped
    """flask-smorest, speaking problem+json."""

    ERROR_SCHEMA = ProblemSchema

    def _register_responses(self) -> None:
        """As flask-smorest does it, but with the media type of problem documents."""
        documented = {status.name: status.phrase for status in HTTPStatus if status >= HTTPStatus.BAD_REQUEST}
        for name, text in (documented | {"DEFAULT_ERROR": "A problem document (RFC 9457)"}).items():
            response = {"description": text, "content": {MEDIA_TYPE: {"schema": ProblemSchema}}}
            self.spec.components.response(name, response, lazy=True)

    def handle_http_exception(self, error: HTTPException) -> Response:
        status = error.code or 500
        faults = list(_faults(getattr(error, "data", None) or {}))
        if status in (400, 422) and faults:
            return problem(400, "invalid", e.Invalid.title, "Some values are not as they should be.", faults)
        original = getattr(error, "original_exception", None)
        if excused := excuse(original):
            return from_domain(excused)
        if status >= 500:
            log.error(
                "unexpected error: %s",
                request.path,
                exc_info=original or error,
            )
            answer = problem(
                status, "internal-error", "An error of ours", "It is in our log under this request's id."
            )
        else:
            answer = problem(status, _slug(error.name), error.name, error.description or error.name, faults)
        for name, value in error.get_headers():
            if name.lower() not in ("content-type", "content-length"):
                answer.headers[name] = value
        return answer


def register(app: Flask) -> None:
    """DomainErrors become problems; anything unexpected reaches flask-smorest's handler as a 500."""
    app.register_error_handler(e.DomainError, from_domain)
    app.register_error_handler(RecursionError, lambda _: from_domain(e.Invalid("It is nested too deeply.")))


def status_of(error: e.DomainError) -> int:
    return next(STATUSES[category] for category in type(error).__mro__ if category in STATUSES)


def from_domain(error: e.DomainError) -> Response:
    status = status_of(error)
    answer = _answer(status, document(error))
    wait = error.retry_after or (A_MOMENT if status in (429, 503) else None)
    if wait is not None:
        answer.headers["Retry-After"] = str(wait)
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="indicators"'
    if status >= 500:
        reason = str(error.__cause__).partition("\n")[0] if error.__cause__ else None
        log.warning("%s: %s", error.slug, error.detail, extra={"reason": reason} if reason else None)
    return answer


def problem(
    status: int,
    slug: str,
    title: str,
    detail: str,
    faults: list[dict[str, str]] | None = None,
    **members: Any,
) -> Response:
    return _answer(status, _document(status, slug, title, detail, faults) | members)


def document(error: e.DomainError) -> dict[str, Any]:
    """The problem as a JSON object."""
    faults = [{"pointer": f.pointer, "code": f.code, "message": f.message} for f in error.errors]
    return _document(status_of(error), error.slug, error.title, error.detail, faults) | error.members


def _document(
    status: int, slug: str, title: str, detail: str, faults: list[dict[str, str]] | None
) -> dict[str, Any]:
    body: dict[str, Any] = {"type": f"/problems/{slug}", "title": title, "status": status, "detail": detail}
    request_id = logs.current("request_id")
    if request_id:
        body["instance"] = f"urn:request:{request_id}"
    return body | {"errors": faults} if faults else body


def _answer(status: int, body: dict[str, Any]) -> Response:
    return Response(json.dumps(body), status=status, mimetype=MEDIA_TYPE)


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-").replace("'", "")


def _faults(data: dict[str, Any]) -> Iterator[dict[str, str]]:
    """webargs' nested messages ({location: {field: [text]}}) as a flat list with JSON pointers."""
    for messages in (data.get("messages") or {}).values():
        yield from _flatten("", messages)


def _flatten(pointer: str, messages: Any) -> Iterator[dict[str, str]]:
    if isinstance(messages, dict):
        for name, inner in messages.items():
            place = (
                pointer
                if name == "_schema"
                else f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"
            )
            yield from _flatten(place, inner)
        return
    for message in messages if isinstance(messages, list) else [messages]:
        text = str(message)
        yield {"pointer": pointer or "/", "code": _code_of(text), "message": text}


def _code_of(message: str) -> str:
    known = {"Missing data": "required", "Unknown field": "unknown_field", "Field may not be null": "null"}
    return next((code for start, code in known.items() if message.startswith(start)), "invalid")
