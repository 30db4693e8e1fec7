"""Everything on one machine: databases, preparation, web, scheduler and worker, until a stop signal comes."""

import fcntl
import http.client
import os
import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, TextIO

import click

from src.cli.preparation import OneOff, Preparation
from src.config import Settings, SettingsError
from src.embedded import EmbeddedServers, attached
from src.embedded.control import not_ours
from src.supervisor import Child, ChildError, Interrupted, Supervisor

EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104  compared with, not listened on


class Programs(NamedTuple):
    """The commands of the parts."""

    prepare: list[str]
    samples: list[str]
    web: list[str]
    scheduler: list[str]
    worker: list[str]


def run_everything(settings: Settings, programs: Programs) -> None:
    """All ends in order: web and scheduler, worker, Redis, PostgreSQL."""
    web = Child("web", programs.web, is_held=True)
    helpers = [
        Child("scheduler", programs.scheduler, is_held=True),
        Child("worker", programs.worker, patience=20.0, is_held=True),
    ]
    supervisor = Supervisor([[web, helpers[0]], [helpers[1]]], say)
    with the_only_one(settings):
        check_port(settings.host, settings.port)
        servers = None
        preparation, samples = Preparation(settings, programs.prepare), OneOff(programs.samples)
        try:
            supervisor.listen()
            servers = attached(settings)
            supervisor.watch(Progress(settings, servers, preparation, samples, web, helpers).look)
        except Interrupted:
            pass  # asked to stop before anything ran: what follows is all there is to do
        finally:
            say("Stopping …")
            supervisor.stop()
            preparation.stop()
            samples.stop()
            if servers:
                servers.stop(even_if_used=True)
        say("Stopped; the data is kept.")


class Progress:
    """What happens after what, and meanwhile an eye on the databases."""

    def __init__(
        self,
        settings: Settings,
        servers: EmbeddedServers | None,
        preparation: Preparation,
        samples: OneOff,
        web: Child,
        others: list[Child],
    ) -> None:
        self._settings = settings
        self._servers = servers
        self._preparation = preparation
        self._samples = samples
        self._web = web
        self._others = others
        self._steps = self._take_steps()

    def look(self) -> None:
        """Called again and again."""
        if self._servers:
            self._servers.ensure()
        next(self._steps, None)

    def _take_steps(self) -> Iterator[None]:
        """One after the other; each `yield` lets time pass. What was prepared before is only checked."""
        was_made = self._preparation.was_made()
        lines = [] if was_made else (yield from self._prepare())
        self._web.is_held = False
        while not answers(self._settings):
            yield
        say("\n".join(announcement(self._settings, lines)))
        if was_made:
            say("\n".join((yield from self._prepare())))
        for other in self._others:
            other.is_held = False
        if lines:  # the first start, whose samples are loaded now
            self._samples.start()
            yield from self._show_samples()

    def _show_samples(self) -> Iterator[None]:
        """Where they are not loaded in time the command has said so; all else works without them."""
        with suppress(ChildError):
            while (figures := self._samples.result()) is None:
                yield
            say("\n".join(figures))

    def _prepare(self) -> Generator[None, None, list[str]]:
        self._preparation.start()
        while (lines := self._preparation.result()) is None:
            yield
        return lines


def announcement(settings: Settings, lines: list[str]) -> list[str]:
    """Where it is, and what else there is to know."""
    host = "localhost" if settings.host in (*EVERYWHERE, "127.0.0.1", "::1") else settings.host
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    places = [f"  {url}/swagger/   the API, to try out", f"  {url}/openapi.json"]
    end = f"Data: {settings.var_dir.resolve()}. Ctrl-C stops everything and keeps the data.\n"
    return ["", f"Indicators runs at {url}", *places, *lines, end]


def answers(settings: Settings) -> bool:
    """Whether the web server says anything, and be it no."""
    host = "127.0.0.1" if settings.host in EVERYWHERE else settings.host
    connection = http.client.HTTPConnection(host, settings.port, timeout=2)
    try:
        connection.request("GET", "/livez")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def check_port(host: str, port: int) -> None:
    """Find out before anything starts, and say what to do."""
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {host}:{port} ({error.strerror or error}). "
            "Another port is set with PORT=, as in: make run PORT=7013. The address is set with HOST=."
        ) from error


@contextmanager
def the_only_one(settings: Settings) -> Iterator[None]:
    """One `up` per folder: when it stops, it stops the databases too."""
    with lock_file(settings.var_dir) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise SettingsError(f"Indicators already runs from this folder: {lock.read()}") from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, port {settings.port}")
        lock.flush()
        yield


def lock_file(var_dir: Path) -> TextIO:
    """Open it, making the folder the first time."""
    try:
        var_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        return (var_dir / "up.lock").open("a+")
    except PermissionError as error:
        raise not_ours(error.filename, var_dir) from error


def say(text: str) -> None:
    """A terminal that was closed is no reason to stop in the middle of stopping."""
    if not text:
        return
    try:
        click.echo(text)
    except OSError:
        return
