"""The query of an address, and the parts of a form: a name that a route does not know is refused.

Passing over a mistyped filter would answer with everything, and over a mistyped dry run would load the file.
"""

from collections.abc import Collection, Iterable, Mapping
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
    return frozenset().union(*map(names_in, schemas))


def names_in(schema: Schema) -> frozenset[str]:
    """What a schema takes."""
    return frozenset(field.data_key or name for name, field in schema.load_fields.items())


def refuse_unknown(known: Collection[str]) -> None:
    """Of the request's query."""
    _refuse("The address asks for something that is not known here.", request.args, known)


def refuse_unknown_parts(known: Collection[str]) -> None:
    """Of the request's form, be they texts or files."""
    _refuse("The form has a part that is not known here.", [*request.form, *request.files], known)


def _refuse(reason: str, names: Iterable[str], known: Collection[str]) -> None:
    """With what may have been meant; several at once, but not all that fit there."""
    unknown = (name for name in names if name not in known)
    faults = [
        FieldError(f"/{name}", "unknown_field", _message(name, known)) for name in islice(unknown, MOST_TOLD)
    ]
    if faults:
        raise Invalid(reason, errors=faults)


def _message(name: str, known: Collection[str]) -> str:
    if not known:
        return f"«{name}» is not known: nothing is asked for in this address."
    likely = nearest(name, sorted(known))
    hint = f"Did you mean {' or '.join(f'«{one}»' for one in likely)}?" if likely else ""
    return f"«{name}» is not known. {hint or 'There are: ' + ', '.join(sorted(known)) + '.'}"
