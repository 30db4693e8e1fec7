"""EmbeddedServers: both servers as one context manager, and the settings completed with their addresses."""

import atexit
import os
import secrets
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from src.config import Settings
from src.embedded import addresses
from src.embedded.attachment import Attachment


class EmbeddedServers:
    """PostgreSQL and Redis under `var_dir`, shared by all processes that name the same folder."""

    def __init__(self, var_dir: Path, *, postgres: bool = True, redis: bool = True) -> None:
        self.var_dir = var_dir.resolve()
        self.database_url = addresses.database_url(self.var_dir)
        self.redis_url = addresses.redis_url(self.var_dir)
        sockets = {"redis": addresses.redis_socket, "postgres": addresses.postgres_socket}
        wanted = {"redis": redis, "postgres": postgres}
        self._attachments = [
            Attachment(self.var_dir, name, socket(self.var_dir))
            for name, socket in sockets.items()
            if wanted[name]
        ]
        self._pid = 0

    @property
    def jwt_secret(self) -> str:
        """Made once and kept in `var/secret`, readable by its owner alone."""
        path = self.var_dir / "secret"
        if not path.exists():
            self.var_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
            draft = path.with_name(f"secret.{secrets.token_hex(8)}")
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(48))
            try:
                os.link(draft, path)  # of several processes that get here at once, one wins
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return path.read_text()

    def start(self) -> None:
        """Start what does not run and join what does; returns when both answer."""
        self._pid = os.getpid()
        try:
            for attachment in self._attachments:
                attachment.attach()
        except BaseException:
            self.stop()
            raise

    def ensure(self) -> None:
        """Start again what was killed from outside."""
        for attachment in self._attachments:
            attachment.ensure()

    def stop(self, *, even_if_used: bool = False) -> None:
        """Let go; what nobody else uses stops, Redis before PostgreSQL. A forked child lets go of nothing."""
        if self._pid == os.getpid():
            for attachment in self._attachments:
                attachment.release(stop=even_if_used)

    def hand_over(self) -> None:
        """Keep the servers through an exec, for the life of this process."""
        for attachment in self._attachments:
            attachment.hand_over()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


_attached: dict[tuple[Path, bool, bool], EmbeddedServers] = {}


def attached(settings: Settings) -> EmbeddedServers | None:
    """The servers that these settings leave to us, running; None when both URLs are given."""
    postgres, redis = not settings.database_url, not settings.redis_url
    if not (postgres or redis):
        return None
    key = (settings.var_dir.resolve(), postgres, redis)
    if key not in _attached:
        _attached[key] = EmbeddedServers(settings.var_dir, postgres=postgres, redis=redis)
        atexit.register(_attached[key].stop)
    _attached[key].start()
    return _attached[key]


def resolve(settings: Settings) -> Settings:
    """Settings with every address filled in; starts or joins the embedded servers for this process's life."""
    servers = attached(settings)
    if servers is None:
        return settings
    return replace(
        settings,
        database_url=settings.database_url or servers.database_url,
        redis_url=settings.redis_url or servers.redis_url,
        jwt_secret=settings.jwt_secret or servers.jwt_secret,
    )


def hand_over() -> None:
    """Before an exec: the servers of this process go on for the program that takes its place."""
    for servers in _attached.values():
        servers.hand_over()
