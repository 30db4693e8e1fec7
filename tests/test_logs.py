"""Logs: one line an event, JSON where no terminal is, with the request or job that it belongs to."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from src import logs

ROOT = Path(__file__).resolve().parents[1]
log = logging.getLogger("tests.logs")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.contextvars.clear_contextvars()


Configure = Callable[..., io.StringIO]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Configure the logging with a stderr of the test's own; the same one each time."""
    stderr = io.StringIO()

    def apply(stream: io.StringIO = stderr, **options: str) -> io.StringIO:
        monkeypatch.setattr(sys, "stderr", stream)
        logs.configure(**options)
        return stream

    return apply


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_without_a_terminal_each_event_is_a_json_line(configure: Configure) -> None:
    stderr = configure()
    log.info("something %s", "happened", extra={"rows": 3})
    (line,) = lines(stderr.getvalue())
    assert {name: line[name] for name in ("event", "level", "logger", "rows")} == {
        "event": "something happened",
        "level": "info",
        "logger": "tests.logs",
        "rows": 3,
    }
    assert line["time"].endswith("Z")


@pytest.mark.parametrize(("style", "is_json"), [("auto", False), ("text", False), ("json", True)])
def test_on_a_terminal_it_is_readable_unless_json_is_wanted(
    configure: Configure, style: str, is_json: bool
) -> None:
    stream = configure(Terminal(), style=style)
    log.info("something happened")
    assert "something happened" in stream.getvalue()
    assert stream.getvalue().startswith("{") == is_json


def test_lines_carry_the_context_they_are_logged_in(configure: Configure) -> None:
    stderr = configure()
    with logs.context(job_id="j1", request_id=None):
        logs.bind(account="a1")
        assert logs.current("job_id") == "j1"
        log.info("inside")
    log.info("outside")
    inside, outside = lines(stderr.getvalue())
    assert (inside["job_id"], inside["account"]) == ("j1", "a1")
    assert "request_id" not in inside
    assert "job_id" not in outside
    assert logs.current("job_id") is None


@pytest.mark.parametrize("style", ["json", "text"])
def test_no_text_from_outside_starts_a_line_of_its_own(configure: Configure, style: str) -> None:
    stderr = configure(style=style)
    log.warning("name %s", "x\r\n2026-01-01 level=error forged\n")
    (line,) = stderr.getvalue().splitlines()
    assert "forged" in line


def test_an_error_comes_with_its_trace_in_the_same_line(configure: Configure) -> None:
    stderr = configure()
    try:
        int("no number")
    except ValueError:
        log.exception("it failed")
    (line,) = lines(stderr.getvalue())
    assert "ValueError: invalid literal" in line["exception"]


def test_the_level_holds_and_noisy_libraries_are_quieter(configure: Configure) -> None:
    stderr = configure(level="info")
    log.debug("too fine")
    logging.getLogger("werkzeug").info("too much")
    logging.getLogger("werkzeug").warning("worth knowing")
    assert [line["event"] for line in lines(stderr.getvalue())] == ["worth knowing"]
    stderr = configure(level="ERROR")
    logging.getLogger("werkzeug").warning("not any more")
    assert len(lines(stderr.getvalue())) == 1


def test_a_folder_gets_the_same_as_json_and_is_made(configure: Configure, tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    configure(style="text", folder=str(folder))
    log.info("kept")
    assert [line["event"] for line in lines((folder / "app.log").read_text())] == ["kept"]


def test_nothing_that_is_logged_fails_whoever_logs_it(configure: Configure, tmp_path: Path) -> None:
    stderr = configure(folder=str(tmp_path))
    log.info("a name of bytes", extra={"file": "\udcff", "size": 2**70})
    log.info("%d rows", "many")
    log.info("after it")
    for written in (stderr.getvalue(), (tmp_path / "app.log").read_text()):
        found = [line for line in written.splitlines() if line.startswith("{")]
        (name, after) = map(json.loads, found)
        assert (name["file"], name["size"], after["event"]) == ("\udcff", 2**70, "after it")
    assert "many" in stderr.getvalue()


def test_the_file_is_rotated_and_old_ones_go(
    tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "ROTATE_AT", 1_000)
    configure(folder=str(tmp_path))
    for number in range(200):
        log.info("line %s", number)
    assert len(list(tmp_path.iterdir())) == 1 + logs.KEPT
    assert lines((tmp_path / "app.log").read_text())[-1]["event"] == "line 199"
    assert all(file.stat().st_size < 1_500 for file in tmp_path.iterdir())


WRITER = """
import logging, sys
from src import logs
logs.ROTATE_AT, logs.KEPT = 5_000, 400
logs.configure(style="json", folder=sys.argv[1])
for number in range(1_000):
    logging.getLogger("tests").info("%s %s", sys.argv[2], number)
"""


def test_processes_that_share_the_file_lose_no_line_when_it_is_rotated(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(number)],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        for number in range(4)
    ]
    assert [writer.wait(120) for writer in writers] == [0] * 4
    files = list(tmp_path.iterdir())
    assert len(files) > 50
    kept = [line["event"] for file in files for line in lines(file.read_text())]
    assert sorted(kept) == sorted(f"{writer} {number}" for writer in range(4) for number in range(1_000))
    assert max(file.stat().st_size for file in files) < 10_000


def test_a_file_that_cannot_be_rotated_grows_and_loses_nothing(
    tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "ROTATE_AT", 1_000)
    (tmp_path / "app.log.5").mkdir()
    (tmp_path / "app.log.4").touch()
    configure(folder=str(tmp_path))
    for number in range(50):
        log.info("line %s", number)
    assert len(lines((tmp_path / "app.log").read_text())) == 50


def test_configured_twice_lines_are_not_doubled(configure: Configure) -> None:
    stderr = configure()
    stderr = configure()
    log.info("once")
    assert len(lines(stderr.getvalue())) == 1


def test_handlers_need_no_lock_whichever_way_this_python_takes_it(tmp_path: Path) -> None:
    """Python 3.13 enters it, those before acquire it."""
    for handler in (logs.Console(sys.stderr), logs.SharedFile(tmp_path / "app.log")):
        assert handler.lock is not None
        with handler.lock, handler.lock:
            handler.acquire()
            handler.acquire()
            handler.release()
