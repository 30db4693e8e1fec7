"""Jobs: what runs in the background, how far it is, and how it ended."""

import threading
import time
from typing import Any
from uuid import UUID

from flask import Response, json

from src.api.authentication import actor, owner_filter
from src.api.blueprint import ADMIN, OPERATOR, VIEWER, Blueprint, body_fingerprint
from src.api.idempotency import once, respond
from src.api.lists import listing
from src.api.schemas.jobs import JOB, JobList, JobQuery, JobSchema, RetriedSchema, RetryQuery, WaitQuery
from src.domain.jobs import JobState
from src.models import Job
from src.services.idempotency import Answer
from src.wiring import adapters, services

blp = Blueprint("jobs", url_prefix="/api/v1/jobs", description="Background work.", for_keys=True)
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
_count = threading.Lock()
_waiting = 0


@blp.get("", needs=VIEWER)
@blp.arguments(JobQuery, location="query")
@blp.lists(JobList)
def list_jobs(query: dict[str, Any]) -> Response:
    """My jobs, newest first; for administrators, everybody's."""
    filters = {name: query.get(name) for name in ("kind", "state")} | {"owner_id": owner_filter()}
    return listing(query, JOB, lambda s, page: s.job_rows.search(page, **filters), "jobs")


@blp.get("/<uuid:job_id>", needs=VIEWER)
@blp.arguments(WaitQuery, location="query")
@blp.response(200, JobSchema)
def get_job(query: dict[str, Any], job_id: UUID) -> Response:
    """One job. With `wait`, the answer comes when the job is over, or after so many seconds."""
    job = _own_job(job_id)
    if query["wait"] and not JobState(job.state).is_over:
        job = _wait_for(job, query["wait"])
    return Response(json.dumps(JOB.dump(job)), mimetype="application/json")


@blp.post("/<uuid:job_id>/cancel", needs=OPERATOR)
@blp.response(200, JobSchema)
def cancel_job(job_id: UUID) -> Any:
    """Cancel: at once while it is queued, at its next look while it runs."""
    with services() as s:
        return s.jobs.cancel(s.job_rows.get_own(job_id, owner_filter()), actor())


@blp.post("/<uuid:job_id>/retry", needs=OPERATOR, takes_key=True)
@blp.response(202, JobSchema)
def retry_job(job_id: UUID) -> Response:
    """Try a job again that failed, died or was cancelled."""
    with services() as s:

        def retry() -> Answer:
            job = s.jobs.retry(s.job_rows.get_own(job_id, owner_filter()), actor())
            return Answer(202, JOB.dump(job), {"Location": f"/api/v1/jobs/{job.id}"})

        answer = once(s, body_fingerprint(), retry)
    return respond(answer)


@blp.post("/retry", needs=ADMIN, takes_key=True)
@blp.arguments(RetryQuery, location="query")
@blp.response(202, RetriedSchema)
def retry_jobs(query: dict[str, Any]) -> Response:
    """Try all jobs again that match, up to a thousand."""
    with services() as s:

        def retry() -> Answer:
            ids = s.jobs.retry_many(actor(), kind=query.get("kind"), state=query.get("state"))
            return Answer(202, RetriedSchema().dump({"retried": ids}))

        answer = once(s, body_fingerprint(), retry)
    return respond(answer)


def _own_job(job_id: UUID) -> Job:
    with services() as s:
        return s.job_rows.get_own(job_id, owner_filter())


def _wait_for(job: Job, seconds: int) -> Job:
    """Look again until the job is over. Between looks no connection is held; with too many
    waiters in this process the answer comes at once, so that they can't take all its threads."""
    global _waiting  # noqa: PLW0603  one count for the process
    with _count:
        if _waiting >= adapters().settings.max_waiters:
            return job
        _waiting += 1
    try:
        deadline, pause = time.monotonic() + seconds, SHORTEST_PAUSE
        while not JobState(job.state).is_over and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE)
            job = _own_job(job.id)
        return job
    finally:
        with _count:
            _waiting -= 1
