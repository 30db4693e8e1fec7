"""Runs commands in the test's transaction."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from tests.committing import own_settings, workshop

__all__ = ["own_settings", "workshop"]
Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask) -> Run:
    """Run a command and check its exit code."""

    def invoke(*words: str, code: int = 0, typed: str | None = None) -> Result:
        result = app.test_cli_runner().invoke(args=list(words), input=typed)
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture
def run_json(run: Run) -> Callable[..., Any]:
    """The same with --json, parsed."""
    return lambda *words: json.loads(run(*words, "--json").stdout)
