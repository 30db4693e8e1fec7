"""What src imports is declared in requirements.txt, and what is declared there is used."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Declared without an import of their own: the one that is imported loads them.
INDIRECT = {
    "billiard": "kept from a version that drops tasks",
    "alembic": "imported by the migrations",
    "tzdata": "what zoneinfo reads where the system has no time zones",
}


def declared(text: str) -> set[str]:
    """The names in a requirements file, as distributions spell them when compared."""
    names = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", text, re.MULTILINE)
    return {name.lower().replace("_", "-") for name in names}


def imported(sources: list[str]) -> set[str]:
    """The top-level modules that these sources import, but for the standard library and our own."""
    found: set[str] = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"src", "_typeshed"}


def distributions(modules: set[str]) -> set[str]:
    """The distributions that these modules come from."""
    known = packages_distributions()
    return {known[name][0].lower().replace("_", "-") if name in known else name for name in modules}


def sources() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")]


def requirements() -> set[str]:
    """What every installation has, and what one that asks a cluster has besides."""
    files = ("requirements.txt", "requirements-spark.txt")
    return set().union(*(declared((ROOT / name).read_text(encoding="utf-8")) for name in files))


def test_everything_imported_is_declared() -> None:
    assert distributions(imported(sources())) - requirements() == set()


def test_everything_declared_is_used() -> None:
    text = "\n".join(sources())
    named = {name for name in requirements() if re.search(rf"\b{re.escape(name.replace('-', '_'))}\b", text)}
    assert requirements() - distributions(imported(sources())) - named - INDIRECT.keys() == set()


def test_an_undeclared_import_is_found() -> None:
    planted = imported(["import hypothesis.strategies\nfrom os import path\nfrom . import near"])
    assert distributions(planted) - declared("flask>=3\n") == {"hypothesis"}
