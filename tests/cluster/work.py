"""What a cluster is asked to make, wherever it is: a file with a reference, an operation and a report on it."""

KEYS = ("k1", "k2", "none")
REFERENCE = "key,group,rate\nk1,one,0.5\nk2,two,3\n"
OPERATION = [
    {"operation": "dedup", "columns": ["name", "key"], "keep": "last"},
    {"operation": "derive", "column": "third", "formula": "amount / 3"},
    {"operation": "sort", "by": [{"column": "third", "descending": True}]},
]
RULES = [
    {"output": "name", "formula": "name + '/' + group"},
    {"output": "value", "formula": "amount * max(rate, 1) / 7"},
]


def input_of(rows: int) -> str:
    lines = [f"n{row % 977},{row % 313}.{row % 10},{KEYS[row % 3]}\n" for row in range(rows)]
    return "name,amount,key\n" + "".join(lines)
