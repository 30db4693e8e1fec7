"""What comes with a request for a report: files, sent or named, rules, sent or named."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from flask import request

from src.api.authentication import actor, owner_filter
from src.api.blueprint import Parser
from src.api.documents import content_of
from src.api.queries import names_in
from src.api.schemas.notify import NOTIFY
from src.api.schemas.reports import ReportFormSchema, ReportStartSchema
from src.api.uploads import receive_some
from src.domain.documents import read_document
from src.domain.errors import FieldError, Invalid
from src.domain.rules_reading import read_rules
from src.engine.values import Detected
from src.integrations.storage_upload import Upload
from src.models import File
from src.services.files import deleted_unless_kept, inspect
from src.services.reports import Order
from src.wiring import Services, adapters

parser = Parser()


class NoInput(Invalid):
    slug = "no-input"
    title = "The report has nothing to be made of"


@dataclass(frozen=True)
class Sent:
    """A file that came with the request."""

    upload: Upload
    name: str
    detected: Detected


@dataclass(frozen=True)
class Asked:
    """The form of the request, with the files that came with it by the name of their part."""

    form: dict[str, Any]
    sent: dict[str, Sent]

    @property
    def fingerprint(self) -> str:
        parts = [f"{name} {one.upload.sha256}" for name, one in sorted(self.sent.items())]
        form = {name: value for name, value in self.form.items() if name not in self.sent}
        return " ".join([f"{request.method} {request.path}", str(sorted(form.items(), key=str)), *parts])

    def order(self, s: Services) -> Order:
        """Keep what came, and find what was named."""
        rules = None
        if (rules_id := self.form.get("rules_id")) is not None:
            rules = s.rules_rows.get_own(rules_id, owner_filter())
        elif "rules" not in self.form:
            raise NoInput(
                "Send `rules`, or name some with `rules_id`.",
                errors=[FieldError("/rules", "required", "Missing.")],
            )
        source = self._file(s, "input")
        if source is None:
            raise NoInput(
                "Send `input`, or name a file with `input_file_id`.",
                errors=[FieldError("/input_file_id", "required", "Missing.")],
            )
        given = {name: self.form[name] for name in ("name", "format", "parameters") if name in self.form}
        return Order(
            input=source,
            reference=self._file(s, "reference"),
            rules=rules,
            document=self.form.get("rules"),
            **given,
        )

    def discard(self) -> None:
        """What came is here already: the answer is a replay."""
        for one in self.sent.values():
            adapters().storage.delete(one.upload.key)

    def _file(self, s: Services, part: str) -> File | None:
        if part in self.sent:
            one = self.sent[part]
            return s.files.keep(one.upload, one.detected, name=one.name, actor=actor())
        file_id = self.form.get(f"{part}_file_id")
        return s.file_rows.get_own(file_id, owner_filter()) if file_id else None


def named(form: dict[str, Any]) -> Asked:
    """A request that names its files, and may bring rules as they are or as a text."""
    if isinstance(form.get("rules"), str):
        form["rules"] = read_document(form["rules"].encode())
    _check(form)
    return Asked(form, {})


@contextmanager
def asked() -> Iterator[Asked]:
    """The request, read; files that came are deleted unless they are kept."""
    if request.mimetype != "multipart/form-data":
        yield named(dict(parser.parse(ReportStartSchema(), request, location="json")))
        return
    mine = adapters()
    with ExitStack() as stack:
        known = {*names_in(ReportFormSchema()), NOTIFY}
        received = receive_some(mine.settings.max_upload_bytes, ("input", "reference", "rules"), known=known)
        for upload, _ in received.values():
            stack.enter_context(upload)
            stack.enter_context(deleted_unless_kept(mine.storage, upload))
        schema = ReportFormSchema(exclude=("input", "reference"))
        form = dict(parser.parse(schema, request, location="form"))
        if "rules" in received:
            form["rules"] = read_document(content_of(received.pop("rules")[0]))
        elif isinstance(form.get("rules"), str):
            form["rules"] = read_document(form["rules"].encode())
        _check(form)
        sent = {
            part: Sent(upload, name, inspect(mine.storage, mine.readers, upload, name))
            for part, (upload, name) in received.items()
        }
        yield Asked(form, sent)


def _check(form: dict[str, Any]) -> None:
    """Before anything is kept."""
    if "rules" in form:
        read_rules(form["rules"])
