"""What leaves as a file, and is noted in the audit trail: who took what, and in which form."""

from uuid import UUID

from flask import request

from src.api.authentication import actor
from src.wiring import services


def note_export(kind: str, object_id: UUID | str, form: str) -> None:
    """Before the first byte goes out; `path` tells a client's transactions from those of all."""
    with services() as s:
        s.audit.note(actor(), f"{kind}.exported", kind, object_id, format=form, path=request.path)
