"""Every example in the guide gives what the guide says."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.formulas import evaluate, parse, text_of
from src.domain.formulas.functions import AGGREGATES, FUNCTIONS

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "formulas.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^\|.*\| `([^`]+)` \| ([^|]+) \|$", re.MULTILINE)
TABLES = GUIDE[GUIDE.index("## Operators") :]
ROWS = [{"amount": Decimal(amount) if amount else None} for amount in ("10", "2.50", "", "2.50")]
EXAMPLES = EXAMPLE.findall(TABLES)


@pytest.mark.parametrize(("formula", "result"), EXAMPLES, ids=[formula for formula, _ in EXAMPLES])
def test_the_example_gives_what_the_guide_says(formula: str, result: str) -> None:
    understood = parse(formula, {"amount": "decimal(12,2)"}, keys=[])
    assert text_of(evaluate(understood, {}, ROWS)) == result.strip()


@pytest.mark.parametrize("name", [*FUNCTIONS, *AGGREGATES])
def test_every_function_has_an_example(name: str) -> None:
    assert any(f"{name}(" in formula for formula, _ in EXAMPLES)


def test_every_operator_has_an_example() -> None:
    written = " ".join(formula for formula, _ in EXAMPLES)
    for sign in [
        "+",
        "-",
        "*",
        "/",
        "//",
        "%",
        "**",
        "==",
        "<",
        "<=",
        "in",
        "and",
        "or",
        "not",
        "if",
        "else",
    ]:
        assert sign in written.split() or f"{sign} " in written, sign
