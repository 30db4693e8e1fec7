"""A flask-smorest blueprint whose every route states who may use it: leaving it out is a TypeError."""

import hashlib
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import flask_smorest
from flask import g, request
from marshmallow import missing
from webargs.flaskparser import FlaskParser
from werkzeug.datastructures import MultiDict

from src.api.authentication import require
from src.api.lists import XLSX
from src.api.queries import known_names, refuse_unknown
from src.api.schemas.notify import NOTIFY, asking
from src.domain.errors import FieldError, Invalid
from src.domain.roles import Policy, Role

View = Callable[..., Any]
Decorator = Callable[[View], View]
PUBLIC, VIEWER, OPERATOR, ADMIN = None, Role.VIEWER, Role.OPERATOR, Role.ADMIN
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "maxLength": 200},
    "description": "The same request with the same key gets the first answer again, for a day.",
}
JSON, FORM = "application/json", "multipart/form-data"
BINARY = {"type": "string", "format": "binary"}
SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"apiKey": []}]


class Parser(FlaskParser):
    """Invalid payloads answer 400, here and in the documentation; odd JSON is refused, not guessed."""

    DEFAULT_VALIDATION_STATUS = 400

    def _raw_load_json(self, req: Any) -> Any:
        if not (req.content_length or req.is_json):
            return missing
        req.on_json_loading_failed = _refuse_json
        return _without_notify(req.get_json())

    def load_form(self, req: Any, schema: Any) -> Any:
        form = MultiDict(req.form)
        if g.get("starts_job"):
            form.poplist(NOTIFY)
        return self._makeproxy(form, schema)


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # flask-smorest is untyped
    """Adds `needs` (a role, or PUBLIC) to every route; API keys need the scope `<scope>:read|write`.

    What a route does not know in the query of its address is refused.
    """

    ARGUMENTS_PARSER = Parser()

    def __init__(
        self,
        name: str,
        *,
        description: str,
        url_prefix: str,
        for_keys: bool = False,
        scope: str | None = None,
    ) -> None:
        super().__init__(name, name, url_prefix=url_prefix, description=description)
        self.for_keys = for_keys
        self.scope = scope or name
        self._prepare_doc_cbks += [_document_key, _document_notify]

    def route(self, rule: str, *, needs: Role | None, people_only: bool = False, **options: Any) -> Decorator:
        """Register a view that is run only when the caller meets the policy."""
        method = options.get("methods", ["GET"])[0]
        takes_key = options.pop("takes_key", False)
        scope = options.pop("scope", None) or self.scope
        is_for_keys = self.for_keys and needs is not None and not people_only
        policy = Policy(needs, f"{scope}:{'read' if method == 'GET' else 'write'}" if is_for_keys else None)

        def decorate(view: View) -> View:
            doc: dict[str, Any] = view._apidoc  # type: ignore[attr-defined]  # noqa: SLF001  as Blueprint.doc does
            known = known_names(doc)
            starts_job = takes_key and "202" in map(str, doc.get("response", {}).get("responses", ()))

            @wraps(view)
            def guarded(*args: Any, **kwargs: Any) -> Any:
                require(policy)
                refuse_unknown(known)
                g.starts_job = starts_job
                return view(*args, **kwargs)

            guarded.policy = policy  # type: ignore[attr-defined]  # read by the tests of the access matrix
            guarded._apidoc |= {"takes_key": takes_key, "starts_job": starts_job}  # type: ignore[attr-defined]  # noqa: SLF001
            if needs is not None:
                manual = guarded._apidoc.setdefault("manual_doc", {})  # type: ignore[attr-defined]  # noqa: SLF001
                manual["security"] = SECURITY if is_for_keys else SECURITY[:1]
            super(Blueprint, self).route(rule, **options)(guarded)
            return view

        return decorate

    def get(
        self, rule: str, *, needs: Role | None, people_only: bool = False, scope: str | None = None
    ) -> Decorator:
        """`scope`: of what it shows, where that is another noun's: keys need the one for that."""
        return self.route(rule, needs=needs, people_only=people_only, scope=scope, methods=["GET"])

    def post(
        self, rule: str, *, needs: Role | None, people_only: bool = False, takes_key: bool = False
    ) -> Decorator:
        """`takes_key`: a view that answers through `once`; its Idempotency-Key is documented."""
        return self.route(rule, needs=needs, people_only=people_only, takes_key=takes_key, methods=["POST"])

    def put(self, rule: str, *, needs: Role | None, people_only: bool = False) -> Decorator:
        return self.route(rule, needs=needs, people_only=people_only, methods=["PUT"])

    def patch(self, rule: str, *, needs: Role | None, people_only: bool = False) -> Decorator:
        return self.route(rule, needs=needs, people_only=people_only, methods=["PATCH"])

    def delete(self, rule: str, *, needs: Role | None, people_only: bool = False) -> Decorator:
        return self.route(rule, needs=needs, people_only=people_only, methods=["DELETE"])

    def arguments(self, schema: Any, **options: Any) -> Decorator:
        """A class is made an instance here, once: the library would make one for each request."""
        made = schema() if isinstance(schema, type) else schema
        decorator: Decorator = super().arguments(made, **options)
        return decorator

    def response(self, status: int, schema: Any = None, **options: Any) -> Decorator:
        decorator: Decorator = super().response(status, schema, **options)
        return decorator

    def lists(self, schema: Any) -> Decorator:
        """A view that answers through `listing`: a page as JSON, or all of it as a file."""
        page = self.response(200, schema)
        csv = super().alt_response(200, schema={"type": "string"}, content_type="text/csv", success=True)
        xlsx = super().alt_response(200, schema=BINARY, content_type=XLSX, success=True)
        return lambda view: page(csv(xlsx(view)))

    def alt_response(self, status: int, **options: Any) -> Decorator:
        decorator: Decorator = super().alt_response(status, **options)
        return decorator

    def doc(self, **members: Any) -> Decorator:
        decorator: Decorator = super().doc(**members)
        return decorator


def _document_key(doc: dict[str, Any], doc_info: dict[str, Any], **_: Any) -> dict[str, Any]:
    if doc_info.get("takes_key"):
        doc.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
    return doc


def _document_notify(doc: dict[str, Any], doc_info: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Every request that starts a job may say who is to be told of its end."""
    if doc_info.get("starts_job"):
        manual = doc_info.get("manual_doc", {}).get("requestBody")
        body = manual or doc.setdefault("requestBody", {"content": {JSON: {}}})
        for kind in (JSON, FORM):
            if kind in body["content"]:
                body["content"][kind] = {"schema": asking(body["content"][kind].get("schema"))}
    return doc


def _without_notify(data: Any) -> Any:
    """What `once` reads, for all views that start jobs, is no business of their schemas."""
    if g.get("starts_job") and isinstance(data, Mapping):
        return {name: value for name, value in data.items() if name != NOTIFY}
    return data


def body_fingerprint() -> str:
    """What makes a JSON request the same request: method, path and body."""
    body = hashlib.sha256(request.get_data(cache=True)).hexdigest()
    return f"{request.method} {request.full_path} {body}"


def _refuse_json(error: ValueError | None) -> Any:
    message = (
        "The body is not valid JSON."
        if request.is_json
        else "Send JSON, with Content-Type: application/json."
    )
    raise Invalid(message, errors=[FieldError("/", "not_json", message)]) from error
