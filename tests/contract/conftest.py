"""The whole service as `make run` starts it, in a folder of its own, for documents to be run against."""

import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.leftovers import ROOT, none_left, processes_of, python, wait_until

START_PATIENCE = 120.0
OURS = ("DATABASE_URL", "REDIS_URL", "JWT_SECRET", "ADMIN_EMAIL", "ADMIN_PASSWORD", "REGISTRATION")


@dataclass(frozen=True)
class Live:
    """A running service, and a folder that looks like the checkout it was started from."""

    folder: Path
    base: str
    env: dict[str, str]


@pytest.fixture(scope="package")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """`flask up`, ended and looked after when the tests of this folder are over: idle, it still costs others time."""
    folder = tmp_path_factory.mktemp("a checkout")
    shutil.copytree(ROOT / "samples", folder / "samples")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    places = {"VAR_DIR": "var", "LOG_DIR": "logs", "STORAGE_URL": "var/files"}
    env = {name: value for name, value in os.environ.items() if name not in OURS}
    env |= {name: str(folder / place) for name, place in places.items()} | {"PORT": str(port)}
    with (folder / "output").open("wb") as output:
        service = subprocess.Popen(
            python("-m", "flask", "--app", "src.app", "up"),
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    base = f"http://127.0.0.1:{port}"
    try:
        assert wait_until(lambda: service.poll() is not None or _is_ready(base), START_PATIENCE)
        assert service.poll() is None, (folder / "output").read_text()
        yield Live(folder, base, env | {"BASE": base})
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(90)
    assert none_left(folder), processes_of(folder)


def _is_ready(base: str) -> bool:
    try:
        with urllib.request.urlopen(f"{base}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
