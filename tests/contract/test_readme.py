"""The README's tour is run, line by line, against the whole service; what it says is printed is printed."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.contract.conftest import Live
from tests.contract.documents import ROOT, blocks, is_as_shown, run

pytestmark = pytest.mark.xdist_group("samples")  # with the other guide that is run on them, and behind it
README = ROOT / "README.md"
TOUR = [block for block in blocks(README) if block.is_run]
CURL = "curl" if shutil.which("curl") else "stand-in"  # once: what it mends and undoes stays so


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """A folder with a program called curl."""
    program = tmp_path / "curl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT / "tests/contract/curl.py"}" "$@"\n')
    program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("curl", [CURL])
def test_every_step_of_the_tour_prints_what_the_readme_shows(live: Live, stand_in: Path, curl: str) -> None:
    before = f"{stand_in}:" if curl == "stand-in" else ""
    outputs = run(TOUR, live.folder, live.env | {"PATH": f"{before}{live.env['PATH']}"})
    for block, printed in zip(TOUR, outputs, strict=True):
        shown = block.prints or ""
        assert is_as_shown(shown, printed), f"{block.place}\n{shown}--- but it was ---\n{printed}"


def test_the_tour_shows_the_way_from_the_login_to_the_logout() -> None:
    text = "".join(block.text for block in TOUR)
    for part in (
        "/auth/login",
        "-F file=@samples/",
        "/preview",
        "/profile",
        "?wait=",
        "/cancel",
        "/auth/logout",
    ):
        assert part in text, part


def test_what_the_tour_writes_is_ignored_by_git() -> None:
    tour = "".join(block.text for block in TOUR)
    written = set(re.findall(r"(?:> ?|-o )([\w./]+\.\w+)", tour))
    written |= {f"{name}.{end}" for end, name in re.findall(r"sed -i\.(\w+) .* ([\w.]+)\n", tour)}
    assert {"rejects.csv", "rejects.csv.before", "rules.json", "report.csv"} <= written
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {f"/{name}" for name in written} <= set(ignored)


def test_every_block_of_shell_in_the_tour_is_run() -> None:
    tour = README.read_text(encoding="utf-8").partition("\n## A tour")[2].partition("\n## ")[0]
    assert tour.count("```sh") == tour.count("```sh run") == len(TOUR)


def test_the_readme_shows_the_layers_that_are_checked() -> None:
    checked = (
        (ROOT / ".importlinter").read_text(encoding="utf-8").partition("layers =\n")[2].partition("ignore")[0]
    )
    table = README.read_text(encoding="utf-8").partition("| layer | has |\n")[2].partition("\n\n")[0]
    shown = [name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert shown == re.findall(r"\w+", checked)


def test_the_readme_names_the_two_commands() -> None:
    text = README.read_text(encoding="utf-8")
    assert re.search(r"^make run\b", text, re.MULTILINE)
    assert re.search(r"^make test\b", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("shown", "printed", "is_right"),
    [
        ("a\nb\n", "a\nb", True),
        ("a …\n", "a thing", True),
        ("a …\n", "b thing", False),
        ("a\n…\nd\n", "a\nb\nc\nd", True),
        ("a\n…\nd\n", "a\nd", True),
        ("a\n", "a\nb", False),
        ("{…}\n", "{x}\n{y}", False),
    ],
)
def test_an_ellipsis_stands_for_text_in_a_line_or_for_lines(shown: str, printed: str, is_right: bool) -> None:
    assert is_as_shown(shown, printed) is is_right
