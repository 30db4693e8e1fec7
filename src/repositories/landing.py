"""Staged rows into their table: one statement for all of them, so that all counts are exact."""

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from src.repositories.made_names import foreign_keys_silenced
from src.repositories.staging import Staging

OVERTAKEN = ("23505", "23P01")  # of a unique index, and of the addresses of clients
MATCHED = "CREATE TEMP TABLE matched (line bigint, row_id bigint) ON COMMIT DROP"


class Landed(NamedTuple):
    """How many rows were made, changed, and equal already."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0

    def plus(self, other: "Landed") -> "Landed":
        return Landed(self.inserted + other.inserted, self.updated + other.updated)


class Landing:
    """Writes what is staged, in the name of an import."""

    def __init__(
        self, session: Session, staging: Staging, import_id: UUID, *, changed_by: UUID, is_upsert: bool
    ) -> None:
        self.session = session
        self.staging = staging
        self.target = staging.target
        self.import_id = import_id  # of new rows
        self.changed_by = changed_by  # a correction keeps its own account of what it changed
        self.is_upsert = is_upsert

    def run(self) -> Landed:
        """Write all staged rows. One that the database refuses is found by halving, and becomes a fault.

        Making and changing are one statement, so that its triggers, and the lock that they take and that
        everybody else waits for, come at the very end of it.
        """
        low, high = self.session.execute(text("SELECT min(line), max(line) FROM staging")).one()
        if low is None:
            return Landed()
        self.lines = (low, high)
        if self.is_upsert:
            self.session.execute(text(MATCHED))
            self._hold_matches(low, high)
        with self._foreign_keys():
            landed = self._write(low, high)
        if not self.is_upsert:
            return landed
        there = self.session.scalars(text("SELECT count(*) FROM matched JOIN staging USING (line)")).one()
        return landed._replace(unchanged=int(there) - landed.updated)

    def _foreign_keys(self) -> AbstractContextManager[None]:
        """They are checked: all that rows point to is locked. Where they point to nothing, there is no
        reason to silence what else is checked by triggers, such as constraints that are deferrable."""
        return foreign_keys_silenced(self.session) if self.staging.references else nullcontext()

    def _hold_matches(self, low: int, high: int) -> int:
        """Lock the rows that are there, in the order of their ids, and note those that were not noted yet."""
        dataset = self.target.dataset
        same = f't.{dataset.key_column} = s."{self.staging.key}" AND {self.target.is_present}'
        found = self._run(
            f"""INSERT INTO matched SELECT s.line, t.id FROM staging s JOIN {dataset.table} t ON {same}
                WHERE s.line BETWEEN :low AND :high AND s.line NOT IN (SELECT line FROM matched)
                ORDER BY t.id FOR NO KEY UPDATE OF t""",
            low=low,
            high=high,
        )
        self.session.execute(text("ANALYZE matched"))
        return found

    def _write(self, low: int, high: int) -> Landed:
        try:
            with self.session.begin_nested():
                return self._written(low, high)
        except (IntegrityError, DataError) as error:
            if _is_overtaken(error) and self._look_again(low, high):
                return self._write(low, high)
            if low == high:
                self._note(low, error)
                return Landed()
        middle = (low + high) // 2
        return self._write(low, middle).plus(self._write(middle + 1, high))

    def _look_again(self, low: int, high: int) -> bool:
        """Judge rows by what another writer has made meanwhile, all at once; whether that tells anything.

        None of these is written, so what is there with their keys is another's.
        """
        find = self._hold_matches if self.is_upsert else self.staging.reject_present
        found = find(low, high)
        if (low, high) == self.lines:  # a part of them would not tell what the others give up
            before = self.staging.count()
            self.staging.reject_taken("upsert" if self.is_upsert else "insert")
            found += before - self.staging.count()
        return found > 0

    def _written(self, low: int, high: int) -> Landed:
        if not self.is_upsert:
            return Landed(self._run(self._insertion(), low=low, high=high))
        statement = f"""WITH kept AS ({self._keeping()} RETURNING row_id), changed AS ({self._changing()}),
            made AS ({self._insertion("AND NOT EXISTS (SELECT FROM matched m WHERE m.line = s.line)")}
                RETURNING id)
            SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM kept)"""
        bound = {"import_id": self.import_id, "changed_by": self.changed_by, "low": low, "high": high}
        inserted, updated = self.session.execute(text(statement), bound).one()
        return Landed(int(inserted), int(updated))

    def _insertion(self, condition: str = "") -> str:
        columns, values, joins = [], [], []
        for number, field in enumerate(self.staging.fields):
            columns.append(self.target.column(field))
            if field.reference:
                named = f'r{number}.{field.reference.column} = s."{field.name}"'
                joins.append(f"JOIN {field.reference.table} r{number} ON {named}")
                values.append(f"r{number}.id")
            else:
                values.append(self.target.value(field))
        order = self.target.dataset.order_by
        by = f's."{order}"' if order in self.staging.types else "s.line"
        return f"""INSERT INTO {self.target.dataset.table} ({", ".join(columns)}, import_id)
            SELECT {", ".join(values)}, :import_id FROM staging s {" ".join(joins)}
            WHERE s.line BETWEEN :low AND :high {condition} ORDER BY {by}"""

    def _keeping(self) -> str:
        """Of rows that will change, what they were."""
        return f"""INSERT INTO import_change (import_id, row_id, version, before)
            SELECT :changed_by, t.id, t.version + 1, to_jsonb(t)
            FROM {self.target.dataset.table} t, matched m, staging s WHERE {self._differs()}"""

    def _changing(self) -> str:
        key = self.target.dataset.key_column
        sets = [f"{column} = {value}" for column, value in self._pairs() if column != key]
        sets += ["version = t.version + 1", "updated_at = now()", self.target.on_update]
        return f"""UPDATE {self.target.dataset.table} t SET {", ".join(filter(None, sets))}
            FROM matched m, staging s WHERE {self._differs()}"""

    def _differs(self) -> str:
        here = ", ".join(f"t.{column}" for column, _ in self._pairs())
        there = ", ".join(value for _, value in self._pairs())
        differs = f"({here}) IS DISTINCT FROM ({there})"
        if "deleted_at" in self.target.on_update:
            differs = f"({differs} OR t.deleted_at IS NOT NULL)"
        return f"t.id = m.row_id AND s.line = m.line AND s.line BETWEEN :low AND :high AND {differs}"

    def _pairs(self) -> list[tuple[str, str]]:
        """Each mapped column with its value in a staged row; ids are looked up by name."""
        pairs = []
        for field in self.staging.fields:
            value = self.target.value(field)
            if field.reference:
                reference = field.reference
                value = f'(SELECT id FROM {reference.table} WHERE {reference.column} = s."{field.name}")'
            pairs.append((self.target.column(field), value))
        return pairs

    def _note(self, line: int, error: IntegrityError | DataError) -> None:
        """What another writer was quicker with is a duplicate, or taken; everything else is refused."""
        constraint = (
            getattr(getattr(error.orig, "diag", None), "constraint_name", None) or "a rule of the table"
        )
        if not _is_overtaken(error):
            self.staging.note_fault(line, "refused", f"It breaks {constraint}.")
        elif not self.staging.reject_overtaken(line):
            self.staging.note_fault(line, "already_there", "")

    def _run(self, statement: str, **values: int) -> int:
        bound = {"import_id": self.import_id, **values}
        used = {name: value for name, value in bound.items() if f":{name}" in statement}
        return int(self.session.execute(text(statement), used).rowcount)  # type: ignore[attr-defined]  # a result


def _is_overtaken(error: IntegrityError | DataError) -> bool:
    return getattr(error.orig, "sqlstate", "") in OVERTAKEN
