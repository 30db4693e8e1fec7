"""Work on strangers' files in a child process: bounded, watched, killed when late or unwanted."""

import fcntl
import json
import logging
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from src.domain.errors import DomainError, FieldError, StorageFull, TooLarge, Unavailable
from src.engine.starting import CHILDREN
from src.engine.values import MIB, OnProgress, Sandbox, ShouldStop

log = logging.getLogger(__name__)

OnBlock = Callable[[bytes], object]
Watch = Callable[[], None]

SECONDS_BETWEEN_LOOKS = 0.1
LIGHT = ("head",)  # what it is bounded to is for the file alone
PAGE = os.sysconf("SC_PAGESIZE")
NO_MEMORY = (b"emory allocation", b"bad_alloc", b"MemoryError", b"ut of memory", b"annot allocate memory")


class EngineOutOfMemory(TooLarge):
    slug = "engine-out-of-memory"
    title = "Reading the file needs more memory than is allowed"


class EngineTimeout(TooLarge):
    slug = "engine-timeout"
    title = "Reading the file took too long"


class EngineCrashed(Unavailable):
    slug = "engine-crashed"
    title = "Reading the file failed"


class EngineDiskFull(StorageFull):
    slug = "engine-disk-full"
    title = "There is no room for temporary files"


class Stopped(Exception):
    """The work was given up because its caller asked for that."""


def ignore_progress(done: int, total: int, unit: str) -> None:
    """For callers that do not show progress."""


def never() -> bool:
    """For callers that do not change their mind."""
    return False


def out_of_memory() -> EngineOutOfMemory:
    return EngineOutOfMemory("The file needs more memory than is allowed. Save it as CSV, or split it.")


def run_in_child(
    function: str,
    arguments: Mapping[str, Any],
    sandbox: Sandbox,
    *,
    work_dir: Path | None = None,
    on_progress: OnProgress = ignore_progress,
    should_stop: ShouldStop = never,
    on_block: OnBlock | None = None,
    given: Mapping[str, IO[bytes]] | None = None,
) -> dict[str, Any]:
    """Call one of the functions of `child` in a process of its own, and wait for its answer.

    Its temporary files live in a folder below `work_dir` that is gone afterwards, however it ended.
    A file that is `given` becomes an argument, its number in the child, and is closed here. A function that
    also gives a stream of bytes gets a `pipe` for it, and `on_block` what comes out.
    """
    with (
        tempfile.TemporaryDirectory(prefix="engine-", dir=work_dir) as folder,
        ExitStack() as pipes,
    ):
        files = dict(given or {})
        stream, end = _stream(pipes) if on_block else (None, None)
        if end:
            files["pipe"] = end
        child = pipes.enter_context(CHILDREN.one(sandbox.environment, is_light=function in LIGHT))
        deadline = time.monotonic() + sandbox.seconds
        terms = {"folder": folder, "sandbox": asdict(sandbox), "parent": os.getpid(), "given": [*files]}
        request = {"function": function, "arguments": arguments, **terms}
        try:
            child.send(json.dumps(request).encode() + b"\n", [*files.values()])
            for one in files.values():
                one.close()  # the child has the only one now, so that its end is the end of the stream
            told = _listen(child.words, stream, _watch(child.process.pid, sandbox, deadline, should_stop))
            answer = _pass_on(told, on_progress, on_block)
            code = child.process.wait(max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise _too_late() from error
        return _result(answer, code, child.complaints)


def _stream(pipes: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """Both ends of a pipe, wide enough that few turns are taken."""
    source, target = os.pipe()
    reading = pipes.enter_context(os.fdopen(source, "rb", buffering=0))
    writing = pipes.enter_context(os.fdopen(target, "wb", buffering=0))
    with suppress(AttributeError, OSError):  # Linux only, and only up to what the system allows
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, MIB)
    return reading, writing


def _pass_on(
    told: Iterator[dict[str, Any] | bytes], on_progress: OnProgress, on_block: OnBlock | None
) -> dict[str, Any]:
    """Hand on progress and blocks as they come; what is left is the answer, the child's last word."""
    answer: dict[str, Any] = {}
    for one in told:
        if isinstance(one, bytes):
            if on_block:
                on_block(one)
            continue
        answer = one
        if "progress" in one:
            on_progress(*one["progress"])
    return answer


def _listen(words: int, stream: IO[bytes] | None, watch: Watch) -> Iterator[dict[str, Any] | bytes]:
    """What the child says, and the blocks of its stream, until both end."""
    rest = b""
    for pipe, block in _blocks([words, stream.fileno()] if stream else [words], watch):
        if pipe == words:
            *lines, rest = (rest + block).split(b"\n")
            yield from map(json.loads, lines)
        else:
            yield block


def _blocks(pipes: Sequence[int], watch: Watch) -> Iterator[tuple[int, bytes]]:
    """What comes out of which pipe, looking up at least every tenth of a second."""
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            watch()
            for key, _ in selector.select(SECONDS_BETWEEN_LOOKS):
                block = os.read(key.fd, MIB)
                if block:
                    yield key.fd, block
                else:
                    selector.unregister(key.fd)


def _watch(pid: int, sandbox: Sandbox, deadline: float, should_stop: ShouldStop) -> Watch:
    """Raises what is a reason to end the child."""
    memory = Path(f"/proc/{pid}/statm")  # Linux only; elsewhere the child has none but its own bounds

    def watch() -> None:
        if should_stop():
            raise Stopped
        if time.monotonic() > deadline:
            raise _too_late()
        with suppress(OSError, IndexError):
            if int(memory.read_bytes().split()[1]) * PAGE > sandbox.memory:
                raise out_of_memory()

    return watch


def _too_late() -> EngineTimeout:
    return EngineTimeout("Reading the file took longer than is allowed. Split it, or try again later.")


def _result(answer: dict[str, Any], code: int, complaints: IO[bytes]) -> dict[str, Any]:
    if "error" in answer:
        raise _revived(answer["error"])
    if "result" in answer and code == 0:
        result: dict[str, Any] = answer["result"]
        return result
    complaints.seek(max(0, complaints.seek(0, os.SEEK_END) - 4_000))
    last_words = complaints.read()
    log.error("the engine's child ended with %s: %s", code, last_words.decode(errors="replace"))
    if code == -signal.SIGXCPU:
        raise _too_late()
    if code == -signal.SIGKILL or any(sign in last_words for sign in NO_MEMORY):
        raise out_of_memory()
    raise EngineCrashed("The reader broke down on this file. Try again, or save the file anew.")


def as_message(error: DomainError) -> dict[str, Any]:
    """An expected error, as it crosses from child to parent."""
    return {
        "slug": error.slug,
        "detail": error.detail,
        "errors": [asdict(field) for field in error.errors],
        "members": error.members,
    }


def _revived(message: Mapping[str, Any]) -> DomainError:
    """The same error on this side; one that nobody here knows is a breakdown."""
    kinds = {kind.slug: kind for kind in _family(DomainError)}
    kind = kinds.get(message["slug"], EngineCrashed)
    errors = [FieldError(**field) for field in message["errors"]]
    return kind(message["detail"], errors=errors, **message["members"])


def _family(kind: type[DomainError]) -> Iterator[type[DomainError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _family(child)
