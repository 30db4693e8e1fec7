"""Staged events of an import: read in the order of the file, and kept account of in a ledger."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from src.domain.errors import Unavailable
from src.domain.events import Ordering

SETTLED = text("SELECT coalesce(max(last_line), 0) FROM event_import_chunk WHERE import_id = :import_id")
STAGED = text("""
    SELECT line, type, amount, user_id, t::bigint FROM staging WHERE line > :line ORDER BY line LIMIT :most
""")
SETTLE = text("""
    INSERT INTO event_import_chunk (import_id, first_line, last_line, stored, refused)
    VALUES (:import_id, :first_line, :last_line, :stored, CAST(:refused AS jsonb))
""")
COUNT = text("""
    UPDATE import SET rows_read = rows_read + :stored + :rejected, inserted = inserted + :stored,
        rejected = rejected + :rejected
    WHERE id = :import_id
""")
TOTALS = text("""
    SELECT coalesce(sum(stored), 0), coalesce(sum(jsonb_array_length(refused)), 0)
    FROM event_import_chunk WHERE import_id = :import_id
""")
NOTE_REFUSED = text("""
    INSERT INTO fault SELECT (r ->> 0)::bigint, r ->> 1, r ->> 2, r ->> 3, r ->> 4
    FROM event_import_chunk, jsonb_array_elements(refused) AS r WHERE import_id = :import_id
""")
# A row that is refused raises nothing: what came before it decides, whether it was kept or not.
NOTE_NOT_RISING = {
    Ordering.GLOBAL: """
        INSERT INTO fault SELECT line, 't', 'not_rising', t::text, 'The latest is ' || latest || '.'
        FROM (SELECT line, t, greatest((SELECT h.t FROM event_high_water h WHERE stream = 0), max(t) OVER (
                ORDER BY line ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS latest FROM staging) AS s
        WHERE t <= latest
    """,
    Ordering.PER_CLIENT: """
        INSERT INTO fault SELECT line, 't', 'not_rising', t::text, 'The latest is ' || latest || '.'
        FROM (SELECT s.line, s.t, greatest(h.t, max(s.t) OVER (PARTITION BY s.user_id
                ORDER BY s.line ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS latest
            FROM staging s JOIN client c ON c.external_id = s.user_id
            LEFT JOIN event_high_water h ON h.stream = c.id) AS s
        WHERE t <= latest
    """,
}
Refusal = tuple[int, str, str, str, str]  # line, field, code, value, detail


class StagedEvent(NamedTuple):
    line: int
    type: str
    amount: Decimal
    client: str
    t: int


class SettledElsewhere(Unavailable):
    slug = "import-settled-elsewhere"
    title = "Another worker goes on with this import"


class EventImportRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    def settled(self, import_id: UUID) -> int:
        """The last line that is settled."""
        return int(self.session.execute(SETTLED, {"import_id": import_id}).scalar_one())

    def staged(self, after: int, most: int) -> list[StagedEvent]:
        """The next events behind a line."""
        rows = self.session.execute(STAGED, {"line": after, "most": most})
        return [StagedEvent(*row) for row in rows]

    def settle(
        self, import_id: UUID, lines: tuple[int, int], stored: int, refused: Sequence[Refusal]
    ) -> None:
        """Note what became of a stretch of lines; raises SettledElsewhere if another did so before."""
        values: dict[str, Any] = {"import_id": import_id, "stored": stored}
        first, last = lines
        noted = {"first_line": first, "last_line": last, "refused": orjson.dumps(list(refused)).decode()}
        try:
            self.session.execute(SETTLE, values | noted)
        except IntegrityError as error:
            raise SettledElsewhere("It is tried again.") from error
        self.session.execute(COUNT, values | {"rejected": len(refused)})

    def totals(self, import_id: UUID) -> tuple[int, int]:
        """How many events are stored, and how many were refused."""
        stored, refused = self.session.execute(TOTALS, {"import_id": import_id}).one()
        return int(stored), int(refused)

    def note_refused(self, import_id: UUID) -> None:
        """Put the refused lines beside the faults that the reading found."""
        self.session.execute(NOTE_REFUSED, {"import_id": import_id})

    def note_not_rising(self, ordering: Ordering) -> None:
        """Put the staged rows there that would be refused if they were appended now."""
        self.session.execute(text(NOTE_NOT_RISING[ordering]))
