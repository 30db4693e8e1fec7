"""What leaves as a file, and is noted in the audit trail: who took what, and in which form."""

from uuid import UUID

from flask import Response, request

from src.api.authentication import actor
from src.domain.roles import Actor
from src.models import File
from src.wiring import services


def note_export(kind: str, object_id: UUID | str, form: str) -> None:
    """Before the first byte goes out; `path` tells a client's transactions from those of all."""
    with services() as s:
        s.audit.note(actor(), f"{kind}.exported", kind, object_id, format=form, path=request.path)


def note_download(file: File, answer: Response, by: Actor, *, by_link: bool) -> None:
    """A file, or a part of it; by a link, whoever has it acts for the one to whom it was given."""
    if answer.status_code in (200, 206) and request.method == "GET":
        with services() as s:
            s.audit.note(by, "file.exported", "file", file.id, format=file.media_type, by_link=by_link)
