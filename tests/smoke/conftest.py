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
