"""Clients, as they come and go; the rules are those of the dataset, as files bring them."""

from typing import Any

from marshmallow import fields, post_load, validate

from src.api.schemas.atendimentos import NewIdentifier
from src.api.schemas.base import Schema
from src.api.schemas.lists import ListQuery, list_schema
from src.api.schemas.values import Amount, Moment, Money, text_of, within_bounds
from src.domain.datasets import CLIENTS

MOST_AT_ONCE = 999
ADDRESS = validate.Length(max=CLIENTS.field("email").max_length)


class ClientSchema(Schema):
    id = fields.Integer(required=True, metadata={"description": "Ours; addresses take `client_id`."})
    client_id = fields.String(required=True, attribute="external_id")
    name = fields.String(required=True, allow_none=True)
    email = fields.String(required=True, allow_none=True)
    date_of_birth = fields.Date(required=True, allow_none=True)
    country = fields.String(required=True, allow_none=True)
    account_balance = Money(required=True)
    import_id = fields.UUID(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class ClientPatchSchema(Schema):
    """What can be changed; null empties a member."""

    name = text_of(CLIENTS, "name", allow_none=True)
    email = fields.Email(allow_none=True, validate=ADDRESS)
    date_of_birth = fields.Date(allow_none=True, validate=within_bounds(CLIENTS, "date_of_birth"))
    country = text_of(CLIENTS, "country", allow_none=True)
    account_balance = Amount()

    @post_load
    def one_spelling(self, values: dict[str, Any], **_: Any) -> dict[str, Any]:
        """An address is one whatever its letters' case."""
        return values | ({"email": values["email"].lower()} if values.get("email") else {})


class ClientCreateSchema(ClientPatchSchema):
    client_id = NewIdentifier(
        "id_cliente", metadata={"description": "Its id in files and requests; left out, it gets a number."}
    )


class ClientQuery(ListQuery):
    per_page = fields.Integer(load_default=10, validate=validate.Range(min=1, max=MOST_AT_ONCE))
    limit = fields.Integer(
        validate=validate.Range(min=1, max=MOST_AT_ONCE),
        metadata={"description": "Another word for `per_page`."},
    )
    name = fields.String(metadata={"description": "A part of it, in any case."})
    email = fields.String(metadata={"description": "A part of it, in any case."})
    country = fields.String(metadata={"description": "The whole of it, in any case."})
    min_balance = Amount()
    max_balance = Amount()
    created_after = Moment()
    created_before = Moment(is_end=True)


class DeleteQuery(Schema):
    erase = fields.Boolean(
        load_default=False,
        metadata={"description": "For administrators: remove what is personal, and answer what is left."},
    )


class HeldFileSchema(Schema):
    id = fields.UUID(required=True, attribute="file.id")
    name = fields.String(required=True, attribute="file.name")
    kind = fields.String(required=True, attribute="file.kind")
    owner_id = fields.UUID(required=True, attribute="file.owner_id")
    import_id = fields.UUID(required=True, attribute="imported.id")
    dataset = fields.String(required=True, attribute="imported.dataset")


class ErasureSchema(Schema):
    client_id = fields.String(required=True, attribute="client.external_id")
    former_values = fields.Integer(
        required=True, metadata={"description": "Records of imports from which values were removed."}
    )
    samples = fields.Integer(
        required=True, metadata={"description": "Imports from whose shown first rows rows were removed."}
    )
    files = fields.List(
        fields.Nested(HeldFileSchema),
        required=True,
        metadata={"description": "Files that may still hold the data: delete them."},
    )
    job_id = fields.UUID(
        required=True,
        attribute="job.id",
        metadata={"description": "The job that empties the rows about the client that imports have refused."},
    )


CLIENT = ClientSchema()
ERASURE = ErasureSchema()
ClientList = list_schema(ClientSchema)
