"""In whose name commands write, and how they wait for their jobs."""

import time
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

import click

from src.cli.output import fail
from src.cli.watching import Watch, watching
from src.domain.jobs import JobState
from src.domain.paging import PageQuery
from src.domain.roles import Role
from src.models import Account, Job
from src.wiring import services

Found = TypeVar("Found")
LOOK_EVERY = 0.3
LOADED_BEFORE = "This file was loaded in the same way before, as {}."
as_option = click.option("--as", "login_name", help="In whose name; left out, the first administrator's.")


def account_of(login_name: str | None) -> Account:
    """The account of this name; without one, the first administrator."""
    with services() as s:
        if login_name is not None:
            account = s.account_rows.find_by_login_name(login_name)
            if account is None:
                raise s.account_rows.missing(login_name)
            return account
        query = PageQuery("id", per_page=1)
        admins = s.account_rows.search(query, role=Role.ADMIN, is_disabled=False).rows
    if not admins:
        fail("There is no administrator: name an account with --as.")
    return admins[0]


def need_worker() -> None:
    """Nobody should wait for a job that nobody does."""
    with services() as s:
        if not s.process_rows.alive("worker"):
            fail("No worker is running: start one («make run» and «make up» do), and try again.")


def awaited(look: Callable[[], Found | None]) -> Found:
    """Look again and again until something is found."""
    while (found := look()) is None:
        time.sleep(LOOK_EVERY)
    return found


def job_at_its_end(job_id: UUID, part: str, *, is_quiet: bool) -> Job:
    """Wait for a job, and tell how far it is."""

    def look(watch: Watch) -> Job | None:
        with services() as s:
            job = s.job_rows.get(job_id)
        watch.tell(part, job.state, job.progress)
        return job if JobState(job.state).is_over else None

    with watching(is_quiet=is_quiet) as watch:
        return awaited(lambda: look(watch))


def must_be_done(job: Job) -> None:
    """Say why a job ended badly, as the command's own failure."""
    if job.state != JobState.DONE:
        fail((job.error or {}).get("detail", f"The job is {job.state}."))
