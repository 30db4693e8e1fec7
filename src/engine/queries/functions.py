"""Functions that Ibis has no fitting name for, though the engines have them."""

from functools import cache
from inspect import Parameter, Signature
from typing import Any

import ibis
import ibis.expr.types as ir

to_json = ibis.udf.scalar.builtin(lambda text: text, name="to_json", signature=(("string",), "string"))


def hashed(*texts: ir.StringValue) -> ir.IntegerValue:
    """One number for several texts. Different texts may have the same: it narrows a search, no more."""
    result: ir.IntegerValue = _builtin("hash", ("string",) * len(texts), "uint64")(*texts)
    return result


def noted(name: str, row: ir.IntegerValue, *texts: ir.StringValue) -> ir.BooleanValue:
    """Always true; the function of that name, which is ours, is told of the row."""
    result: ir.BooleanValue = _builtin(name, ("int64",) + ("string",) * len(texts), "boolean")(row, *texts)
    return result


@cache
def _builtin(name: str, kinds: tuple[str, ...], result: str) -> Any:
    def signature_only(*values: Any) -> Any:
        """The engine's own."""
        raise NotImplementedError(values)

    parameters = [Parameter(f"value{place}", Parameter.POSITIONAL_OR_KEYWORD) for place in range(len(kinds))]
    signature_only.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return ibis.udf.scalar.builtin(signature_only, name=name, signature=(kinds, result))
