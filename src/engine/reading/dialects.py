"""How a delimited text is written, judged by its head: delimiter, quote, line end, header."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from src.engine.reading.kinds import BLANKS, is_typed
from src.engine.reading.records import QUOTE, SEPARATOR_LINE

DELIMITERS = (",", ";", "\t", "|")
GOOD_ENOUGH = 0.4
JUDGED_ROWS = 200
JUDGED_CHARACTERS = 64 * 1024


@dataclass(frozen=True)
class Dialect:
    """How a text is cut into records and cells."""

    delimiter: str | None
    quote: str
    line_end: str | None


def find_dialect(text: str) -> Dialect:
    """The delimiter that the text names, or that cuts it into the most even rows of the cleanest cells."""
    if first := SEPARATOR_LINE.match(text.lstrip("\r\n")):
        rest = text.lstrip("\r\n")[first.end() :]
        return Dialect(first[1], _find_quote(rest[:JUDGED_CHARACTERS]), _find_line_end(text, QUOTE))
    quote = _find_quote(text[:JUDGED_CHARACTERS])
    scores = {delimiter: _score(text, delimiter, quote) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: scores[delimiter])
    return Dialect(best if scores[best] >= GOOD_ENOUGH else None, quote, _find_line_end(text, quote))


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: texts only, and not values that come again below."""
    first, rest = rows[0], rows[1:]
    names = [name.strip(BLANKS) for name in first]
    if not any(names) or any(map(is_typed, filter(None, names))):
        return False
    if _has_typed_column(rest):
        return True
    columns = [{row[place].strip(BLANKS) for row in rest if place < len(row)} for place in range(len(names))]
    return not any(name and name in values for name, values in zip(names, columns, strict=True))


def _has_typed_column(rows: Sequence[Sequence[str]]) -> bool:
    return any(is_typed(cell) for row in rows[:20] for cell in row)


def _find_quote(text: str) -> str:
    """Single quotes only where more cells stand in them than in double quotes."""
    single, double = (
        len(re.findall(rf"(?m)(?:^|[,;\t|]){quote}[^{quote}\r\n]*{quote}(?=[,;\t|\r\n]|\Z)", text))
        for quote in ("'", QUOTE)
    )
    return "'" if single > double else QUOTE


def _find_line_end(text: str, quote: str) -> str | None:
    """The line end that all lines have, outside quotes; `mixed` if there are several."""
    bare = re.sub(f"{quote}[^{quote}]*{quote}", "", text)
    pairs = bare.count("\r\n")
    counts = {"\r\n": pairs, "\n": bare.count("\n") - pairs, "\r": bare.count("\r") - pairs}
    found = [end for end, count in counts.items() if count]
    return "mixed" if len(found) > 1 else next(iter(found), None)


def _score(text: str, delimiter: str, quote: str) -> float:
    """How even the rows are (0 if they have one cell), lowered by cells that another delimiter would cut."""
    rows, broken = _cut(text, delimiter, quote)
    widths = Counter(map(len, rows))
    if not rows or max(widths) == 1:
        return 0.0
    width, even = max(widths.items(), key=lambda item: (item[0] > 1, item[1], item[0]))
    others = "".join(other for other in DELIMITERS if other != delimiter)
    cells = [cell for row in rows if len(row) == width for cell in row]
    return even / (len(rows) + broken) * (1 + _clean_share(cells, others)) / 2


def _cut(text: str, delimiter: str, quote: str) -> tuple[list[list[str]], int]:
    """The first rows that this delimiter gives, and how many were broken."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote, strict=True)
    rows: list[list[str]] = []
    broken = 0
    while len(rows) + broken < JUDGED_ROWS:
        try:
            row = next(reader, None)
        except csv.Error:
            broken += 1
            continue
        if row is None:
            break
        if row:
            rows.append(row)
    return rows, broken


def _clean_share(cells: Sequence[str], others: str) -> float:
    """The share of cells that no other delimiter would cut; in prose, a comma has a space behind it."""
    suspicious = re.compile(rf"^ |[{others}](?! |$)")
    clean = sum(not suspicious.search(cell) or is_typed(cell) for cell in cells)
    return clean / len(cells)
