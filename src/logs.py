"""Logs: readable on a terminal, JSON lines otherwise, always with the request or job they belong to."""

import fcntl
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import structlog

ROTATE_AT = 20 * 1024 * 1024
KEPT = 5
# Of a record; all others are what was added to it.
LINE = "as_json"
OWN_MEMBERS = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", LINE}
Event = MutableMapping[str, Any]


class NoLock(nullcontext[None]):
    """What stands where logging expects a lock."""

    def acquire(self) -> None:
        pass

    def release(self) -> None:
        pass


NO_LOCK = NoLock()


class Console(logging.StreamHandler):  # type: ignore[type-arg]  # of any text stream
    """Each line is one write, so threads need no lock; behind one, they queued at each other's writes."""

    def createLock(self) -> None:  # noqa: N802  logging's name
        self.lock = NO_LOCK  # type: ignore[assignment]  # used as one


class SharedFile(logging.Handler):
    """A file that several threads and processes write to, without a lock: each line is one write at its end.

    Who finds it full rotates it, alone; all others follow.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._opening = threading.Lock()
        self._file = -1
        self._known: tuple[int, int] | None = None

    def createLock(self) -> None:  # noqa: N802  logging's name
        self.lock = NO_LOCK  # type: ignore[assignment]  # used as one

    def emit(self, record: logging.LogRecord) -> None:
        try:
            os.write(self._current(), f"{self.format(record)}\n".encode())
        except Exception:  # noqa: BLE001  as logging's own handlers: what is logged goes on, whatever fails here
            self.handleError(record)

    def close(self) -> None:
        with self._opening:
            if self._file != -1:
                os.close(self._file)
            self._file, self._known = -1, None
        super().close()

    def _current(self) -> int:
        """The file that has the name at this moment."""
        if self._size() >= ROTATE_AT:
            with suppress(OSError):  # a file that can't be rotated grows
                self._rotate()
            self._size()
        if self._known is None:
            with self._opening:
                self._open()
        return self._file

    def _size(self) -> int:
        """Of the file that has the name now; forgets the one that is open, when that is another."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            self._known = None
            return 0
        if (found.st_dev, found.st_ino) != self._known:
            self._known = None
        return found.st_size

    def _open(self) -> None:
        """In the place of the one that is open, to which another thread may be writing."""
        fresh = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if self._file == -1:
            self._file = fresh
        else:
            os.dup2(fresh, self._file, inheritable=False)
            os.close(fresh)
        found = os.fstat(self._file)
        self._known = found.st_dev, found.st_ino

    def _rotate(self) -> None:
        """Under a lock on the folder, which the kernel drops when its holder dies; if it is still needed."""
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if self._size() >= ROTATE_AT:
                for number in range(KEPT - 1, 0, -1):
                    with suppress(FileNotFoundError):
                        os.replace(f"{self._path}.{number}", f"{self._path}.{number + 1}")
                os.replace(self._path, f"{self._path}.1")
        finally:
            os.close(folder)


class JsonLine(logging.Formatter):
    """A record as one line of JSON. By hand, as each request and each alert writes one, and structlog's chain
    of processors took longer than judging an event."""

    def format(self, record: logging.LogRecord) -> str:
        """Once for all handlers."""
        line: str | None = record.__dict__.get(LINE)
        if line is None:
            record.__dict__[LINE] = line = self._line(record)
        return line

    def _line(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        line: dict[str, Any] = {"event": record.getMessage(), **structlog.contextvars.get_contextvars()}
        line |= {"level": record.levelname.lower(), "logger": record.name}
        line |= {name: value for name, value in record.__dict__.items() if name not in OWN_MEMBERS}
        line["time"] = time.removesuffix("+00:00") + "Z"
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:  # at texts that are no UTF-8, and at integers of more than 64 bits
            return json.dumps(line, default=str)


@contextmanager
def context(**members: Any) -> Iterator[None]:
    """Every line logged inside carries these members; None is left out."""
    with structlog.contextvars.bound_contextvars(**{name: v for name, v in members.items() if v is not None}):
        yield


def bind(**members: Any) -> None:
    """Add members to the context that is open."""
    structlog.contextvars.bind_contextvars(**members)


def current(member: str) -> Any:
    """What the context says of this, or None."""
    return structlog.contextvars.get_contextvars().get(member)


def configure(*, level: str = "INFO", style: str = "auto", folder: str = "") -> None:
    """Send everything that the standard logging gets to stderr and, as JSON, to a rotated file."""
    _leave_out_what_nobody_reads()
    is_json = style == "json" or (style == "auto" and not sys.stderr.isatty())
    console = Console(sys.stderr)
    console.setFormatter(JsonLine() if is_json else _for_terminals())
    handlers: list[logging.Handler] = [console]
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        handlers.append(_file(folder, "app.log"))
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(level.upper())
    _separate("src.events", [_file(folder, "events.log")] if folder else [])
    for noisy in ("werkzeug", "alembic", "botocore", "aiobotocore", "s3fs", "fsspec", "urllib3"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def _leave_out_what_nobody_reads() -> None:
    """As the documentation of logging advises; none of our many lines names its place in the code."""
    logging._srcfile = None  # noqa: SLF001  the documented switch
    logging.logThreads = logging.logMultiprocessing = False  # but not logProcesses: gunicorn names them


def _file(folder: str, name: str) -> SharedFile:
    file = SharedFile(Path(folder, name))
    file.setFormatter(JsonLine())
    return file


def _separate(name: str, handlers: list[logging.Handler]) -> None:
    """What this logger gets goes there and nowhere else; without a place of its own, where all goes."""
    logger = logging.getLogger(name)
    logger.handlers[:] = handlers
    logger.propagate = not handlers


def _for_terminals() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _one_line,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ],
    )


def _one_line(_logger: Any, _method: str, event: Event) -> Event:
    """No text from outside can start a line of its own."""
    text = event.get("event")
    if isinstance(text, str):
        event["event"] = text.replace("\r", "\\r").replace("\n", "\\n")
    return event
