"""Functions that Ibis has no name for, though the engines have them."""

from functools import cache
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name="rtrim", signature=(("string", "string"), "string")
)
def _rtrim(text: str, signs: str) -> str:
    """The engine's own."""
    raise NotImplementedError


def trim_right(text: ir.Value, signs: str) -> ir.Value:
    """The text without these signs at its end."""
    result: ir.Value = _rtrim(text, signs)
    return result


def multiply(one: ir.Value, other: ir.Value, *types: dt.DataType) -> ir.Value:
    """The exact product. `types`: of both factors, and of the product; Ibis would want all three the same."""
    result: ir.Value = _multiplication(*types)(one, other)
    return result


@cache
def _multiplication(one: dt.DataType, other: dt.DataType, result: dt.DataType) -> Any:
    def product(one: Any, other: Any) -> Any:
        """The engine's own."""
        raise NotImplementedError

    return ibis.udf.scalar.builtin(product, name="multiply", signature=((one, other), result))
