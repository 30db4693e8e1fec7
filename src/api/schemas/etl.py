"""Clients and transactions in one request."""

from flask_smorest.fields import Upload
from marshmallow import fields

from src.api.schemas.base import Schema
from src.api.schemas.imports import OptionsSchema


class EtlFormSchema(Schema):
    clients = Upload(required=True, metadata={"description": "The file of the clients."})
    transactions = Upload(required=True, metadata={"description": "The file of their transactions."})


class EtlQuery(OptionsSchema):
    """How both files are written, where that cannot be found out."""

    force = fields.Boolean(load_default=False, metadata={"description": "Load the same files once more."})
