"""The Celery app: one task, `run(job_id)`, and the signs of life of the worker."""

import signal
from types import FrameType
from typing import Any
from uuid import UUID

from celery.signals import (
    setup_logging,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from flask import Flask

import src.engine.operations.applying
import src.engine.queries.duckdb  # noqa: F401  before the fork: so its children, which are renewed, have them
from src.app import create_program
from src.cli.output import settings_errors_as_messages
from src.config import Settings
from src.database import WORKER
from src.embedded import resolve
from src.engine.starting import CHILDREN
from src.processes import Pulse
from src.queue import TASK, make_celery
from src.tasks.handlers import HANDLERS
from src.tasks.lease import ask_to_stop
from src.tasks.running import run_job
from src.wiring import EXTENSION

with settings_errors_as_messages(program_code=1):
    settings = resolve(Settings.from_env())
    flask_app: Flask = create_program(settings, WORKER)
app = celery = make_celery(settings.redis_url)
pulse = Pulse("worker", settings)


@celery.task(name=TASK)  # type: ignore[untyped-decorator]  # Celery is untyped
def run(job_id: str) -> None:
    """A hint has come: look at this job."""
    with flask_app.app_context():
        run_job(UUID(job_id), HANDLERS)


@setup_logging.connect  # type: ignore[untyped-decorator]
def keep_our_logging(**_: Any) -> None:
    """Connected, so that Celery leaves the logging as create_app made it."""


@worker_process_init.connect  # type: ignore[untyped-decorator]
def forget_the_parents_connections(**_: Any) -> None:
    flask_app.extensions[EXTENSION].database.dispose()


@worker_process_init.connect  # type: ignore[untyped-decorator]
def have_children_ready(**_: Any) -> None:
    CHILDREN.keep()


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def end_children(**_: Any) -> None:
    CHILDREN.end()


@worker_ready.connect  # type: ignore[untyped-decorator]
def show_signs_of_life(**_: Any) -> None:
    pulse.start()


@worker_ready.connect  # type: ignore[untyped-decorator]
def hear_of_a_quick_end(**_: Any) -> None:
    """Celery tells of SIGQUIT after its soft shutdown; jobs need that time to hand themselves back."""
    celerys = signal.getsignal(signal.SIGQUIT)

    def ask_and_end(number: int, frame: FrameType | None) -> None:
        ask_to_stop()
        if callable(celerys):
            celerys(number, frame)

    signal.signal(signal.SIGQUIT, ask_and_end)


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def hand_back_jobs(**_: Any) -> None:
    """Running jobs hand themselves back at their next look: others go on with them at once."""
    ask_to_stop()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def say_good_bye(**_: Any) -> None:
    pulse.stop()
