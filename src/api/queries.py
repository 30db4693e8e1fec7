"""The query of an address: a name that a route does not know is refused, since passing over a mistyped filter
would answer with everything."""

from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

from flask import request
from marshmallow import Schema

from src.domain.errors import FieldError, Invalid
from src.domain.formulas import nearest

MOST_TOLD = 20


def known_names(doc: Mapping[str, Any]) -> frozenset[str]:
    """What a view takes, by what flask-smorest keeps for the documentation."""
    parameters = doc.get("arguments", {}).get("parameters", ())
    schemas: list[Schema] = [one["schema"] for one in parameters if one["in"] == "query"]
    return frozenset(
        field.data_key or name for schema in schemas for name, field in schema.load_fields.items()
    )


def refuse_unknown(known: Collection[str]) -> None:
    """Of the request's query, with what may have been meant; several at once, but not all that fit there."""
    unknown = (name for name in request.args if name not in known)
    faults = [
        FieldError(f"/{name}", "unknown_field", _message(name, known)) for name in islice(unknown, MOST_TOLD)
    ]
    if faults:
        raise Invalid("The address asks for something that is not known here.", errors=faults)


def _message(name: str, known: Collection[str]) -> str:
    if not known:
        return f"«{name}» is not known: nothing is asked for in this address."
    likely = nearest(name, sorted(known))
    hint = f"Did you mean {' or '.join(f'«{one}»' for one in likely)}?" if likely else ""
    return f"«{name}» is not known. {hint or 'There are: ' + ', '.join(sorted(known)) + '.'}"
