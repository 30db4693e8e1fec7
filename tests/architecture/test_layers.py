"""The layer contract holds, and it would notice if it did not."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.architecture.tree import ROOT

CONTRACTS = 6
PLANTED = {
    "repositories/planted.py": "import src.services.files",
    "services/planted.py": "import flask",
    "tasks/planted.py": "import celery",
    "api/planted.py": "import sqlalchemy",
    "engine/reading/planted.py": "import src.engine.imports.casting",
    "domain/planted.py": "import src.domain.planted_too",
    "domain/planted_too.py": "import src.domain.planted",
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run(
        [sys.executable, "-c", command], cwd=folder, capture_output=True, text=True, check=False
    )


def copy_of_the_sources(folder: Path) -> Path:
    shutil.copy(ROOT / ".importlinter", folder)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("static", "__pycache__"))
    return folder / "src"


def test_the_sources_keep_every_contract() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert f"{CONTRACTS} kept, 0 broken" in done.stdout


def test_a_planted_violation_of_each_contract_is_found(tmp_path: Path) -> None:
    src = copy_of_the_sources(tmp_path)
    for name, line in PLANTED.items():
        (src / name).write_text(f"{line}\n")
    done = lint(tmp_path)
    assert done.returncode == 1
    assert f"0 kept, {CONTRACTS} broken" in done.stdout, done.stdout


def test_a_module_that_belongs_to_no_layer_is_found(tmp_path: Path) -> None:
    src = copy_of_the_sources(tmp_path)
    (src / "utils.py").write_text("")
    done = lint(tmp_path)
    assert done.returncode == 1
    assert "utils" in done.stdout
