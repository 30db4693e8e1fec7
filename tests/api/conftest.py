"""A client that looks at every answer, and an application whose settings and adapters a test may change."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from src.api.rate_limits import limiter
from src.app import create_app
from src.integrations.storage_disk import DiskStorage
from src.wiring import EXTENSION, Adapters
from tests.architecture import rules
from tests.architecture.tree import ROOT

CATALOGUE = (ROOT / "docs" / "problems.md").read_text(encoding="utf-8")
Change = Callable[..., Adapters]
MakeApp = Callable[..., Flask]


class CheckedClient(FlaskClient):
    """Every answer has the security headers; every error is a problem document of the catalogue."""

    def open(self, *args: Any, **options: Any) -> TestResponse:
        answer = super().open(*args, **{"buffered": True} | options)
        faults = check(answer)
        assert faults == [], answer.get_data(as_text=True)
        return answer


def check(answer: TestResponse) -> list[str]:
    status = answer.status_code
    is_head = answer.request.method == "HEAD"
    body = answer.get_json(silent=True) if status >= 400 and not is_head else {"status": status}
    faults = rules.answer_faults(status, dict(answer.headers), body)
    if is_head:
        return [fault for fault in faults if "only" not in fault]
    if status >= 400:
        slug = str(body["type"]).rpartition("/")[2] if isinstance(body, dict) else ""
        faults += [] if f"\n## {slug}\n" in CATALOGUE else [f"{slug} is not in the catalogue"]
    if status in (429, 503) and "Retry-After" not in answer.headers:
        faults.append(f"{status} without Retry-After")
    if status == 401 and "WWW-Authenticate" not in answer.headers:
        faults.append("401 without WWW-Authenticate")
    return faults


@pytest.fixture(autouse=True, scope="session")
def checked(session_app: Flask) -> None:
    session_app.test_client_class = CheckedClient


@pytest.fixture
def change(app: Flask) -> Change:
    """Change settings, or put another adapter in, for this test."""

    def apply(**changes: Any) -> Adapters:
        present: Adapters = app.extensions[EXTENSION]
        adapters = ("storage", "hints", "hasher", "database", "readers")
        parts = {name: changes.pop(name) for name in adapters if name in changes}
        changed = replace(present, settings=replace(present.settings, **changes), **parts)
        app.extensions[EXTENSION] = changed
        return changed

    return apply


@pytest.fixture
def make_app(app: Flask, change: Change) -> Iterator[MakeApp]:
    """Another application with other settings, for those that count only at its start.

    The limiter is one for all of a process, and as the latest application wants it: afterwards without limits.
    """

    def make(**changes: Any) -> Flask:
        made = create_app(adapters=change(**changes))
        made.testing = True
        made.test_client_class = CheckedClient
        return made

    yield make
    limiter._storage_dead = False
    limiter.init_app(app)


@pytest.fixture
def store(change: Change, tmp_path: Path) -> DiskStorage:
    """A store of this test's own."""
    storage = DiskStorage(tmp_path / "store")
    change(storage=storage)
    return storage


def stored(storage: DiskStorage) -> list[Path]:
    """Every file below the store, unfinished ones included."""
    return [path for path in storage.root.rglob("*") if path.is_file()]
