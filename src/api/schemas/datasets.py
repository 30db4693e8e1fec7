"""Datasets and their fields."""

from marshmallow import fields

from src.api.schemas.base import Schema


class FieldSchema(Schema):
    name = fields.String(required=True)
    type = fields.String(required=True)
    is_required = fields.Boolean(required=True)
    max_length = fields.Integer(required=True, metadata={"description": "0: any length."})
    choices = fields.List(fields.String(), required=True)
    aliases = fields.List(fields.String(), required=True)


class DatasetSchema(Schema):
    name = fields.String(required=True)
    title = fields.String(required=True)
    key = fields.String(required=True, allow_none=True)
    default_mode = fields.String(required=True)
    modes = fields.List(fields.String(), required=True)
    members = fields.List(fields.Nested(FieldSchema), required=True, data_key="fields", attribute="fields")


class DatasetsSchema(Schema):
    data = fields.List(fields.Nested(DatasetSchema), required=True)
