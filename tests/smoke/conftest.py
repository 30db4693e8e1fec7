"""The stack of the smoke run: up once, for all that is tried on it."""

import pytest

from tests.smoke.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Stack:
    """docker/smoke takes it down, whatever happens here."""
    stack = Stack()
    stack.make("up", "WEB=2")
    stack.wait_until_healthy()
    return stack


@pytest.fixture(scope="session")
def operator(stack: Stack) -> Stack:
    """The stack, asked by somebody who may change things."""
    account = {"email": "operator@example.org", "password": "correct-horse-battery-8"}
    registered = stack.request("POST", "/api/v1/auth/register", account, token="")
    assert registered.status == 201, registered
    return Stack(token=registered.json["access"])
