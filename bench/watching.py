"""How much memory processes of the engine take, while a benchmark runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SECONDS_BETWEEN = 0.1
KIB = 1024
FORGET_PEAK = "5"


@dataclass
class Watch:
    """The most that was resident in any child, and in this process, since the watch began; and before it."""

    child: int = 0
    before: int = 0

    @property
    def worker(self) -> int:
        return _peak(Path("/proc/self"))

    def __str__(self) -> str:
        worker = f"{self.worker} MiB in the worker ({self.before} before)"
        return f"{worker}, {self.child} MiB in the largest of its children"


@contextmanager
def watching() -> Iterator[Watch]:
    """Look at all children of the engine, ten times a second."""
    Path("/proc/self/clear_refs").write_text(FORGET_PEAK)
    watch, is_over = Watch(before=_peak(Path("/proc/self"))), threading.Event()

    def look() -> None:
        while not is_over.wait(SECONDS_BETWEEN):
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError, StopIteration):
                    if b"src.engine.child" in (process / "cmdline").read_bytes():
                        watch.child = max(watch.child, _peak(process))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        is_over.set()
        thread.join()


def _peak(process: Path) -> int:
    lines = (process / "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) // KIB
