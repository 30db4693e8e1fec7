"""Clients and transactions, both files at once: two imports in order and fresh statistics, as one job."""

from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from flask import Response, request

from src.api.authentication import actor
from src.api.blueprint import OPERATOR, Blueprint
from src.api.idempotency import once, respond
from src.api.importing import GivenFile
from src.api.schemas.etl import EtlFormSchema, EtlQuery
from src.api.schemas.jobs import JOB, JobSchema
from src.api.uploads import receive_parts
from src.engine.values import Detected
from src.integrations.storage_upload import Upload
from src.services.etl import STEPS, Source
from src.services.files import deleted_unless_kept, inspect
from src.services.idempotency import Answer
from src.services.import_terms import Terms
from src.services.looks import Look
from src.wiring import Services, adapters, services

blp = Blueprint(
    "etl",
    url_prefix="/api/v1/etl",
    description="Clients and their transactions in one go.",
    for_keys=True,
    scope="imports",
)


@blp.post("", needs=OPERATOR, takes_key=True)
@blp.arguments(EtlQuery, location="query")
@blp.doc(requestBody={"content": {"multipart/form-data": {"schema": EtlFormSchema}}, "required": True})
@blp.response(202, JobSchema)
def start_etl(query: dict[str, Any]) -> Response:
    """Import clients, then transactions, then refresh the statistics; the job's `args` name the imports.

    How both files are written can be told, where that cannot be found out, as for ambiguous dates.
    """
    mine = adapters()
    is_forced = query.pop("force")
    terms = Terms(options=query)
    with ExitStack() as stack:
        received = receive_parts(mine.settings.max_upload_bytes, STEPS)
        for upload, _ in received:
            stack.enter_context(upload)  # one that is not finished when the other is refused, goes
            stack.enter_context(deleted_unless_kept(mine.storage, upload))
        given = [_inspected(upload, name) for upload, name in received]
        looks = [one.look(step, terms) for one, step in zip(given, STEPS, strict=True)]
        fingerprint = " ".join([f"{request.method} {request.full_path}", *(one.sha256 for one in given)])
        with services() as s:
            answer = once(s, fingerprint, lambda: _started(s, given, looks, terms, is_forced=is_forced))
        if answer.is_replay:
            for one in given:
                mine.storage.delete(one.key)
    return respond(answer)


def _inspected(upload: Upload, name: str) -> GivenFile:
    detected = inspect(adapters().storage, adapters().readers, upload, name)
    return GivenFile(
        key=upload.key, detected=asdict(detected), sha256=upload.sha256, name=name, upload=upload
    )


def _started(
    s: Services, given: list[GivenFile], looks: list[Look], terms: Terms, *, is_forced: bool
) -> Answer:
    """Keep both files and start the job, in one transaction."""
    clients, transactions = (Source(_kept(s, one), look) for one, look in zip(given, looks, strict=True))
    job = s.etl.start(clients, transactions, actor(), terms, is_forced=is_forced)
    return Answer(202, JOB.dump(job), {"Location": f"/api/v1/jobs/{job.id}"})


def _kept(s: Services, given: GivenFile) -> Any:
    assert given.upload is not None  # noqa: S101  it came with this request
    return s.files.keep(given.upload, Detected.from_json(given.detected), name=given.name, actor=actor())
