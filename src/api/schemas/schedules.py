"""Schedules: when, what, on which file, and what became of each due time."""

from typing import Any

from flask_smorest.fields import Upload
from marshmallow import ValidationError, fields, missing, post_load, validate, validates_schema

from src.api.schemas.base import Schema
from src.api.schemas.jobs import JobErrorSchema
from src.api.schemas.lists import ListQuery, list_schema
from src.api.schemas.notify import NotifySchema, as_given
from src.api.schemas.reports import FORMAT, ReportStartSchema
from src.domain.deliveries import Wish
from src.domain.documents import read_document
from src.domain.jobs import JobState
from src.domain.schedules import Misfire, Overlap, RunState
from src.models import Schedule
from src.services.schedules import wish_of

MISFIRE = validate.OneOf([policy.value for policy in Misfire])
OVERLAP = validate.OneOf([policy.value for policy in Overlap])
RUN_STATE = validate.OneOf([state.value for state in RunState])
KINDS = ("report", "profile")
CRON = {
    "description": "Minute, hour, day, month, weekday: `30 8 * * MON-FRI`.",
    "example": "30 8 * * MON-FRI",
}


class InputSchema(Schema):
    """One file, or the newest upload of a name."""

    file_id = fields.UUID()
    latest = fields.String(
        validate=validate.Length(min=1, max=255),
        metadata={
            "description": "The newest upload called so; * and ? stand for letters.",
            "example": "sales-*.csv",
        },
    )

    @validates_schema
    def must_be_one(self, data: dict[str, Any], **_: Any) -> None:
        if len(data) != 1:
            raise ValidationError("Name either a file or a pattern.")


