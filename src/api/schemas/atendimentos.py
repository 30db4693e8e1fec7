"""Atendimentos, angels and polos, as they come and go."""

import re
from typing import Any

from marshmallow import fields, validate

from src.api.schemas.base import Schema
from src.api.schemas.lists import ListQuery, list_schema
from src.api.schemas.local_times import LOCAL, ORDER, DateOrderQuery, LocalTime
from src.api.schemas.values import within_bounds
from src.domain.datasets import ATENDIMENTOS
from src.domain.local_times import DATE_ORDERS
from src.domain.outside_ids import NO_ADDRESS, ONE_LINE, has_address, has_controls

WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
IDENTIFIER = {"type": ["integer", "string"]}
DEFAULT_STATUS = "PENDING"
WHEN_DUE = within_bounds(ATENDIMENTOS, "data_limite")
WHEN_DONE = within_bounds(ATENDIMENTOS, "data_de_atendimento")


class Identifier(fields.Field[str]):
    """An id of the outside: 7 and "7" are the same, "007" is another. A number comes back as a number."""

    default_error_messages = {"invalid": "Not a whole number and not a text of 1 to 50 characters."}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.metadata = {**IDENTIFIER, **self.metadata}

    def _serialize(self, value: str | None, *_: Any, **__: Any) -> str | int | None:
        return int(value) if value is not None and WHOLE.fullmatch(value) else value

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise self.make_error("invalid")
        text = str(value).strip()
        if not 1 <= len(text) <= ATENDIMENTOS.field("id_cliente").max_length:
            raise self.make_error("invalid")
        return text


class NewIdentifier(Identifier):
    """An id that may be made by this, with the rules of its field in files."""

    default_error_messages = {"controls": ONE_LINE, "address": NO_ADDRESS}

    def __init__(self, field: str, **options: Any) -> None:
        super().__init__(**options)
        self.of = ATENDIMENTOS.field(field)

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> str:
        id_ = super()._deserialize(value, *arguments, **options)
        if has_controls(id_):
            raise self.make_error("controls")
        if self.of.is_addressed and not has_address(id_):
            raise self.make_error("address")
        return id_


class Name(fields.String):
    """A text without blanks around it, no longer than a file may bring it."""

    def __init__(self, field: str, **options: Any) -> None:
        self.of = ATENDIMENTOS.field(field)
        super().__init__(validate=validate.Length(min=1, max=self.of.max_length), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        text = str(super()._deserialize(value, attr, data, **options)).strip()
        return text.upper() if self.of.upper else text


class AtendimentoSchema(Schema):
    id = fields.Integer(required=True)
    cliente_id = Identifier(
        required=True, attribute="client.external_id", metadata={"description": "`id_cliente` as it came."}
    )
    angel = fields.String(required=True, attribute="angel.name")
    polo = fields.String(required=True, attribute="polo.name")
    data_limite = LocalTime(required=True, metadata={"type": "string", "description": LOCAL})
    data_de_atendimento = LocalTime(
        required=True, allow_none=True, metadata={"type": "string", "description": LOCAL}
    )
    status = fields.String(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class AtendimentoPatchSchema(Schema):
    data_limite = LocalTime(validate=WHEN_DUE)
    data_de_atendimento = LocalTime(allow_none=True, validate=WHEN_DONE)
    status = Name("status")
    date_order = fields.String(validate=validate.OneOf(DATE_ORDERS), metadata=ORDER)


class AtendimentoPutSchema(AtendimentoPatchSchema):
    data_limite = LocalTime(required=True, validate=WHEN_DUE)
    data_de_atendimento = LocalTime(required=True, allow_none=True, validate=WHEN_DONE)


class AtendimentoCreateSchema(AtendimentoPatchSchema):
    id_atendimento = NewIdentifier(
        "id_atendimento",
        attribute="external_id",
        allow_none=True,
        metadata={"description": "The id that it has outside; unique when given."},
    )
    id_cliente = NewIdentifier(
        "id_cliente", required=True, metadata={"description": "The client's outside id."}
    )
    angel = Name("angel", required=True)
    polo = Name("polo", required=True)
    data_limite = LocalTime(required=True, validate=WHEN_DUE)
    status = Name("status", load_default=DEFAULT_STATUS)


class AtendimentoQuery(ListQuery, DateOrderQuery):
    id_atendimento = Identifier(metadata={"description": "The id that it has outside."})
    id_cliente = Identifier()
    angel = Name("angel")
    polo = Name("polo")
    status = Name("status")
    from_ = LocalTime(
        data_key="from",
        attribute="first",
        metadata={"type": "string", "description": "The earliest `data_limite`."},
    )
    to = LocalTime(
        is_end=True,
        attribute="last",
        metadata={"type": "string", "description": "The latest `data_limite`; a day is meant to its end."},
    )
    on_time = fields.Boolean(metadata={"description": "Attended on time, or attended late."})
    import_id = fields.UUID()


class NameSchema(Schema):
    """An angel or a polo, and how many atendimentos count for it."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    atendimentos = fields.Integer(required=True)
    attended = fields.Integer(required=True)
    on_time = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)


ATENDIMENTO = AtendimentoSchema()
NAME = NameSchema()
AtendimentoList = list_schema(AtendimentoSchema)
NameList = list_schema(NameSchema)
