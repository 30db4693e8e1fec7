"""A worker of the next release, whose schema this one does not know (`celery -A tests.faults.next_release`)."""

from dataclasses import replace

from src.repositories.targets import TARGETS
from src.worker import app

__all__ = ["app"]

TARGETS["atendimentos"] = replace(TARGETS["atendimentos"], has_counts="next_has_counts")
