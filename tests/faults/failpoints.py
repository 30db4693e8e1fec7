"""A worker that dies at a chosen commit, rename or publish (`celery -A tests.faults.failpoints`)."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from src.queue import HintQueue
from src.worker import app

__all__ = ["app"]

MAIN = os.getpid()  # it starts new children, and has to live
FUSE = Path(os.environ["HOME"]) / "fuse"  # how many points are passed before the end; gone once it has burnt


def guarded(act: Callable[..., Any]) -> Callable[..., Any]:
    """Do it, unless this is where the process is to die: before it, or right after."""

    def run(*args: Any, **kwargs: Any) -> Any:
        _pass()
        result = act(*args, **kwargs)
        _pass()
        return result

    return run


def _pass() -> None:
    if os.getpid() == MAIN:
        return
    try:
        left = int(FUSE.read_text())
    except FileNotFoundError:
        return
    if left:
        FUSE.write_text(str(left - 1))
        return
    FUSE.unlink()
    os.kill(os.getpid(), signal.SIGKILL)


Session.commit = guarded(Session.commit)  # type: ignore[method-assign]
HintQueue.publish = guarded(HintQueue.publish)  # type: ignore[method-assign]
os.rename = guarded(os.rename)
os.replace = guarded(os.replace)
os.link = guarded(os.link)
