"""Alert rules: what is watched in events, each with its versions."""

from marshmallow import fields, validate

from src.api.schemas.base import Schema
from src.api.schemas.lists import ListQuery, list_schema
from src.domain.alerts import KINDS, AskedOn, RuleState

KIND = validate.OneOf(list(KINDS))
STATE = validate.OneOf(list(RuleState))
GREATEST_CODE = 2**31 - 1
T = validate.Range(min=0, max=2**63 - 1)
PARAMETERS = {
    "description": "Those of the kind, as docs/alerts.md has them. Amounts are texts.",
    "example": {"amount": "100.00", "compare": "over"},
}


class AlertRuleDocumentSchema(Schema):
    """How a rule is asked."""

    kind = fields.String(required=True, validate=KIND, metadata={"example": "threshold"})
    asked_on = fields.String(
        required=True,
        validate=validate.OneOf(list(AskedOn)),
        metadata={"description": "The events on which it is asked, and which it counts."},
    )
    parameters = fields.Dict(keys=fields.String(), required=True, metadata=PARAMETERS)


class AlertRuleVersionCreateSchema(AlertRuleDocumentSchema):
    note = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(min=1, max=1_000),
        metadata={"description": "Why it is as it is."},
    )


class AlertRuleCreateSchema(AlertRuleVersionCreateSchema):
    code = fields.Integer(
        required=True,
        strict=True,
        validate=validate.Range(min=1, max=GREATEST_CODE),
        metadata={"description": "What events are answered with when the rule fires."},
    )
    name = fields.String(required=True, validate=validate.Length(min=1, max=200))
    state = fields.String(load_default=RuleState.ENABLED.value, validate=STATE)


class AlertRulePatchSchema(Schema):
    name = fields.String(required=True, validate=validate.Length(min=1, max=200))


class AlertRuleSchema(Schema):
    id = fields.UUID(required=True)
    code = fields.Integer(required=True)
    name = fields.String(required=True)
    state = fields.String(required=True)
    version = fields.Integer(required=True)
    kind = fields.String(required=True, attribute="current.kind")
    asked_on = fields.String(required=True, attribute="current.asked_on")
    parameters = fields.Dict(required=True, attribute="current.parameters")
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class AlertRuleVersionSchema(Schema):
    version = fields.Integer(required=True)
    kind = fields.String(required=True)
    asked_on = fields.String(required=True)
    parameters = fields.Dict(required=True)
    note = fields.String(required=True, allow_none=True)
    created_by = fields.UUID(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)


class AlertRuleQuery(ListQuery):
    state = fields.String(validate=STATE)
    kind = fields.String(validate=KIND)


class AlertRuleBacktestSchema(Schema):
    """Which times to look at, and what to hold against the live version; nothing: the live version itself."""

    first = fields.Integer(
        data_key="from", validate=T, metadata={"description": "The first t; left out, the beginning."}
    )
    last = fields.Integer(
        data_key="to", validate=T, metadata={"description": "The last t; left out, the latest event."}
    )
    version = fields.Integer(validate=validate.Range(min=1, max=GREATEST_CODE))
    draft = fields.Nested(
        AlertRuleDocumentSchema, metadata={"description": "A version that is not made yet."}
    )


RULE = AlertRuleSchema()
VERSION = AlertRuleVersionSchema()
AlertRuleList = list_schema(AlertRuleSchema)
AlertRuleVersionList = list_schema(AlertRuleVersionSchema)
