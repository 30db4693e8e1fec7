"""The formula language: parsed, typed, and evaluated for single rows; for files the engine does that."""

from src.domain.formulas.errors import BadFormula, Uncomputable
from src.domain.formulas.evaluating import Row, evaluate
from src.domain.formulas.parsing import nearest, normalised, parse
from src.domain.formulas.text import text_of
from src.domain.formulas.tree import Formula, Value
from src.domain.formulas.types import TYPE_NAMES, Type, type_named

__all__ = [
    "TYPE_NAMES",
    "BadFormula",
    "Formula",
    "Row",
    "Type",
    "Uncomputable",
    "Value",
    "evaluate",
    "nearest",
    "normalised",
    "parse",
    "text_of",
    "type_named",
]
