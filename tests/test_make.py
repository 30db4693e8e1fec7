"""The Makefile and scripts/bootstrap, in a small project of their own whose path has spaces."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.leftovers import ROOT, none_left

TARGETS = """
run test check lint bench faults up down restart status logs shell dbshell env build test-image migrate
backup restore health smoke clean openapi insomnia help
"""
TOOLS = ("sh", "cat", "cksum", "dirname", "rm", "flock")
STUB = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
try:
    print("port", os.environ.get("PORT"), flush=True)
    time.sleep(600)
finally:
    print("stopped", flush=True)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What `make run` needs, with nothing to install and a program that only waits."""
    project = tmp_path / "my project's folder"
    for name in ("Makefile", "scripts", "docker/compose.mk"):
        target = project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, target)
    (project / "requirements.txt").write_text("# nothing\n")
    (project / "src" / "cli").mkdir(parents=True)
    (project / "src" / "cli" / "__main__.py").write_text(STUB)
    return project


def environment(**more: str) -> dict[str, str]:
    """Ours, with a Redis elsewhere, so that none is looked for, and without this run's own make."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))
    }
    return kept | {"REDIS_URL": "redis://elsewhere"} | more


def bootstrap(project: Path, **more: str) -> subprocess.CompletedProcess[str]:
    command = [str(project / "scripts" / "bootstrap")]
    return subprocess.run(command, env=environment(**more), capture_output=True, text=True, check=False)


def tools_only(folder: Path, **programs: Path) -> str:
    """A PATH with a few plain tools and these programs, and with nothing else."""
    folder.mkdir()
    found = {tool: shutil.which(tool) for tool in TOOLS} | {
        name: str(path) for name, path in programs.items()
    }
    for name, path in found.items():
        if path is not None:
            (folder / name).symlink_to(path)
    return str(folder)


def test_help_lists_every_target_with_a_sentence() -> None:
    done = subprocess.run(
        ["make", "help"], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    listed = re.findall(r"^  make (\S+) +\S", done.stdout, re.MULTILINE)
    assert set(TARGETS.split()) <= set(listed)
    assert "Compose" in done.stdout.splitlines()


def test_the_environment_is_made_once_and_again_only_when_something_changed(project: Path) -> None:
    first = bootstrap(project)
    assert first.returncode == 0, first.stderr
    assert "Installing packages" in first.stdout
    assert (project / ".venv" / "bin" / "python").exists()
    assert bootstrap(project).stdout == ""
    (project / "requirements.txt").write_text("# still nothing\n")
    changed = bootstrap(project)
    assert "Installing packages" in changed.stdout
    assert "Making .venv" not in changed.stdout
    (project / ".venv" / "bin" / "python").unlink()
    broken = bootstrap(project)
    assert "Making .venv" in broken.stdout
    assert broken.returncode == 0, broken.stderr


def test_pip_is_enough(project: Path, tmp_path: Path) -> None:
    python = Path(sys.base_prefix) / "bin" / "python3"
    done = bootstrap(project, PATH=tools_only(tmp_path / "bin", python3=python))
    assert done.returncode == 0, done.stderr
    assert "uv" not in (project / ".venv" / "pyvenv.cfg").read_text().split()


def test_uv_is_enough(project: Path, tmp_path: Path) -> None:
    path = tools_only(
        tmp_path / "bin",
        uv=Path(sys.executable).with_name("uv"),
        python3=Path(sys.base_prefix) / "bin" / "python3",
    )
    done = bootstrap(project, PATH=path)
    assert done.returncode == 0, done.stderr
    assert "uv" in (project / ".venv" / "pyvenv.cfg").read_text().split()


def test_without_a_python_that_is_new_enough_the_message_says_what_is_needed(
    project: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = bootstrap(project, PATH=tools_only(tmp_path / "bin", python3=old))
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    named = bootstrap(project, PYTHON=str(old))
    assert named.returncode == 1
    assert "is not a Python of version 3.11 or newer" in named.stderr


def test_packages_that_cannot_be_had_end_it_with_a_reason_and_the_next_try_goes_on(project: Path) -> None:
    (project / "requirements.txt").write_text("./no such folder\n")
    failed = bootstrap(project)
    assert failed.returncode == 1
    assert "could not be installed" in failed.stderr
    (project / "requirements.txt").write_text("# nothing\n")
    assert bootstrap(project).returncode == 0


def test_make_run_hands_on_the_port_and_the_stop_signal(project: Path) -> None:
    process = subprocess.Popen(
        ["make", "run", "PORT=7019"], cwd=project, env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert "port 7019\n" in lines
    process.send_signal(signal.SIGTERM)
    assert "stopped\n" in lines
    process.communicate(timeout=30)
    assert none_left(project)
