"""Events, as they are documented coming in (`domain/event_reading.py` reads them), and as they go out."""

from typing import Any

from marshmallow import fields, validate

from src.api.schemas.atendimentos import Identifier
from src.api.schemas.base import Schema
from src.api.schemas.lists import ListQuery, list_schema
from src.api.schemas.values import Money
from src.domain.alerts import EventType
from src.domain.event_reading import LONGEST_CLIENT, LONGEST_EVENT_ID
from src.domain.events import LAST_T, MOST_IN_A_BATCH

TYPES = validate.OneOf([str(type_) for type_ in EventType])
T: dict[str, Any] = {"validate": validate.Range(min=0, max=LAST_T)}
USER_ID = {
    "oneOf": [
        {"type": "integer", "minimum": 1, "maximum": LAST_T},
        {"type": "string", "minLength": 1, "maxLength": LONGEST_CLIENT},
    ],
    "description": 'The client\'s id, as files have it; 7 and "7" are the same.',
    "example": 1,
}
AMOUNT = {
    "type": ["string", "number"],
    "description": "Above 0, with up to 8 digits and 2 decimals; a text is exact, whatever reads it.",
    "example": "42.00",
}


class EventCreateSchema(Schema):
    type = fields.String(required=True, validate=TYPES)
    amount = fields.Raw(required=True, metadata=AMOUNT)
    user_id = fields.Raw(required=True, metadata=USER_ID)
    t = fields.Integer(required=True, strict=True, **T, metadata={"description": "Above the latest."})
    event_id = fields.String(
        validate=validate.Length(min=1, max=LONGEST_EVENT_ID),
        metadata={
            "description": "Yours; the same event with the same id gets the first answer again.",
            "example": "deposit-2026-0001",
        },
    )


class EventAnswerSchema(Schema):
    alert = fields.Boolean(required=True)
    alert_codes = fields.List(fields.Integer(), required=True, metadata={"description": "Ascending."})
    user_id = fields.Raw(required=True, metadata=USER_ID)


class BatchAnswerSchema(Schema):
    accepted = fields.Integer(required=True)
    refused = fields.Integer(required=True)
    answers = fields.List(
        fields.Dict(),
        required=True,
        metadata={
            "description": "One for each event, in order: `status` 200 and the answer that it would have had "
            "alone, or the problem document.",
            "maxItems": MOST_IN_A_BATCH,
        },
    )


class EventSchema(Schema):
    t = fields.Integer(required=True)
    type = fields.String(required=True, validate=TYPES)
    amount = Money(required=True)
    user_id = fields.String(required=True, attribute="client.external_id")
    event_id = fields.String(required=True, allow_none=True)
    import_id = fields.UUID(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)


class ClientEventQuery(ListQuery):
    order_by = fields.String(load_default="-t", metadata={"description": "`t`, or descending `-t`."})
    from_t = fields.Integer(**T, metadata={"description": "It is included."})
    to_t = fields.Integer(**T, metadata={"description": "It is included."})
    type = fields.String(validate=TYPES)


class EventQuery(ClientEventQuery):
    client = Identifier(metadata={"description": "The client's id."})
    import_id = fields.UUID()


EVENT = EventSchema()
EventList = list_schema(EventSchema)
EVENT_BODY = {"required": True, "content": {"application/json": {"schema": EventCreateSchema}}}
BATCH_BODY = {
    "required": True,
    "description": f"Up to {MOST_IN_A_BATCH:,} events: a list, or one on each line.",
    "content": {
        "application/json": {"schema": EventCreateSchema(many=True)},
        "application/x-ndjson": {"schema": {"type": "string"}},
    },
}
