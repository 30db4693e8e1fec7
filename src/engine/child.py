"""The engine's child process: takes one request on stdin, bounds itself, works, answers on stdout, ends.

With the argument `ahead` it loads what most work needs before that.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Any

from src.domain.errors import DomainError
from src.engine.profile import read_profile
from src.engine.progress import Progress
from src.engine.reading.heads import read_head
from src.engine.reading.tables import read_table
from src.engine.sandbox import EngineDiskFull, as_message, out_of_memory
from src.engine.starting import AHEAD
from src.engine.values import OnProgress, Sandbox

Function = Callable[[Mapping[str, Any], Path, Sandbox, OnProgress], dict[str, Any]]
FUNCTIONS: Mapping[str, Function] = {"head": read_head, "convert": read_table, "profile": read_profile}
HEAVY_FUNCTIONS = {  # imported when they are wanted: their libraries take as long as reading many a head
    "load": "src.engine.imports.intake:read_load",
    "keep": "src.engine.imports.intake:read_spooled",
    "collect": "src.engine.imports.collecting:read_originals",
    "mend": "src.engine.imports.mending:read_mended",
    "merge": "src.engine.imports.merging:read_merged",
    "settle": "src.engine.imports.settling:read_evidence",
    "query": "src.engine.queries.executing:read_query",
    "write": "src.engine.imports.emitting:write_rows",
    "cluster": "src.engine.queries.spark_child:read_from_cluster",
}
OFTEN_USED = (
    "duckdb",
    "python_calamine",
    "numpy.ma",  # Arrow wants it for the first array that it is given
    "src.engine.imports.intake",
    "src.engine.imports.emitting",
    "src.engine.queries.executing",
)
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
LARGE = (
    128 * 1024
)  # glibc's own at its start: from there on, blocks are the system's as soon as they are free
MOST_GIVEN = 4
PROCESSORS = 4
NO_ROOM_FOR_LIBRARY = ("failed to map segment", "annot allocate memory")  # glibc's words
NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


class _NotHere:
    """pandas, wherever it is installed: Arrow loads it, to look whether it is given any of it, which takes as
    long as many a file, and a tenth of the memory."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)


def main() -> None:
    """Answer one request."""
    sys.excepthook = _complain
    sys.meta_path.insert(0, _NotHere)
    _be_taken_first()
    say = _speaker()
    if AHEAD in sys.argv:
        for module in OFTEN_USED:
            import_module(module)
    request = _request()
    os.environ.update(HOME=request["folder"], TMPDIR=request["folder"])
    sandbox = Sandbox(**request["sandbox"])
    _die_with(request["parent"])
    _bound(sandbox)
    with Progress(lambda done, total, unit: say({"progress": [done, total, unit]})) as progress:
        answer = _answer(request, sandbox, progress)
    say(answer)
    os._exit(0)  # at once: somebody waits, and to take libraries down has no use


def _answer(request: Mapping[str, Any], sandbox: Sandbox, on_progress: OnProgress) -> dict[str, Any]:
    function = _function(request["function"])
    try:
        return {"result": function(request["arguments"], Path(request["folder"]), sandbox, on_progress)}
    except DomainError as error:
        return {"error": as_message(error)}
    except MemoryError:
        return {"error": as_message(out_of_memory())}
    except ImportError as error:
        if not any(words in str(error) for words in NO_ROOM_FOR_LIBRARY):
            raise
        return {"error": as_message(out_of_memory())}
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        return {"error": as_message(EngineDiskFull("Free some disk space, and try again."))}


def _function(name: str) -> Function:
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    module, _, attribute = HEAVY_FUNCTIONS[name].partition(":")
    function: Function = getattr(import_module(module), attribute)
    return function


def _complain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Where it broke down and how, without the message: that may quote rows, and this ends up in a log."""
    del error
    sys.stderr.write("".join([*traceback.format_tb(trace), kind.__name__, "\n"]))


def _speaker() -> Callable[[dict[str, Any]], None]:
    """Keep stdout for messages; what libraries print goes to stderr."""
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    lock = threading.Lock()

    def say(message: dict[str, Any]) -> None:
        with lock:
            view = memoryview(json.dumps(message).encode() + b"\n")
            while view:
                view = view[out.write(view) or 0 :]

    return say


def _request() -> dict[str, Any]:
    """The first line of stdin, read without a buffer that would take the end with it. Files that came with it
    are among the arguments, each by its number here."""
    line, files = b"", []
    with socket.socket(fileno=os.dup(0)) as stdin:
        while not line.endswith(b"\n"):
            block, came, *_ = socket.recv_fds(stdin, 65_536, MOST_GIVEN)
            if not block:
                os._exit(0)
            line += block
            files += came
    request: dict[str, Any] = json.loads(line)
    request["arguments"].update(zip(request["given"], files, strict=True))
    return request


def _die_with(parent: int) -> None:
    """Never outlive the parent: the kernel sees to it on Linux, the end of stdin everywhere."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
    threading.Thread(target=_wait_for_end_of_stdin, daemon=True).start()


def _wait_for_end_of_stdin() -> None:
    while os.read(0, 1):
        pass
    os._exit(0)


def _bound(sandbox: Sandbox) -> None:
    """Writable memory (DATA) is what is bounded: DuckDB reserves far more addresses (AS) than it uses."""
    bounds = {
        resource.RLIMIT_DATA: sandbox.reserved or sandbox.memory,
        resource.RLIMIT_CPU: ceil(sandbox.seconds * PROCESSORS),
        resource.RLIMIT_FSIZE: sandbox.disk,
        resource.RLIMIT_NOFILE: sandbox.open_files,
        resource.RLIMIT_CORE: 0,
    }
    for which, bound in bounds.items():
        hard = resource.getrlimit(which)[1]
        limit = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        with suppress(ValueError, OSError):  # not every system knows every limit
            resource.setrlimit(which, (limit, limit))
    if sandbox.gives_back:
        with suppress(OSError, AttributeError):  # glibc only
            libc = ctypes.CDLL(None)
            libc.mallopt(TRIM_THRESHOLD, sandbox.gives_back)
            libc.mallopt(MMAP_THRESHOLD, LARGE)


def _be_taken_first() -> None:
    """When memory ends, the kernel takes the child, also one that waits."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main()
