"""Rules: documents with versions."""

from marshmallow import fields, validate

from src.api.schemas.base import Schema
from src.api.schemas.lists import ListQuery, list_schema

VERSION_NUMBER = validate.Range(min=1, max=2**31 - 1)


class RulesSchema(Schema):
    id = fields.UUID(required=True)
    owner_id = fields.UUID(required=True)
    name = fields.String(required=True)
    version = fields.Integer(required=True, metadata={"description": "The newest."})
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class OneRulesSchema(RulesSchema):
    document = fields.Raw(
        required=True,
        metadata={
            "description": "A list of {output, formula}, or the full form.",
            "type": ["array", "object"],
        },
    )


class RulesVersionSchema(Schema):
    version = fields.Integer(required=True)
    document = fields.Raw(required=True, metadata={"type": ["array", "object"]})
    created_at = fields.AwareDateTime(required=True)


class RulesCreateQuery(Schema):
    name = fields.String(
        validate=validate.Length(min=1, max=200), metadata={"description": "Left out: the name of the file."}
    )


class RulesQuery(ListQuery):
    name = fields.String(metadata={"description": "Part of the name, any case."})


class DiffQuery(Schema):
    old = fields.Integer(validate=VERSION_NUMBER, metadata={"description": "Left out: the one before."})
    new = fields.Integer(validate=VERSION_NUMBER, metadata={"description": "Left out: the newest."})


class ChangeSchema(Schema):
    output = fields.String()
    member = fields.String()
    old = fields.Raw(required=True, allow_none=True)
    new = fields.Raw(required=True, allow_none=True)


class DiffSchema(Schema):
    changes = fields.List(fields.Nested(ChangeSchema), required=True)


RULES, VERSION = RulesSchema(), RulesVersionSchema()
RulesList, RulesVersionList = list_schema(RulesSchema), list_schema(RulesVersionSchema)
