"""A formula's text → Python's syntax tree, within bounds. Nothing is compiled, let alone run."""

import ast
import re
import warnings

from src.domain.formulas.errors import BadFormula

LONGEST = 2_000
MOST_PARTS = 1_000
DEEPEST = 100
_BLANKS = re.compile(r"[\t\n\r]")  # a formula may go over several lines
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")


def syntax_of(text: str) -> ast.expr:
    """The tree; its places count from the first character of `text` that is not blank."""
    if len(text) > LONGEST:
        raise BadFormula(
            f"A formula has at most {LONGEST:,} characters, this one {len(text):,}.", code="too_long"
        )
    if not text.strip():
        raise BadFormula("The formula is empty.", code="empty")
    if unusable := _UNUSABLE.search(text):
        position = unusable.start() + 1
        raise BadFormula(f"At character {position}: this character can't be used.", position=position)
    source = _BLANKS.sub(" ", text).lstrip(" ")
    tree = _parsed(source, len(text) - len(source))
    _check_size(tree)
    _check_end(tree, source, len(text) - len(source))
    return tree


def position_in(text: str, part: ast.expr) -> int:
    """The character of `text` at which a part begins, counted from 1. (Python counts bytes.)"""
    source = _BLANKS.sub(" ", text).lstrip(" ")
    return len(text) - len(source) + len(source.encode()[: part.col_offset].decode(errors="ignore")) + 1


def text_between(text: str, part: ast.expr) -> str:
    """A part as it was written."""
    source = _BLANKS.sub(" ", text).lstrip(" ").encode()
    return source[part.col_offset : part.end_col_offset].decode(errors="ignore")


def _parsed(source: str, offset: int) -> ast.expr:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about "\d" in a pattern, which is just what it looks like
        try:
            return ast.parse(source, mode="eval").body
        except SyntaxError as error:
            position = offset + min(error.offset or len(source), len(source))
            raise BadFormula(
                f"At character {position}: this can't be read as a formula ({error.msg}).", position=position
            ) from error
        except (ValueError, RecursionError, MemoryError) as error:
            raise _too_involved() from error


def _check_size(tree: ast.expr) -> None:
    """Level by level, without recursion."""
    level: list[ast.AST] = [tree]
    parts = depth = 0
    while level:
        parts, depth = parts + len(level), depth + 1
        if parts > MOST_PARTS or depth > DEEPEST:
            raise _too_involved()
        level = [child for part in level for child in ast.iter_child_nodes(part)]


def _check_end(tree: ast.expr, source: str, offset: int) -> None:
    """A comment would hide what stands after it."""
    rest = source.encode()[tree.end_col_offset :].decode(errors="ignore")
    if rest.strip(" )\f"):
        position = offset + len(source) - len(rest.lstrip(" )\f")) + 1
        raise BadFormula(f"At character {position}: a formula has no comments.", position=position)


def _too_involved() -> BadFormula:
    return BadFormula(
        "The formula is too long or too deeply nested. Split it over several outputs.", code="too_involved"
    )
