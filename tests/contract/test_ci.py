"""`.ci/run`: both commands run, pytest's closing line is the last, the exit code right whichever fails."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contract.documents import ROOT

MAKE = """#!/bin/sh
echo "make $1, CI=$CI"
read -r line && echo "there is something to read: $line"
if [ "$1" = test ]; then echo "======= 3 passed, 1 warning in 61.20s (0:01:01) ======="; fi
if [ "$1" = "$FAILING" ] || [ "$FAILING" = both ]; then
    echo "make: *** [Makefile:1: $1] Error 1" >&2
    exit 2
fi
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which `make` only says what it was asked for."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    make = tmp_path / "bin/make"
    make.parent.mkdir()
    make.write_text(MAKE)
    make.chmod(0o755)
    bootstrap = tmp_path / "scripts/bootstrap"
    bootstrap.parent.mkdir()
    bootstrap.write_text('#!/bin/sh\necho "bootstrap $1"\n')
    bootstrap.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("failing", "is_well"), [("neither", True), ("check", False), ("test", False), ("both", False)]
)
def test_the_last_line_is_pytests_and_the_exit_code_is_right(
    checkout: Path, failing: str, is_well: bool
) -> None:
    path = f"{checkout / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [checkout / ".ci/run"],
        cwd="/",
        env=os.environ | {"PATH": path, "FAILING": failing},
        input="from a terminal",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert (done.returncode == 0) is is_well
    assert lines[-1] == "======= 3 passed, 1 warning in 61.20s (0:01:01) ======="
    assert lines[0] == "bootstrap dev", "once, before two ask for it at the same time"
    assert "make check, CI=true" in lines
    assert "make test, CI=true" in lines
    assert ("make: *** [Makefile:1: check] Error 1" in lines) is (failing in ("check", "both"))
    assert "there is something to read" not in done.stdout


def test_it_runs_what_the_readme_says() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert "\nnice make check >" in script
    assert "\nmake test 2>&1 |" in script
    assert os.access(ROOT / ".ci/run", os.X_OK)
