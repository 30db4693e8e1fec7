"""The published way to import atendimentos: thin, the work is an import like any other."""

from typing import Any
from uuid import UUID

from flask import Response, json

from src.api.authentication import owner_filter
from src.api.blueprint import BINARY, OPERATOR, VIEWER, Blueprint
from src.api.idempotency import respond
from src.api.importing import begin, given_file
from src.api.schemas.import_csv import ImportCsvFormSchema, ImportCsvSchema, TaskStatusSchema
from src.api.schemas.imports import OptionsSchema
from src.domain.datasets import ATENDIMENTOS
from src.domain.jobs import JobState
from src.services.idempotency import Answer
from src.services.import_terms import Terms
from src.services.imports import KIND
from src.wiring import services

blp = Blueprint(
    "atendimento-imports",
    url_prefix="/api/v1/atendimento",
    description="Atendimentos from CSV, as published.",
    for_keys=True,
    scope="imports",
)
STATES = {
    JobState.QUEUED: ("PENDING", "Waiting for a worker."),
    JobState.RUNNING: ("STARTED", "Being imported."),
    JobState.DONE: ("SUCCESS", "Imported."),
}
SAID = {
    202: "The import has been started.",
    200: "This file was imported before; this is what came of it.",
}
FILE_NAME = "atendimentos.csv"


@blp.post("/import_csv", needs=OPERATOR, takes_key=True)
@blp.arguments(OptionsSchema, location="query")
@blp.doc(requestBody={"content": {
    "multipart/form-data": {"schema": ImportCsvFormSchema},
    "text/csv": {"schema": BINARY},
}})  # fmt: skip
@blp.response(202, ImportCsvSchema)
@blp.alt_response(200, schema=ImportCsvSchema, description="The same file was imported before.")
def import_csv(query: dict[str, str]) -> Response:
    """Import a CSV of atendimentos, as a part named «file» or as the body itself.

    How it is written can be told by a part named «options», as JSON, or by the query; the part comes first.
    """
    with given_file(ImportCsvFormSchema, filename=FILE_NAME) as (given, form):
        terms = Terms(options=query | form["options"])
        answer = begin(given, ATENDIMENTOS.name, terms, is_draft=False, is_forced=False)
    job_id = answer.body["job_id"]
    body = {
        "message": SAID[answer.status],
        "task_id": job_id,
        "job": f"/api/v1/jobs/{job_id}",
        "import_id": answer.body["id"],
    }
    headers = {"Location": f"/api/v1/atendimento/task_status/{job_id}"}
    return respond(Answer(answer.status, body, headers, is_replay=answer.is_replay))


@blp.get("/task_status/<uuid:job_id>", needs=VIEWER)
@blp.response(200, TaskStatusSchema)
def task_status(job_id: UUID) -> Response:
    """Where an import stands: PENDING, STARTED, SUCCESS or FAILURE, with its counts."""
    with services() as s:
        job = s.job_rows.get_own(job_id, owner_filter())
        if job.kind != KIND:
            raise s.job_rows.missing
    state, status = STATES.get(JobState(job.state), ("FAILURE", ""))
    body: dict[str, Any] = {"state": state, "status": status, "result": job.result}
    if job.error and state == "FAILURE":
        body |= {"status": job.error["detail"], "result": job.result or job.error}
    return Response(json.dumps(body), mimetype="application/json")
