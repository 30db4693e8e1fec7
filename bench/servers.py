"""Servers of a benchmark's own, with the settings of the bundled PostgreSQL or of docker-compose.yml."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from src.embedded import EmbeddedServers
from src.embedded.postgres import Postgres
from src.embedded.server import launch

Tuning = Literal["default", "compose"]
COMPOSE = Path(__file__).resolve().parents[1] / "docker-compose.yml"
OPTION = re.compile(r"^ +- -c(\w+)=(?:\$\{\w+:-([^}]*)\}|(\S+))$", re.MULTILINE)
SECONDS = 60.0


class TunedPostgres(Postgres):
    """As the compose file starts it, but for a compression that the wheel lacks: the later option counts.

    The wheel's own would take 4 of the 15 s of an import in bulk of 2,000,000 rows, that of the file none.
    """

    def argv(self) -> list[str]:
        found = {name: default or value for name, default, value in OPTION.findall(COMPOSE.read_text())}
        found["wal_compression"] = "off"
        return [*super().argv(), *(f"-c{name}={value}" for name, value in found.items())]


@contextmanager
def own_servers(folder: Path, tuning: Tuning) -> Iterator[EmbeddedServers]:
    """Both servers, until the end of the block."""
    servers = EmbeddedServers(folder, postgres=tuning == "default")
    with servers:
        if tuning == "default":
            yield servers
            return
        server = TunedPostgres(folder.resolve())
        with (folder / "postgres.log").open("ab") as log:
            process = launch(server, log)
            try:
                deadline = time.monotonic() + SECONDS
                while not server.is_ready():
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise SystemExit((folder / "postgres.log").read_text())
                    time.sleep(0.1)
                yield servers
            finally:
                process.send_signal(server.stop_plan[0][0])
                process.wait()
