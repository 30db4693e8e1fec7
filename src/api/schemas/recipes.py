"""Recipes: steps with a name, and their versions."""

from marshmallow import fields, validate

from src.api.schemas.base import Schema
from src.api.schemas.lists import list_schema
from src.api.schemas.steps import steps_field


class RecipeStartSchema(Schema):
    name = fields.String(required=True, validate=validate.Length(min=1, max=200))
    steps = steps_field(required=True)


class RecipeVersionStartSchema(Schema):
    steps = steps_field(required=True)


class RecipeSchema(Schema):
    id = fields.UUID(required=True)
    owner_id = fields.UUID(required=True)
    name = fields.String(required=True)
    version = fields.Integer(required=True, metadata={"description": "The newest."})
    created_at = fields.AwareDateTime(required=True)


class RecipeVersionSchema(Schema):
    version = fields.Integer(required=True)
    steps = fields.List(fields.Dict(), required=True)
    created_at = fields.AwareDateTime(required=True)


class OneRecipeSchema(RecipeSchema):
    versions = fields.List(fields.Nested(RecipeVersionSchema), required=True)


RECIPE = RecipeSchema()
VERSIONS = OneRecipeSchema(only=("versions",))
RecipeList = list_schema(RecipeSchema)
