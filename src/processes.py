"""The pulse of a worker or scheduler: every few seconds a line in the database says it is alive."""

import logging
import os
import socket
import threading

from src.config import Settings
from src.database import HEARTBEAT, Database, make_engine
from src.domain.errors import Unavailable
from src.domain.ids import uuid7
from src.repositories.processes import ProcessRepository

log = logging.getLogger(__name__)
EVERY = 5.0


class Pulse:
    def __init__(self, kind: str, settings: Settings) -> None:
        self.kind = kind
        self.id = uuid7()
        self._database = Database(make_engine(settings.database_url, HEARTBEAT))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Say good-bye, so that nobody takes this process for one that hangs."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        try:
            with self._database.unit_of_work() as session:
                ProcessRepository(session).leave(self.id)
        except Unavailable:
            log.debug("the database is away; the line will grow old by itself")
        self._database.bind.engine.dispose()

    def _keep(self) -> None:
        while True:
            try:
                with self._database.unit_of_work() as session:
                    ProcessRepository(session).beat(self.id, self.kind, socket.gethostname(), os.getpid())
            except Unavailable:
                log.warning("no sign of life could be given: the database is away")
            if self._over.wait(EVERY):
                return
