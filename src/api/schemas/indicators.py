"""Indicators, as they are asked for and answered."""

from marshmallow import fields, validate

from src.api.representations import TYPES
from src.api.schemas.atendimentos import Identifier, Name
from src.api.schemas.base import Schema
from src.api.schemas.local_times import DateOrderQuery, LocalDay
from src.domain.indicators import GROUPS, WEEKDAYS

MOST_NAMES = 1_000
AT_MOST = {"description": "How many names, the first ones of the order."}
FORM = fields.String(
    validate=validate.OneOf(list(TYPES)), metadata={"description": "Or say it in the Accept header."}
)


class ProductivityQuery(Schema):
    at_most = fields.Integer(
        load_default=100, validate=validate.Range(min=1, max=10_000), metadata={"description": "Rows."}
    )
    format = FORM


class AngelRowSchema(Schema):
    angel = fields.String(required=True, attribute="name")
    total_deliveries = fields.Integer(
        required=True, attribute="attended", metadata={"description": "Attended ones."}
    )
    on_time_deliveries = fields.Integer(required=True, attribute="on_time")
    on_time_percentage = fields.Float(required=True)


class AngelProductivitySchema(Schema):
    total = fields.Integer(required=True, metadata={"description": "How many rows there are in all."})
    data = fields.List(fields.Nested(AngelRowSchema), required=True)


class PoloRowSchema(Schema):
    polo = fields.String(required=True, attribute="name")
    weekday = fields.String(required=True, attribute="shown_period", validate=validate.OneOf(WEEKDAYS))
    total_deliveries = fields.Integer(required=True, attribute="attended")


class PoloProductivitySchema(Schema):
    total = fields.Integer(required=True, metadata={"description": "How many rows there are in all."})
    data = fields.List(fields.Nested(PoloRowSchema), required=True)


class IndicatorQuery(DateOrderQuery):
    from_ = LocalDay(data_key="from", attribute="first", metadata={"description": "The first day."})
    to = LocalDay(attribute="last", metadata={"description": "The last day; it is included."})
    angel = Name("angel")
    polo = Name("polo")
    group_by = fields.String(validate=validate.OneOf(GROUPS))
    compare = fields.String(
        validate=validate.OneOf(["previous"]),
        metadata={
            "description": "With the same number of days before; grouped by day, week or month, with "
            "the one before each."
        },
    )
    delays = fields.String(
        load_default="auto",
        validate=validate.OneOf(["auto", "always", "never"]),
        metadata={
            "description": "Median and 90th percentile look at every attended one: by themselves they do so "
            "for up to 200,000, otherwise they are null."
        },
    )
    at_most = fields.Integer(
        load_default=100, validate=validate.Range(min=1, max=MOST_NAMES), metadata=AT_MOST
    )
    format = FORM


class CountsSchema(Schema):
    total = fields.Integer(required=True, metadata={"description": "The sum of the four that follow."})
    on_time = fields.Integer(required=True, metadata={"description": "Attended at the limit or before."})
    late = fields.Integer(required=True)
    open = fields.Integer(required=True, metadata={"description": "Not attended; the limit is to come."})
    overdue = fields.Integer(required=True, metadata={"description": "Not attended; the limit has passed."})
    on_time_percentage = fields.Float(
        required=True, allow_none=True, metadata={"description": "Of the attended ones, to two decimals."}
    )


class IndicatorRowSchema(CountsSchema):
    """Figures of a name, of a part of the period, or of both; only the members that apply are there."""

    angel = fields.String()
    polo = fields.String()
    cliente_id = Identifier()
    period = fields.String(metadata={"description": "The first day of it, or the name of the weekday."})
    median_delay_seconds = fields.Float(
        required=True, allow_none=True, metadata={"description": "Done minus limit: early ones are below 0."}
    )
    p90_delay_seconds = fields.Float(required=True, allow_none=True)
    previous = fields.Nested(CountsSchema)
    change = fields.Nested(CountsSchema, metadata={"description": "The present less the previous figure."})


class IndicatorSchema(Schema):
    as_of = fields.AwareDateTime(required=True, metadata={"description": "When it was counted."})
    from_ = fields.Date(required=True, allow_none=True, data_key="from")
    to = fields.Date(required=True, allow_none=True)
    data = fields.List(fields.Nested(IndicatorRowSchema), required=True)


ANGEL_ROWS = AngelRowSchema(many=True)
POLO_ROWS = PoloRowSchema(many=True)
