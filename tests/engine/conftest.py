"""Files on disk for tests of the engine."""

from itertools import count
from pathlib import Path

import pytest

from tests.engine.making import Make


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write bytes to a new file, whose name says nothing about what is in it."""
    numbers = count()

    def write(content: bytes, name: str = "") -> Path:
        path = tmp_path / (name or f"file{next(numbers)}")
        path.write_bytes(content)
        return path

    return write
