"""Reports: what they are made of, and what came of it."""

from typing import Any

from flask_smorest.fields import Upload
from marshmallow import fields, pre_load, validate

from src.api.schemas.base import Schema, decoded
from src.api.schemas.jobs import JobErrorSchema
from src.api.schemas.lists import ListQuery, list_schema
from src.domain.rules import FORMATS
from src.models import Report

FORMAT = validate.OneOf(list(FORMATS))
DOCUMENT = {
    "type": ["array", "object", "string"],
    "description": "Rules as they are, in place of `rules_id`.",
}


class ReportStartSchema(Schema):
    input_file_id = fields.UUID(metadata={"description": "Or send the file itself, as the part `input`."})
    reference_file_id = fields.UUID(allow_none=True, metadata={"description": "Or the part `reference`."})
    rules_id = fields.UUID(allow_none=True)
    rules = fields.Raw(metadata=DOCUMENT)
    format = fields.String(validate=FORMAT, metadata={"description": "Left out: that of the rules, or CSV."})
    parameters = fields.Dict(keys=fields.String(), load_default=dict)
    name = fields.String(validate=validate.Length(min=1, max=200))

    @pre_load
    def decode(self, data: Any, **_: Any) -> Any:
        return decoded(data, "parameters")


class RerunSchema(Schema):
    format = fields.String(validate=FORMAT, metadata={"description": "Left out: that of the report."})


class ReportFormSchema(ReportStartSchema):
    input = Upload(metadata={"description": "The input itself, in place of `input_file_id`."})
    reference = Upload()
    rules = Upload(metadata={"description": "The rules, JSON or YAML, as a file or as a text."})


class ReportSchema(Schema):
    id = fields.UUID(required=True)
    task_id = fields.UUID(
        required=True, allow_none=True, attribute="job_id", metadata={"description": "Its job."}
    )
    owner_id = fields.UUID(required=True)
    name = fields.String(required=True)
    state = fields.Function(
        lambda row: row.job.state if row.job else "done", required=True, metadata={"type": "string"}
    )
    input_file_id = fields.UUID(required=True, allow_none=True)
    reference_file_id = fields.UUID(required=True, allow_none=True)
    rules_id = fields.UUID(required=True, allow_none=True)
    rules_version = fields.Integer(required=True, allow_none=True)
    format = fields.String(required=True)
    parameters = fields.Dict(required=True)
    manifest = fields.Dict(required=True, metadata={"description": "Empty until the report is made."})
    file_id = fields.UUID(required=True, allow_none=True)
    unmatched_file_id = fields.UUID(required=True, allow_none=True)
    uncomputable_file_id = fields.UUID(required=True, allow_none=True)
    rerun_of = fields.UUID(required=True, allow_none=True)
    error = fields.Method("error_of", required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)

    def error_of(self, row: Report) -> dict[str, Any] | None:
        """Why its job ended badly."""
        return JobErrorSchema().dump(row.job.error) if row.job and row.job.error else None


class ReportQuery(ListQuery):
    rules_id = fields.UUID()


class DownloadQuery(Schema):
    format = fields.String(
        validate=FORMAT, metadata={"description": "Left out: the format it was asked for in."}
    )


class ReportTrialSchema(Schema):
    columns = fields.List(fields.Dict(), required=True, metadata={"description": "Names and types."})
    rows = fields.List(fields.List(fields.String()), required=True)
    rows_in = fields.Integer(required=True, metadata={"description": "How many rows were looked at."})
    unmatched = fields.List(
        fields.Dict(), required=True, metadata={"description": "Keys that the reference lacks, by lookup."}
    )
    uncomputable = fields.Integer(required=True, metadata={"description": "Cells that have no value."})
    is_whole = fields.Boolean(required=True, metadata={"description": "Whether the input has no more rows."})


REPORT = ReportSchema()
ReportList = list_schema(ReportSchema)
