"""How large a formula gets when it is written out: what needs an operand several times repeats it."""

from src.domain.formulas.tree import Call, Node

HEAVIEST = 1_000
REPEATS = {  # how often the written-out value holds each argument; once, unless said here
    "floor_divide": 5,
    "modulo": 4,
    "round": 4,
    "floor": 1,
    "ceil": 1,
    "fit": 1,
    "substr": 2,
    "sum": 1,
    "is_missing": 1,
}


def is_too_heavy(node: Node) -> bool:
    return sum(_weights(node)) > HEAVIEST


def _weights(node: Node) -> tuple[int, int]:
    """Of the value, and of the test whether there is one."""
    if not isinstance(node, Call):
        return 1, 0
    values, tests = zip(*map(_weights, node.arguments), strict=True) if node.arguments else ((), ())
    value = 1 + REPEATS.get(node.name, 1) * sum(values)
    return value, sum(tests) + (0 if node.name in NEVER_FAIL else value)


NEVER_FAIL = frozenset(
    (
        "join",
        "negate",
        "abs",
        "equal",
        "unequal",
        "less",
        "at_most",
        "greater",
        "at_least",
        "and",
        "or",
        "not",
    )
)
