"""What comes with a request for a schedule: a JSON body, or a form with the files that it works on."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from flask import request
from marshmallow import ValidationError

from src.api.authentication import actor
from src.api.blueprint import Parser, body_fingerprint
from src.api.documents import content_of
from src.api.notifying import faults, wish_as_given
from src.api.queries import names_in
from src.api.reporting import Sent
from src.api.schemas.notify import NOTIFY
from src.api.schemas.schedules import ScheduleFormSchema, ScheduleStartSchema
from src.api.uploads import NoFile, receive_some
from src.domain.documents import read_document
from src.domain.errors import FieldError, Invalid
from src.domain.files import clean_name
from src.domain.rules_reading import read_rules
from src.services.files import deleted_unless_kept, inspect
from src.wiring import Services, adapters

parser = Parser()
START = ScheduleStartSchema()
PARTS = ("input_file", "reference_file", "rules_file")
OWN = ("cron", "timezone", "misfire", "overlap", "keep")


@dataclass(frozen=True)
class AskedSchedule:
    """The members of a schedule; or what they are made of, with the files that came along."""

    fingerprint: str
    members: dict[str, Any] = field(default_factory=dict)
    form: dict[str, Any] = field(default_factory=dict)
    sent: dict[str, Sent] = field(default_factory=dict)
    document: Any = None
    rules_name: str = ""

    def to_make(self, s: Services) -> dict[str, Any]:
        """Keep what came, and answer the schedule's members."""
        if not self.form:
            return self.members
        rules = s.rules.create(self.rules_name, self.document, actor())
        report = {"rules_id": str(rules.id)}
        if "reference_file" in self.sent:
            report["reference_file_id"] = self._kept(s, "reference_file")
        report |= {
            name: self.form[given]
            for name, given in (("name", "report_name"), ("format", "format"))
            if given in self.form
        }
        source = (
            {"file_id": self._kept(s, "input_file")}
            if "input_file" in self.sent
            else {"latest": self.form["latest"]}
        )
        body = {name: self.form[name] for name in OWN if name in self.form}
        body |= {"name": self.form.get("report_name", ""), "report": report, "input": source}
        if (notify := wish_as_given()) is not None:
            body["notify"] = notify
        return loaded(body)

    def discard(self) -> None:
        """What came is here already: the answer is a replay."""
        for one in self.sent.values():
            adapters().storage.delete(one.upload.key)

    def _kept(self, s: Services, part: str) -> str:
        one = self.sent[part]
        return str(s.files.keep(one.upload, one.detected, name=one.name, actor=actor()).id)


@contextmanager
def asked_schedule() -> Iterator[AskedSchedule]:
    """The request, read; files that came are deleted unless they are kept."""
    if request.mimetype != "multipart/form-data":
        members = dict(parser.parse(START, request, location="json"))
        yield AskedSchedule(body_fingerprint(), members)
        return
    mine = adapters()
    with ExitStack() as stack:
        known = {*names_in(ScheduleFormSchema()), NOTIFY}
        received = receive_some(mine.settings.max_upload_bytes, PARTS, known=known)
        for upload, _ in received.values():
            stack.enter_context(upload)
            stack.enter_context(deleted_unless_kept(mine.storage, upload))
        form = dict(parser.parse(ScheduleFormSchema(exclude=PARTS), request, location="form"))
        _must_be_whole(form, received)
        rules, rules_name = received.pop("rules_file")
        document = read_document(content_of(rules))
        read_rules(document)
        sent = {
            part: Sent(upload, name, inspect(mine.storage, mine.readers, upload, name))
            for part, (upload, name) in received.items()
        }
        shas = [f"{part} {one.upload.sha256}" for part, one in sorted(sent.items())]
        told = str([sorted(form.items()), shas, document, request.form.get("notify")])
        name = PurePath(clean_name(rules_name)).stem
        yield AskedSchedule(f"POST {request.path} {told}", {}, form, sent, document, name)


def loaded(body: dict[str, Any]) -> dict[str, Any]:
    try:
        members: dict[str, Any] = START.load(body)
    except ValidationError as error:
        raise Invalid("The form is not valid.", errors=list(faults(error.messages, ""))) from error
    return members


def _must_be_whole(form: dict[str, Any], received: dict[str, Any]) -> None:
    """Rules, and a file or a pattern for one."""
    errors = []
    if "rules_file" not in received:
        errors.append(FieldError("/rules_file", "required", "Send the rules in this part."))
    if ("input_file" in received) == ("latest" in form):
        errors.append(FieldError("/input_file", "required", "Send a file, or a name as `latest`."))
    if errors:
        raise NoFile(errors[0].message, errors=errors)
