"""The published answers about imports of atendimentos."""

from marshmallow import fields, validate

from src.api.schemas.base import Schema
from src.api.schemas.imports import WrittenFileSchema


class ImportCsvFormSchema(WrittenFileSchema):
    """Or send the bytes as the body, with the options in the query of the address."""


class ImportCsvSchema(Schema):
    message = fields.String(required=True)
    task_id = fields.UUID(required=True, metadata={"description": "The id of the job."})
    job = fields.String(required=True, metadata={"description": "Where to follow it."})
    import_id = fields.UUID(required=True)


class TaskStatusSchema(Schema):
    state = fields.String(
        required=True, validate=validate.OneOf(["PENDING", "STARTED", "SUCCESS", "FAILURE"])
    )
    status = fields.String(required=True, metadata={"description": "The state as a sentence."})
    result = fields.Dict(required=True, allow_none=True)
