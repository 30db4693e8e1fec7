"""Operations: what may be asked of a file, and what became of it."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, pre_load, validate, validates_schema

from src.api.schemas.base import Schema
from src.api.schemas.jobs import JobErrorSchema
from src.api.schemas.lists import ListQuery, list_schema
from src.api.schemas.steps import TYPES, name_field, steps_field

OUTPUTS = ["csv", "xlsx", "jsonl", "parquet"]


class WishSchema(Schema):
    """Steps, a recipe, or one step in the short form: its members beside `file_id`."""

    file_id = fields.UUID(required=True)
    steps = steps_field()
    recipe_id = fields.UUID(
        metadata={"description": "Steps that were saved; further `steps` come after them."}
    )
    recipe_version = fields.Integer(validate=validate.Range(min=1, max=2**31 - 1))
    types = fields.Dict(
        keys=name_field(),
        values=fields.String(validate=validate.OneOf(TYPES)),
        load_default=dict,
        metadata={"description": "Types of columns, where the profile should not decide."},
    )
    operation = fields.String(metadata={"description": "The short form: one step, its members beside this."})
    column = fields.String(metadata={"description": "Short form: the column of the step."})
    filters = fields.List(fields.Dict(), metadata={"description": "Short form: the filters of the step."})

    OWN = ("file_id", "recipe_id", "recipe_version", "types", "output")

    @pre_load
    def read_short_form(self, data: Any, **_: Any) -> Any:
        if not isinstance(data, Mapping) or "operation" not in data:
            return data
        own = {name: value for name, value in data.items() if name in self.OWN}
        step = {name: value for name, value in data.items() if name not in own}
        if "steps" in step:
            raise ValidationError({"steps": ["Give either steps or one operation, not both."]})
        return {**own, "steps": [step]}

    @validates_schema
    def check_steps(self, data: Mapping[str, Any], **_: Any) -> None:
        if "steps" not in data and "recipe_id" not in data:
            raise ValidationError({"steps": ["Give steps, a recipe_id, or an operation."]})
        if "recipe_version" in data and "recipe_id" not in data:
            raise ValidationError({"recipe_version": ["Of which recipe? Give its recipe_id."]})


class OperationStartSchema(WishSchema):
    output = fields.String(load_default="csv", validate=validate.OneOf(OUTPUTS))


class TrialSchema(Schema):
    columns = fields.List(fields.String(), required=True)
    rows = fields.List(fields.List(fields.Raw(allow_none=True)), required=True)
    original_rows = fields.Integer(required=True, metadata={"description": "How many rows were looked at."})
    processed_rows = fields.Integer(required=True)
    is_whole = fields.Boolean(required=True, metadata={"description": "Whether the file has no more rows."})


class OperationQuery(ListQuery):
    file_id = fields.UUID(metadata={"description": "Of this file."})


class ShownRowsQuery(Schema):
    rows = fields.Integer(load_default=100, validate=validate.Range(min=0, max=500))


class OperationSchema(Schema):
    id = fields.UUID(required=True)
    owner_id = fields.UUID(required=True)
    state = fields.Function(
        lambda row: row.job.state if row.job else "done",
        required=True,
        metadata={"type": "string", "enum": ["queued", "running", "done", "failed", "cancelled", "dead"]},
    )
    file_id = fields.UUID(required=True, allow_none=True)
    file_name = fields.String(required=True)
    recipe_id = fields.UUID(required=True, allow_none=True)
    recipe_version = fields.Integer(required=True, allow_none=True)
    steps = fields.List(fields.Dict(), required=True)
    types = fields.Dict(required=True)
    output = fields.String(required=True, validate=validate.OneOf(OUTPUTS))
    job_id = fields.UUID(required=True, allow_none=True)
    original_rows = fields.Integer(required=True, allow_none=True)
    processed_rows = fields.Integer(required=True, allow_none=True)
    result_file_id = fields.UUID(required=True, allow_none=True)
    lineage = fields.Dict(
        required=True, metadata={"description": "Source files with hash and rows, engine, seconds, hash."}
    )
    created_at = fields.AwareDateTime(required=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)


class ShownRowsSchema(Schema):
    columns = fields.List(fields.String(), required=True)
    rows = fields.List(fields.List(fields.String(allow_none=True)), required=True)
    truncated = fields.Boolean(required=True)


class DownloadLinkSchema(Schema):
    url = fields.String(required=True)
    expires_at = fields.AwareDateTime(required=True)


class OneOperationSchema(OperationSchema):
    """With the first rows of the result and a link to all of it, once there is one."""

    error = fields.Nested(JobErrorSchema, required=True, allow_none=True)
    result = fields.Nested(ShownRowsSchema, required=True, allow_none=True)
    download = fields.Nested(DownloadLinkSchema, required=True, allow_none=True)


OPERATION = OperationSchema()
RESULT = OneOperationSchema(only=("error", "result", "download"))
OperationList = list_schema(OperationSchema)
