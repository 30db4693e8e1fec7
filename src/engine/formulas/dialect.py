"""Functions that Ibis has no name for, though the engines have them."""

from functools import cache
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir


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
