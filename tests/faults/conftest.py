"""Fault runs: each has a seed, which it prints; `FAULT_SEED=… make faults` runs it again as it was."""

import os
import random

import pytest

from tests.committing import own_settings, workshop
from tests.faults.books import Books
from tests.faults.eventing import EventBooks
from tests.faults.tables import make_tables
from tests.live import Live, live

__all__ = ["live", "own_settings", "workshop"]

SMALL = b"name,amount,day\n" + b"Ana,10.50,2026-01-31\nRui,20,2026-02-28\n" * 20


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """All chance in a test comes from here."""
    seed = os.environ.get("FAULT_SEED") or str(random.SystemRandom().randrange(10**9))
    print(f"\n{request.node.name}: FAULT_SEED={seed}")
    return random.Random(seed)


@pytest.fixture(scope="session")
def large() -> bytes:
    """A table whose profile takes some seconds."""
    rng = random.Random(7)
    block = "".join(
        f"{n},name {rng.random()},{rng.random() * 1e6:.2f},2026-0{n % 9 + 1}-11\n" for n in range(20_000)
    )
    return b"id,name,amount,day\n" + block.encode() * 100


@pytest.fixture
def small() -> bytes:
    return SMALL


@pytest.fixture
def books(live: Live) -> Books:
    """What was promised in this run; every test ends with a look at it."""
    make_tables(live.workshop.database)
    return Books(live)


@pytest.fixture
def events(live: Live) -> EventBooks:
    """What was sent and acknowledged of events."""
    return EventBooks(live)
