"""Functions that Ibis has no fitting name for, though the engines have them."""

from functools import cache
from inspect import Parameter, Signature
from typing import Any

import ibis
import ibis.expr.types as ir

to_json = ibis.udf.scalar.builtin(lambda text: text, name="to_json", signature=(("string",), "string"))


def hashed(*texts: ir.StringValue) -> ir.IntegerValue:
    """One number for several texts. Different texts may have the same: it narrows a search, no more."""
    result: ir.IntegerValue = _hash_of(len(texts))(*texts)
    return result


@cache
def _hash_of(count: int) -> Any:
    def signature_only(*texts: Any) -> Any:
        """The engine's own."""
        raise NotImplementedError(texts)

    parameters = [Parameter(f"text{place}", Parameter.POSITIONAL_OR_KEYWORD) for place in range(count)]
    signature_only.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return ibis.udf.scalar.builtin(signature_only, name="hash", signature=(("string",) * count, "uint64"))
