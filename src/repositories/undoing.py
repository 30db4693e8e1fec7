"""An import taken back: its rows go, rows it changed are as before, what was changed since is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from src.domain.errors import Conflict
from src.repositories.made_names import hold_names, remove_held_names, unused
from src.repositories.targets import Target

KEPT_SHOWN = 100
SETTINGS = ("SET LOCAL statement_timeout = 0", "SET LOCAL lock_timeout = 0", "SET LOCAL work_mem = '128MB'")


@dataclass
class Undone:
    """What an undo did: rows removed, restored, and kept because they are used or were changed since, or
    because another row has a former value of theirs by now."""

    removed: int = 0
    restored: int = 0
    kept: int = 0
    kept_rows: list[str] = field(default_factory=list)
    names_removed: dict[str, int] = field(default_factory=dict)


# Rows whose former value another row has by now, and keeps: one that is not put back gives nothing up, so
# whoever had its value before it is not put back either, and so on.
NOT_PUT_BACK = """
    INSERT INTO not_put_back WITH RECURSIVE former AS (
        SELECT DISTINCT ON (c.row_id) c.row_id, c.before ->> '{name}' AS value
        FROM import_change c WHERE c.import_id = ANY (:parts) AND c.before ->> 'deleted_at' IS NULL
            AND (SELECT version FROM {table} t WHERE t.id = c.row_id) = (SELECT max(version)
                FROM import_change last WHERE last.import_id = ANY (:parts) AND last.row_id = c.row_id)
        ORDER BY c.row_id, c.version
    ), wish AS (
        SELECT former.row_id, holder.id AS holder, giver.row_id IS NOT NULL AS gives
        FROM former JOIN {table} holder ON holder.{name} = former.value
            AND holder.deleted_at IS NULL AND holder.id <> former.row_id
        LEFT JOIN former giver ON giver.row_id = holder.id AND giver.value IS DISTINCT FROM holder.{name}
    ), denied AS (
        SELECT row_id FROM wish WHERE NOT gives
        UNION
        SELECT wish.row_id FROM denied JOIN wish ON wish.holder = denied.row_id
    ) SELECT row_id FROM denied ON CONFLICT DO NOTHING
"""


class FormerValuesTaken(Conflict):
    slug = "former-values-taken"
    title = "What the import changed cannot be as it was"


class Undoing:
    """Corrections are undone with their import, the last one first: each puts back what it found."""

    def __init__(
        self, session: Session, target: Target, import_id: UUID, corrections: Sequence[UUID] = ()
    ) -> None:
        self.session = session
        self.target = target
        self.parts = [*sorted(corrections, reverse=True), import_id]
        self.values: dict[str, Any] = {"import_id": import_id, "parts": self.parts}

    def run(self) -> Undone:
        for setting in SETTINGS:
            self.session.execute(text(setting))
        undone = Undone()
        self._hold_changed()
        hold_names(self.session, self.parts, rows_of=self.values["import_id"])
        undone.removed = self._remove()
        if "upsert" in self.target.dataset.modes:
            undone.restored = self._restore_all()
            undone.kept, undone.kept_rows = self._changed_since()
        still_there, shown = self._still_there()
        undone.kept += still_there
        undone.kept_rows = [*shown, *undone.kept_rows][:KEPT_SHOWN]
        self.session.execute(text("DELETE FROM import_change WHERE import_id = ANY (:parts)"), self.values)
        undone.names_removed = remove_held_names(self.session)
        return undone

    @property
    def _table(self) -> str:
        return self.target.dataset.table

    def _hold_changed(self) -> None:
        """Lock what will be restored before the rollups: whoever changes a row takes them in this order."""
        self.session.execute(
            text(
                f"""SELECT count(*) FROM (SELECT FROM {self._table} t WHERE t.id IN
                    (SELECT row_id FROM import_change WHERE import_id = ANY (:parts))
                    ORDER BY t.id FOR NO KEY UPDATE) AS held"""
            ),
            self.values,
        )

    def _remove(self) -> int:
        """The rows that it made, unless something changed or uses them."""
        conditions = ["t.import_id = :import_id"]
        if self.target.has_versions:
            conditions.append(
                "t.version = 1 + (SELECT count(*) FROM import_change c "
                "WHERE c.import_id = ANY (:parts) AND c.row_id = t.id)"
            )
        conditions.append(unused(self.session, self._table))
        return self._count(f"DELETE FROM {self._table} t WHERE {' AND '.join(conditions)}")

    def _restore_all(self) -> int:
        self.session.execute(
            text("CREATE TEMP TABLE not_put_back (row_id bigint PRIMARY KEY) ON COMMIT DROP")
        )
        for name in self.target.dataset.unique or {}:
            self.session.execute(text(NOT_PUT_BACK.format(table=self._table, name=name)), self.values)
        try:
            with self.session.begin_nested():
                return sum(self._restore(part) for part in self.parts)
        except IntegrityError as error:
            raise FormerValuesTaken(
                "Just now, another row was given a former value, such as an e-mail address. Undo it again."
            ) from error

    def _restore(self, part: UUID) -> int:
        """The rows that it changed, as they were: version included, for an undo of what came before."""
        columns = [
            name
            for name in self.session.scalars(
                text(
                    "SELECT attname FROM pg_attribute WHERE attrelid = CAST(:table AS regclass) "
                    "AND attnum > 0 AND NOT attisdropped"
                ),
                {"table": self._table},
            )
            if name not in ("id", "updated_at")
        ]
        sets = ", ".join(f"{column} = b.{column}" for column in columns)
        return self._count(
            f"""WITH restored AS (
                    UPDATE {self._table} t SET {sets}, updated_at = now()
                    FROM import_change c, jsonb_populate_record(NULL::{self._table}, c.before) b
                    WHERE c.import_id = :part AND t.id = c.row_id AND t.version = c.version
                        AND c.row_id NOT IN (SELECT row_id FROM not_put_back) RETURNING t.id)
                DELETE FROM import_change USING restored WHERE import_id = :part AND row_id = restored.id""",
            part=part,
        )

    def _changed_since(self) -> tuple[int, list[str]]:
        """Rows of others that it changed, and someone since, so that they were not restored."""
        return self._keys(
            "WHERE t.id IN (SELECT row_id FROM import_change WHERE import_id = ANY (:parts)) "
            "AND t.import_id IS DISTINCT FROM :import_id"
        )

    def _still_there(self) -> tuple[int, list[str]]:
        return self._keys("WHERE t.import_id = :import_id")

    def _keys(self, source: str) -> tuple[int, list[str]]:
        """How many rows there are, and the keys of the first of them."""
        key, rows = self.target.dataset.key_column or "id", f"FROM {self._table} t {source}"
        count = self.session.scalars(text(f"SELECT count(*) {rows}"), self.values).one()
        first = text(f"SELECT coalesce(t.{key}, t.id::text) {rows} ORDER BY t.id LIMIT {KEPT_SHOWN}")
        return int(count), list(self.session.scalars(first, self.values))

    def _count(self, statement: str, **values: UUID) -> int:
        return int(self.session.execute(text(statement), self.values | values).rowcount)  # type: ignore[attr-defined]  # a result
