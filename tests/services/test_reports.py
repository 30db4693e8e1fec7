"""Values of a report's parameters: read as their types, or refused."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from src.domain.rules_reading import read_rules
from src.services.reports import BadParameters, values_of


def value_of(kind: str, given: Any) -> Any:
    document = {"outputs": [{"output": "a", "formula": "1"}], "parameters": {"p": {"type": kind}}}
    return values_of(read_rules(document), {"p": given})["p"]


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("datetime", "2024-01-31 08:30", datetime(2024, 1, 31, 8, 30)),
        ("boolean", "True", True),
        ("boolean", False, False),
        ("decimal", 0.5, Decimal("0.5")),
    ],
)
def test_a_parameter_is_read_as_its_type(kind: str, given: Any, value: Any) -> None:
    assert value_of(kind, given) == value


@pytest.mark.parametrize(
    ("kind", "given"),
    [("datetime", "2024-01-31T08:30Z"), ("datetime", "soon"), ("boolean", "yes"), ("decimal", "Infinity")],
)
def test_what_is_none_is_refused_as_are_times_with_an_offset(kind: str, given: str) -> None:
    with pytest.raises(BadParameters, match=f"is no {kind}"):
        value_of(kind, given)
