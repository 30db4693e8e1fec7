"""What is wrong with a formula, and where; and the cells that a right formula can't compute."""

from typing import Any

from src.domain.errors import FieldError, Invalid


class BadFormula(Invalid):
    """`code` says what kind of fault, `position` the character where it was noticed, counted from 1."""

    slug = "bad-formula"
    title = "The formula is not valid"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str = "syntax",
        position: int = 1,
        errors: list[FieldError] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail, errors=errors, code=code, position=position, **members)
        self.code = code
        self.position = position


class Uncomputable(Exception):
    """This cell has no value. The reason is one of a few codes, which `docs/formulas.md` explains."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
