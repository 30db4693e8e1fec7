"""Formulas thrown together at random: each is understood or refused, none runs, crashes or takes long."""

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from time import process_time

from src.domain.formulas import BadFormula, Row, Uncomputable, evaluate, parse
from src.domain.formulas.functions import AGGREGATES, FUNCTIONS

COUNT = int(os.environ.get("FORMULA_FUZZ", "4000"))
COLUMNS = {"n": "integer", "d": "decimal", "s": "text", "b": "boolean", "day": "date", "a b": "text"}
ROW: Row = {"n": 7, "d": Decimal("-2.5"), "s": "ab", "b": True, "day": date(2024, 2, 29), "a b": None}
PIECES = [
    *(
        [
            "n",
            "d",
            "s",
            "b",
            "day",
            "nope",
            "__class__",
            "__import__",
            "os",
            "eval",
            "exec",
            "open",
            "lambda",
            "def",
            "class",
            "import",
            "None",
            "True",
            "False",
        ]
    ),
    *(["0", "1", "2", "7", "0.5", "1e9", "99999999999999999999", "0x1f", "1j", "1_0", ".5", "5.", "00"]),
    *(["'a'", '"b"', "''", "'a", "b'", "'\\n'", "'('", "f'{n}'", "b'x'", "'''x'''", "'�'"]),
    *(
        [
            "+",
            "-",
            "*",
            "/",
            "//",
            "%",
            "**",
            "==",
            "!=",
            "<",
            "<=",
            ">",
            ">=",
            "and",
            "or",
            "not",
            "in",
            "is",
            "if",
            "else",
            ":=",
            "=",
            "~",
            "&",
            "|",
            "^",
            "<<",
            ">>",
            "@",
            "->",
            ".",
            ",",
            ";",
            ":",
            "#",
            "\\",
            "`",
            "$",
            "?",
            "!",
        ]
    ),
    *(["(", "(", "(", ")", ")", ")", "[", "]", "{", "}"]),
    *(["\n", "\t", "\x00", "\xa0", "ﬁ", "ç", "😀", "\u202e"]),
    *FUNCTIONS,
    *AGGREGATES,
    "col('a b')",
]
WATCHED = (
    "exec",
    "import",
    "open",
    "os.system",
    "os.exec",
    "subprocess.Popen",
    "socket.connect",
    "pickle.find_class",
)
_seen: list[str] = []
_is_watching = False


def _watch(event: str, _: object) -> None:
    if _is_watching and event in WATCHED:
        _seen.append(event)


sys.addaudithook(_watch)


@contextmanager
def watching() -> Iterator[list[str]]:
    """What Python does meanwhile that a formula must not."""
    global _is_watching  # noqa: PLW0603
    _seen.clear()
    _is_watching = True
    try:
        yield _seen
    finally:
        _is_watching = False


def grown(source: random.Random, depth: int) -> str:
    """A formula that may well be right, or was before something was put into it."""
    if depth <= 0 or source.random() < 0.2:
        return source.choice(
            ["n", "d", "s", "b", "day", "1", "0.5", "'a'", "''", "True", "None", "'2024-01-01'"]
        )
    kind = source.randrange(4)
    if kind == 0:
        name = source.choice([*FUNCTIONS, *AGGREGATES])
        return f"{name}({', '.join(grown(source, depth - 1) for _ in range(source.randrange(4)))})"
    if kind == 1:
        return f"({grown(source, depth - 1)} if {grown(source, depth - 1)} else {grown(source, depth - 1)})"
    sign = source.choice(
        ["+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "and", "or", "in"]
    )
    return f"({grown(source, depth - 1)} {sign} {grown(source, depth - 1)})"


def thrown(source: random.Random) -> str:
    if source.random() < 0.5:
        return source.choice(["", " "]).join(source.choices(PIECES, k=source.randrange(1, 40)))
    text = grown(source, source.randrange(1, 7))
    if source.random() < 0.3:
        place = source.randrange(len(text) + 1)
        text = text[:place] + source.choice(PIECES) + text[place + source.randrange(3) :]
    return text


def test_formulas_at_random_are_understood_or_refused_and_never_run() -> None:
    source = random.Random(2026)
    understood = refused = 0
    slowest = (0.0, "")
    with watching() as seen:
        for _ in range(COUNT):
            text = thrown(source)
            started = process_time()
            try:
                formula = parse(text, COLUMNS, keys=["n"] if source.random() < 0.3 else None)
                understood += 1
                evaluate(formula, ROW, [ROW])
            except BadFormula as error:
                refused += 1
                assert 1 <= error.position <= max(1, len(text)), (text, error.detail)
            except Uncomputable:
                pass
            slowest = max(slowest, (process_time() - started, text))
    print(f"{understood:,} understood, {refused:,} refused, slowest {slowest[0]:.3f} s: {slowest[1][:80]!r}")
    assert seen == []
    assert understood > COUNT // 50
    assert refused > COUNT // 50
