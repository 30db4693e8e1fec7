"""Accounts for tests, logged in through real tokens."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

from flask import Flask
from werkzeug.test import TestResponse

from src.api.tokens import issue
from src.domain.roles import Role
from src.services.logins import Grant
from src.wiring import services

PASSWORD = "correct horse battery staple"
_numbers = count(1)


@dataclass(frozen=True)
class Caller:
    """Someone logged in, and a client that speaks for them."""

    id: UUID
    email: str
    access: str
    refresh: str
    app: Flask

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access}"}

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.call("get", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self.call("post", path, **options)

    def put(self, path: str, **options: Any) -> TestResponse:
        return self.call("put", path, **options)

    def patch(self, path: str, **options: Any) -> TestResponse:
        return self.call("patch", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.call("delete", path, **options)

    def call(self, method: str, path: str, **options: Any) -> TestResponse:
        headers = self.headers | dict(options.pop("headers", {}))
        send: Callable[..., TestResponse] = getattr(self.app.test_client(), method)
        return send(path, headers=headers, **options)


class Accounts:
    """Makes accounts in the test's transaction."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def caller(self, role: str = "operator") -> Caller:
        """A new account of this role, with a login."""
        return self.speaking_for(self.grant(role))

    def speaking_for(self, grant: Grant) -> Caller:
        """Fresh tokens for a login."""
        tokens = issue(grant)
        account = grant.account
        return Caller(account.id, account.email or "", tokens["access"], tokens["refresh"], self.app)

    def grant(self, role: str = "operator") -> Grant:
        with services() as s:
            email = f"{role}-{next(_numbers)}@example.org"
            account = s.accounts.create(role=Role(role), email=email, password=PASSWORD, name=role)
            return s.logins.open(account)
