"""Files, their previews and profiles."""

from flask_smorest.fields import Upload
from marshmallow import fields, validate

from src.api.schemas.base import Schema
from src.api.schemas.lists import ListQuery, list_schema


class FileSchema(Schema):
    id = fields.UUID(required=True)
    owner_id = fields.UUID(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(["upload", "produced"]))
    name = fields.String(required=True)
    size = fields.Integer(required=True)
    sha256 = fields.String(required=True)
    media_type = fields.String(required=True)
    detected = fields.Dict(
        required=True,
        metadata={"description": "Format, encoding, delimiter, quote, decimal, header, columns, sheets."},
    )
    created_at = fields.AwareDateTime(required=True)
    expires_at = fields.AwareDateTime(required=True, allow_none=True)


class UploadSchema(Schema):
    file = Upload(metadata={"description": "Or send the bytes as the body, with ?filename=."})


class UploadQuery(Schema):
    filename = fields.String(validate=validate.Length(max=1000), metadata={"description": "For a raw body."})


class FileQuery(ListQuery):
    kind = fields.String(validate=validate.OneOf(["upload", "produced"]))
    name = fields.String(metadata={"description": "Part of the name, any case."})
    sha256 = fields.String(validate=validate.Length(equal=64))


class PreviewQuery(Schema):
    rows = fields.Integer(load_default=20, validate=validate.Range(min=1, max=500))
    sheet = fields.String()


class PreviewSchema(Schema):
    columns = fields.List(fields.String(), required=True)
    rows = fields.List(fields.List(fields.String(allow_none=True)), required=True)
    truncated = fields.Boolean(required=True, metadata={"description": "Whether the file has more rows."})


class ValueCountSchema(Schema):
    value = fields.String(required=True)
    count = fields.Integer(required=True)


class ColumnProfileSchema(Schema):
    """One column over the whole file; numbers and dates are texts, exactly as they were computed."""

    name = fields.String(required=True)
    type = fields.String(required=True)
    empty = fields.Integer(required=True)
    distinct = fields.Integer(required=True)
    min = fields.String(required=True, allow_none=True)
    max = fields.String(required=True, allow_none=True)
    mean = fields.String(required=True, allow_none=True)
    top = fields.List(fields.Nested(ValueCountSchema), required=True)
    histogram = fields.List(fields.Dict(), required=True)


class ProfileSchema(Schema):
    rows = fields.Integer(required=True)
    columns = fields.List(fields.Nested(ColumnProfileSchema), required=True)


FILE = FileSchema()
FileList = list_schema(FileSchema)
