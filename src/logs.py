"""Logs: readable on a terminal, JSON lines otherwise, always with the request or job they belong to."""

import fcntl
import logging
import logging.handlers
import os
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
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


class SharedFile(logging.handlers.WatchedFileHandler):
    """A file that several processes write to. Who finds it full rotates it, alone; all others follow."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # a file that can't be rotated grows
            if self._is_full():
                self._rotate()
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def _is_full(self) -> bool:
        with suppress(FileNotFoundError):
            return os.stat(self.baseFilename).st_size >= ROTATE_AT
        return False

    def _rotate(self) -> None:
        """Under a lock on the folder, which the kernel drops when its holder dies; if it is still needed."""
        folder = os.open(Path(self.baseFilename).parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if self._is_full():
                for number in range(KEPT - 1, 0, -1):
                    with suppress(FileNotFoundError):
                        os.replace(f"{self.baseFilename}.{number}", f"{self.baseFilename}.{number + 1}")
                os.replace(self.baseFilename, f"{self.baseFilename}.1")
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
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


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
    console: logging.Handler = logging.StreamHandler(sys.stderr)
    console.setFormatter(JsonLine() if is_json else _for_terminals())
    handlers = [console]
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
    file = SharedFile(Path(folder, name), delay=True)
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
