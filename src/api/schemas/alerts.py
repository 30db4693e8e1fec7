"""Alerts: which rule fired on which event, why, and who has seen to it."""

from marshmallow import fields, validate

from src.api.schemas.alert_rules import GREATEST_CODE
from src.api.schemas.atendimentos import Identifier
from src.api.schemas.base import Schema
from src.api.schemas.lists import ListQuery, list_schema
from src.api.schemas.values import Moment, Money
from src.domain.alerts.handling import AlertState

NOTE = validate.Length(min=1, max=2_000)


class AlertSchema(Schema):
    id = fields.Integer(required=True)
    code = fields.Integer(required=True)
    rule_id = fields.UUID(required=True)
    rule_version = fields.Integer(required=True)
    client_id = fields.String(required=True, attribute="client.external_id")
    t = fields.Integer(required=True, metadata={"description": "Of the event on which the rule fired."})
    causes = fields.List(
        fields.Integer(),
        required=True,
        metadata={"description": "The t of the client's events that made it fire, the last being this one."},
    )
    is_shadow = fields.Boolean(required=True)
    state = fields.String(required=True, metadata={"enum": [state.value for state in AlertState]})
    acknowledged_at = fields.AwareDateTime(required=True, allow_none=True)
    acknowledged_by = fields.UUID(required=True, allow_none=True)
    snoozed_until = fields.AwareDateTime(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)


class AlertCauseSchema(Schema):
    t = fields.Integer(required=True)
    type = fields.String(required=True)
    amount = Money(required=True)


class AlertNoteSchema(Schema):
    account_id = fields.UUID(required=True)
    text = fields.String(required=True)
    created_at = fields.AwareDateTime(required=True)


class AlertWhySchema(Schema):
    """The rule as it was asked, the events that it fired on, and what was noted."""

    kind = fields.String(required=True)
    asked_on = fields.String(required=True)
    parameters = fields.Dict(required=True)
    events = fields.List(fields.Nested(AlertCauseSchema), required=True)
    notes = fields.List(fields.Nested(AlertNoteSchema), required=True)


class OneAlertSchema(AlertSchema, AlertWhySchema):
    """An alert with why."""


class ClientAlertQuery(ListQuery):
    code = fields.Integer(validate=validate.Range(min=1, max=GREATEST_CODE))
    state = fields.String(validate=validate.OneOf(list(AlertState)))
    shadow = fields.Boolean(
        load_default=False, metadata={"description": "Those of rules in the shadow, in place of the others."}
    )
    since = Moment(data_key="from")
    until = Moment(data_key="to", is_end=True)


class AlertQuery(ClientAlertQuery):
    client = Identifier(metadata={"description": "By the id that files and requests use."})
    rule_id = fields.UUID()


class AlertHandlingSchema(Schema):
    note = fields.String(validate=NOTE, load_default=None, allow_none=True)


class AlertSnoozeSchema(AlertHandlingSchema):
    until = fields.AwareDateTime(required=True, format="iso", metadata={"description": "With its offset."})


class AlertNoteCreateSchema(Schema):
    text = fields.String(required=True, validate=NOTE)


class AlertCountQuery(Schema):
    since = Moment(data_key="from", required=True)
    until = Moment(data_key="to", required=True, is_end=True)


class AlertCountSchema(Schema):
    hour = fields.AwareDateTime(required=True)
    rule_id = fields.UUID(required=True)
    code = fields.Integer(required=True)
    name = fields.String(required=True)
    is_shadow = fields.Boolean(required=True)
    alerts = fields.Integer(required=True)
    clients = fields.Integer(required=True)
    acknowledged = fields.Integer(required=True)


class AlertCountsSchema(Schema):
    data = fields.List(fields.Nested(AlertCountSchema), required=True)


ALERT, WHY = AlertSchema(), AlertWhySchema()
AlertList = list_schema(AlertSchema)
