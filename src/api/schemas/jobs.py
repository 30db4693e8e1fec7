"""Jobs, as their owners see them."""

from marshmallow import fields, validate

from src.api.schemas.base import Schema
from src.api.schemas.lists import ListQuery, list_schema
from src.domain.jobs import JobState

STATE = validate.OneOf([state.value for state in JobState])


class ProgressSchema(Schema):
    done = fields.Integer(required=True)
    total = fields.Integer(required=True, allow_none=True)
    unit = fields.String(required=True)
    rate = fields.Float(required=True, allow_none=True, metadata={"description": "Units per second."})


class JobErrorSchema(Schema):
    slug = fields.String(required=True)
    title = fields.String(required=True)
    detail = fields.String(required=True)


class JobSchema(Schema):
    id = fields.UUID(required=True)
    owner_id = fields.UUID(required=True, allow_none=True)
    kind = fields.String(required=True)
    state = fields.String(required=True, validate=STATE)
    args = fields.Dict(required=True)
    attempts = fields.Integer(required=True)
    max_attempts = fields.Integer(required=True)
    is_cancel_requested = fields.Boolean(required=True)
    progress = fields.Nested(ProgressSchema, required=True, allow_none=True)
    result = fields.Dict(required=True, allow_none=True, metadata={"description": "Counts and links."})
    error = fields.Nested(JobErrorSchema, required=True, allow_none=True)
    run_after = fields.AwareDateTime(required=True)
    created_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)


class JobQuery(ListQuery):
    kind = fields.String()
    state = fields.String(validate=STATE)


class WaitQuery(Schema):
    wait = fields.Integer(
        load_default=0,
        validate=validate.Range(min=0, max=30),
        metadata={"description": "Seconds to wait for the job's end before answering."},
    )


class RetryQuery(Schema):
    kind = fields.String()
    state = fields.String(validate=validate.OneOf(["failed", "dead", "cancelled"]))


class RetriedSchema(Schema):
    retried = fields.List(fields.UUID(), required=True)


JOB = JobSchema()
JobList = list_schema(JobSchema)
