"""What every list takes, and what it answers."""

from marshmallow import fields, validate

from src.api.schemas.base import Schema
from src.domain.paging import DEFAULT_PER_PAGE, MOST_PER_PAGE

FORMATS = ("json", "csv", "xlsx")


class ListQuery(Schema):
    """What every list takes; resources add their filters."""

    page = fields.Integer(
        validate=validate.Range(min=1), metadata={"description": "By number; or follow `next`."}
    )
    per_page = fields.Integer(
        load_default=DEFAULT_PER_PAGE, validate=validate.Range(min=1, max=MOST_PER_PAGE)
    )
    order_by = fields.String(
        load_default="-id", metadata={"description": "A column; with `-` in front, descending."}
    )
    cursor = fields.String(metadata={"description": "Comes with `next` and `prev`."})
    format = fields.String(load_default="json", validate=validate.OneOf(FORMATS))


def list_schema(row: type[Schema]) -> type[Schema]:
    """The documented shape of a list of these."""
    members = {
        "data": fields.List(fields.Nested(row), required=True),
        "next": fields.String(required=True, allow_none=True),
        "prev": fields.String(required=True, allow_none=True),
    }
    return type(f"{row.__name__.removesuffix('Schema')}ListSchema", (Schema,), members)
