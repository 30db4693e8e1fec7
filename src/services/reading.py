"""How far and how many at a time a process looks into strangers' files, as the settings say."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from src.config import Settings
from src.domain.errors import Unavailable
from src.engine.queries.values import Cluster
from src.engine.values import ReadLimits

PATIENCE = 5.0
UNPACKED_TIMES = 8  # text packs to an eighth, seldom to less: the largest .csv.gz that may be sent is read


class ReadersBusy(Unavailable):
    slug = "readers-busy"
    title = "Too many files are being looked into just now"


def read_limits(settings: Settings) -> ReadLimits:
    """What a file may be before it is refused follows what may be sent."""
    return ReadLimits(unpacked_bytes=UNPACKED_TIMES * settings.max_upload_bytes)


def cluster_of(settings: Settings) -> Cluster | None:
    """Where queries run, if not here."""
    if not settings.engine_url:
        return None
    settings.engine_folder.mkdir(parents=True, exist_ok=True)
    return Cluster(
        settings.engine_url,
        settings.engine_folder,
        settings.java_home,
        settings.spark_conf_dir,
        settings.engine_wait_seconds,
    )


class Readers:
    """The engine's children that this process may have at a time: each takes up to 512 MiB and a core."""

    def __init__(self, settings: Settings) -> None:
        self.limits = read_limits(settings)
        self._slots = threading.BoundedSemaphore(settings.max_readers)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a free one, but not for long."""
        if not self._slots.acquire(timeout=PATIENCE):
            raise ReadersBusy("Try again in a moment.", retry_after=5)
        try:
            yield
        finally:
            self._slots.release()
