"""What has to be true of the database before the service can be used, made by a program of its own."""

import hashlib
import signal
import subprocess
from pathlib import Path
from tempfile import TemporaryFile

from src.config import Settings
from src.embedded.launch import die_with_parent
from src.supervisor import ChildError

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


class OneOff:
    """Runs a command once, beside the supervisor, and keeps what it says."""

    failure = "a command failed; the reason stands above"

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._output = TemporaryFile("w+")  # noqa: SIM115  lives as long as this
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603  our own command, no shell
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509  system calls only
        )

    def result(self) -> list[str] | None:
        """What to tell the operator once it is done; None before."""
        if self._process is None or self._process.poll() is None:
            return None
        if self._process.returncode:
            raise ChildError(self.failure)
        self._output.seek(0)
        return self._output.read().splitlines()

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()
        self._output.close()


class Preparation(OneOff):
    """Runs `flask prepare`, which loads much more than the supervisor needs."""

    failure = "the database could not be prepared; the reason stands above"

    def __init__(self, settings: Settings, command: list[str]) -> None:
        super().__init__(command)
        self._settings = settings
        self._mark = settings.var_dir / "prepared"

    def was_made(self) -> bool:
        """Whether this version has prepared this database before: then nobody needs to wait for it."""
        return self._mark.exists() and self._mark.read_text() == self._fingerprint()

    def result(self) -> list[str] | None:
        lines = super().result()
        if lines is not None:
            self._mark.write_text(self._fingerprint())
        return lines

    def _fingerprint(self) -> str:
        cluster = self._settings.var_dir / "postgres" / "PG_VERSION"
        identity = cluster.stat().st_ino if cluster.exists() else self._settings.database_url
        migrations = sorted(path.name for path in MIGRATIONS.glob("*.py"))
        return hashlib.sha256(repr((identity, migrations)).encode()).hexdigest()
