"""docs/benchmarks.md: one section per benchmark, each renewed by its own."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


def machine() -> str:
    """When and on what it was measured."""
    return f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}"


def write_section(heading: str, section: str, page: Path = PAGE) -> None:
    """Replace the section where it stands, or add it; the other sections stay as they are."""
    text = page.read_text() if page.exists() else "# Benchmarks\n"
    before, found, rest = text.partition(f"\n{heading}\n")
    _, more, after = rest.partition("\n## ")
    page.write_text(f"{before}\n{section}{more}{after}" if found else f"{text}\n{section}")
