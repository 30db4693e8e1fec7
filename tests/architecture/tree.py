"""The source tree as the house rules see it."""

from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
TESTS = ROOT / "tests"


def sources(folder: Path = SRC) -> Iterator[tuple[str, str]]:
    """Every Python file below a folder: its name from the root, and its text."""
    for path in sorted(folder.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def violations(rule: Callable[[str], list[str]], folder: Path = SRC) -> list[str]:
    """What a rule says about the files below a folder, each sentence with the file's name."""
    return [f"{name}: {fault}" for name, text in sources(folder) for fault in rule(text)]
