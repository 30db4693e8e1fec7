"""What the documents name exists: links, commands, routes, settings with their defaults, problems, files."""

import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path

import click
import pytest
from flask import Flask

from src.config import GIB, MIB, Settings
from src.tasks.handlers import HANDLERS
from tests.contract.documents import ROOT, documents

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
MAKE = re.compile(r"(?<![\w-])make ((?:[a-z][a-z-]*(?: |\b)(?![=/]))+)")
FLASK = re.compile(r"flask --app src\.app ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?")
ROUTE = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE)\s+(/[\w/{}<>.-]*)")
PROBLEM = re.compile(r"\b[45]\d\d `([a-z-]+)`")
PLACE = re.compile(r"`((?:src|tests|docs|scripts|docker|migrations|bench)/[\w./*-]+)`")
CODE = re.compile(r"```.*?```|`[^`\n]+`|^ {4}.*$", re.MULTILINE | re.DOTALL)
GUIDES = (
    "alerts",
    "files",
    "jobs",
    "deliveries",
    "schedules",
    "security",
    "rate-limiting",
    "logging",
    "troubleshooting",
    "clients",
    "indicators",
    "db-partitioning",
)
FILES = documents()

each_document = pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def code_in(path: Path) -> str:
    """Only what is set as code: prose may say «make sure»."""
    return "\n".join(CODE.findall(text_of(path)))


def anchors(path: Path) -> set[str]:
    """As GitHub makes them from headings."""
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(text_of(path))
    }


def make_targets() -> set[str]:
    rules = text_of(ROOT / "Makefile") + text_of(ROOT / "docker/compose.mk")
    return set(re.findall(r"^([a-z][a-z-]*):", rules, re.MULTILINE))


def tables(path: Path) -> Iterator[dict[str, str]]:
    """Every row of every table, by the names in its header."""
    rows = re.findall(r"(?:^\|.*\|\n)+", text_of(path) + "\n", re.MULTILINE)
    for table in rows:
        cells = [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in table.strip().splitlines()
        ]
        for row in cells[2:]:
            yield dict(zip(cells[0], row, strict=True))


def shown(default: object) -> str:
    """A default as a document writes it."""
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, tuple):
        return ",".join(default)
    if isinstance(default, int) and default >= MIB:
        return f"{default // GIB} GiB" if default % GIB == 0 else f"{default // MIB} MiB"
    return str(default)


@each_document
def test_links_within_the_project_lead_somewhere(path: Path) -> None:
    for link in LINK.findall(text_of(path)):
        if "://" in link or link.startswith("mailto:"):
            continue
        target, _, anchor = link.partition("#")
        found = path.parent / target if target else path
        assert found.exists(), link
        assert not anchor or anchor in anchors(found), link


@each_document
def test_a_make_target_that_is_named_exists(path: Path) -> None:
    named = {word for words in MAKE.findall(code_in(path)) for word in words.split()}
    assert named <= make_targets()


@each_document
def test_a_command_that_is_named_exists(path: Path, session_app: Flask) -> None:
    for name, inner in FLASK.findall(code_in(path)):
        command = session_app.cli.commands.get(name)
        assert command, name
        if isinstance(command, click.Group):
            assert inner in command.commands, f"{name} {inner}"


def test_the_readme_names_every_command(session_app: Flask) -> None:
    """But for those that others call, and what Flask and its extensions bring."""
    ours = {
        f"{name} {inner}"
        for name, group in session_app.cli.commands.items()
        if isinstance(group, click.Group) and name not in ("db", "openapi")
        for inner in group.commands
    }
    named = set(re.findall(r"`([^`\n]+)`", text_of(ROOT / "README.md")))
    assert sorted(ours - named) == []
    assert sorted({f"make {target}" for target in make_targets()} - {"make help"} - named) == []


def test_the_guide_to_jobs_names_every_kind() -> None:
    assert [kind for kind in HANDLERS if f"`{kind}`" not in text_of(ROOT / "docs/jobs.md")] == []


@each_document
def test_a_route_that_is_named_exists(path: Path, session_app: Flask) -> None:
    adapter = session_app.url_map.bind("localhost")
    for method, route in ROUTE.findall(code_in(path)):
        filled = re.sub(r"[{<]\w+[}>]", "01a1fbda-5930-7930-824a-4271ebe8a49b", route)
        assert adapter.test(filled, method), f"{method} {route}"


@each_document
def test_a_setting_in_a_table_exists_and_has_the_default_that_stands_beside_it(path: Path) -> None:
    defaults = {field.name.upper(): field.default for field in fields(Settings)}
    for row in tables(path):
        for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", row.get("setting", "")):
            if name not in defaults:
                assert re.search(rf"^#?{name}=", text_of(ROOT / ".env.example"), re.MULTILINE), name
                continue
            beside = row.get("default", row.get("days"))
            assert defaults[name] is not MISSING
            assert beside is None or beside.startswith(shown(defaults[name])), f"{name}: {beside}"


@each_document
def test_a_problem_that_is_named_is_in_the_catalogue(path: Path) -> None:
    catalogue = text_of(ROOT / "docs/problems.md")
    for slug in PROBLEM.findall(text_of(path)):
        assert f"\n## {slug}\n" in catalogue, slug


@each_document
def test_a_file_that_is_named_exists(path: Path) -> None:
    for place in PLACE.findall(text_of(path)):
        assert list(ROOT.glob(place.rstrip("/"))), place


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_is_short_and_the_readme_leads_to_it(name: str) -> None:
    assert len(text_of(ROOT / f"docs/{name}.md").splitlines()) <= 100
    assert f"(docs/{name}.md)" in text_of(ROOT / "README.md")


def test_decisions_are_numbered_without_gaps_and_have_all_parts() -> None:
    found = sorted((ROOT / "docs/adr").glob("*.md"))
    assert [int(path.name[:4]) for path in found] == list(range(len(found)))
    for path in found:
        text = text_of(path)
        assert text.startswith(f"# {int(path.name[:4])}. ")
        for part in ("Context", "Decision", "Consequences", "Alternatives"):
            assert f"\n## {part}\n" in text, f"{path.name}: {part}"