class ScheduleTermsSchema(Schema):
    """What a schedule is made of, and what can be changed of it."""

    name = fields.String(load_default="", validate=validate.Length(max=200))
    cron = fields.String(required=True, validate=validate.Length(min=1, max=200), metadata=CRON)
    timezone = fields.String(
        load_default="UTC", validate=validate.Length(min=1, max=64), metadata={"example": "America/Sao_Paulo"}
    )
    misfire = fields.String(
        load_default=Misfire.LATEST.value,
        validate=MISFIRE,
        metadata={"description": "After a silence: run the latest due time, all (up to 100), or none."},
    )
    overlap = fields.String(
        load_default=Overlap.SKIP.value,
        validate=OVERLAP,
        metadata={"description": "While a run is not over, the next due time is skipped, or waits."},
    )
    keep = fields.Integer(
        load_default=30,
        validate=validate.Range(min=1, max=1_000),
        metadata={"description": "How many reports are kept; older ones go."},
    )
    notify = fields.Nested(NotifySchema, allow_none=True)

    @post_load
    def flatten(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """As the row has it."""
        for kind in KINDS:
            if kind in data:
                data |= {"kind": kind, "work": data.pop(kind)}
        if "input" in data:
            given = data.pop("input")
            data |= {"input_file_id": given.get("file_id"), "input_pattern": given.get("latest")}
        if isinstance(data.get("notify"), Wish):
            wish: Wish = data["notify"]
            targets = [{"channel": target.channel, "address": target.address} for target in wish.targets]
            data["notify"] = {"targets": targets, "on": wish.on}
        return data


class ScheduledReportSchema(ReportStartSchema):
    """As a report is asked for; the input is the schedule's."""

    class Meta(Schema.Meta):
        exclude = ("input_file_id",)

    @validates_schema
    def must_have_rules(self, data: dict[str, Any], **_: Any) -> None:
        if (data.get("rules_id") is None) == (data.get("rules") is None):
            raise ValidationError({"rules_id": ["Give either rules_id or rules."]})

    @post_load
    def to_terms(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """As JSON, which the row keeps."""
        if isinstance(data.get("rules"), str):
            data["rules"] = read_document(data["rules"].encode())
        ids = {name: str(data[name]) for name in ("rules_id", "reference_file_id") if data.get(name)}
        return {name: value for name, value in data.items() if value is not None} | ids


class NothingSchema(Schema):
    """Work that needs no further words."""


class ScheduleStartSchema(ScheduleTermsSchema):
    """One member names the kind of work."""

    input = fields.Nested(InputSchema, required=True)
    report = fields.Nested(ScheduledReportSchema, metadata={"description": "Make a report."})
    profile = fields.Nested(NothingSchema, metadata={"description": "Or profile the file."})

    @validates_schema
    def must_name_one_kind(self, data: dict[str, Any], **_: Any) -> None:
        if sum(kind in data for kind in KINDS) != 1:
            raise ValidationError(f"Name one kind of work: {', '.join(KINDS)}.")


class ScheduleChangeSchema(ScheduleTermsSchema):
    """What is left out stays; of what a report is made of, all is given anew."""

    input = fields.Nested(InputSchema)
    report = fields.Nested(ScheduledReportSchema)


class ScheduleFormSchema(Schema):
    """With the files that come along."""

    input_file = Upload(metadata={"description": "The file to work on; or send `latest`."})
    reference_file = Upload()
    rules_file = Upload(required=True, metadata={"description": "The rules, JSON or YAML."})
    latest = fields.String(validate=validate.Length(min=1, max=255))
    report_name = fields.String(validate=validate.Length(min=1, max=200))
    format = fields.String(validate=FORMAT)
    cron = fields.String(required=True, validate=validate.Length(min=1, max=200), metadata=CRON)
    timezone = fields.String(validate=validate.Length(min=1, max=64))
    misfire = fields.String(validate=MISFIRE)
    overlap = fields.String(validate=OVERLAP)
    keep = fields.Integer(validate=validate.Range(min=1, max=1_000))
    notify = fields.String(metadata={"description": "As JSON."})


class ScheduleQuery(ListQuery):
    is_paused = fields.Boolean()


class RunQuery(ListQuery):
    state = fields.String(validate=RUN_STATE)


def _input_of(row: Schedule) -> dict[str, Any]:
    return {"file_id": row.input_file_id} if row.input_pattern is None else {"latest": row.input_pattern}


class ScheduleSchema(Schema):
    """In the words in which it is asked for."""

    id = fields.UUID(required=True)
    owner_id = fields.UUID(required=True)
    name = fields.String(required=True)
    cron = fields.String(required=True)
    timezone = fields.String(required=True)
    input = fields.Function(
        _input_of,
        required=True,
        metadata={
            "type": "object",
            "description": "As it was given; the `file_id` is null when the file was deleted.",
        },
    )
    report = fields.Function(
        lambda row: row.work if row.kind == "report" else missing,
        metadata={"type": "object", "description": "What a report is made of, where reports are made."},
    )
    profile = fields.Function(
        lambda row: row.work if row.kind == "profile" else missing,
        metadata={"type": "object", "description": "Or that the file is profiled."},
    )
    misfire = fields.String(required=True, validate=MISFIRE)
    overlap = fields.String(required=True, validate=OVERLAP)
    keep = fields.Integer(required=True)
    notify = fields.Function(
        lambda row: as_given(wish_of(row.notify)) if row.notify else None,
        required=True,
        metadata={"type": ["object", "null"]},
    )
    is_paused = fields.Boolean(required=True)
    next_due = fields.AwareDateTime(required=True, allow_none=True)
    missed = fields.Integer(required=True, metadata={"description": "Due times at which nobody was there."})
    created_at = fields.AwareDateTime(required=True)


class OneScheduleSchema(ScheduleSchema):
    """With what the cron expression leads to."""

    next_due_times = fields.List(fields.AwareDateTime(), required=True)


class RunSchema(Schema):
    id = fields.UUID(required=True)
    schedule_id = fields.UUID(required=True)
    due_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "None: started by hand."}
    )
    state = fields.String(required=True, validate=RUN_STATE)
    job_id = fields.UUID(required=True, allow_none=True)
    job_state = fields.Function(
        lambda row: row.job.state if row.job else None,
        required=True,
        metadata={"type": ["string", "null"], "enum": [*(state.value for state in JobState), None]},
    )
    result = fields.Dict(required=True)
    error = fields.Nested(JobErrorSchema, required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)


SCHEDULE = ScheduleSchema()
ScheduleList = list_schema(ScheduleSchema)
RUN = RunSchema()
RunList = list_schema(RunSchema)
