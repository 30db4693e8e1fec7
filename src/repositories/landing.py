"""Staged rows into their table, and out of it again: one statement each, so that all counts are exact."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from src.repositories.staging import Staging

MAY_SILENCE = text("SELECT has_parameter_privilege('session_replication_role', 'SET')")


class Landing:
    """Writes what is staged, in the name of an import."""

    def __init__(self, session: Session, staging: Staging, import_id: UUID) -> None:
        self.session = session
        self.staging = staging
        self.target = staging.target
        self.import_id = import_id

    def insert(self) -> int:
        """Insert all staged rows. One that the database refuses is found by halving, and becomes a fault."""
        low, high = self.session.execute(text("SELECT min(line), max(line) FROM staging")).one()
        if low is None:
            return 0
        with self._foreign_keys_checked():
            return self._insert(low, high)

    def update(self) -> tuple[int, int]:
        """Change rows that are there to what is staged, keeping what they were; and take them off the stage.

        Answers how many changed, and how many were equal.
        """
        table, matches = self.target.dataset.table, self._matches
        self._run(
            f"SELECT count(*) FROM (SELECT FROM {matches} ORDER BY t.id FOR NO KEY UPDATE OF t) AS held"
        )
        matched = self._run(f"CREATE TEMP TABLE matched ON COMMIT DROP AS SELECT s.line FROM {matches}")
        pairs = self._pairs()
        here = ", ".join(f"t.{column}" for column, _ in pairs)
        there = ", ".join(value for _, value in pairs)
        differs = f"({here}) IS DISTINCT FROM ({there})"
        if "deleted_at" in self.target.on_update:
            differs = f"({differs} OR t.deleted_at IS NOT NULL)"
        self._run(
            f"""INSERT INTO import_change (import_id, row_id, version, before)
                SELECT :import_id, t.id, t.version + 1, to_jsonb(t) FROM {matches} WHERE {differs}
                ON CONFLICT (import_id, row_id) DO UPDATE SET version = excluded.version"""
        )
        sets = [f"{column} = {value}" for column, value in pairs if column != self.target.dataset.key_column]
        sets += ["version = t.version + 1", "updated_at = now()", self.target.on_update]
        changed = self._run(
            f"UPDATE {table} t SET {', '.join(filter(None, sets))} FROM staging s "
            f"WHERE {self._same} AND {differs}"
        )
        self._run("DELETE FROM staging USING matched WHERE matched.line = staging.line")
        return changed, matched - changed

    @property
    def _same(self) -> str:
        key = f't.{self.target.dataset.key_column} = s."{self.staging.key}"'
        return f"{key} AND {self.target.is_present}"

    @property
    def _matches(self) -> str:
        return f"staging s JOIN {self.target.dataset.table} t ON {self._same}"

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

    def _insert(self, low: int, high: int) -> int:
        try:
            with self.session.begin_nested():
                return self._run(self._insertion(), low=low, high=high)
        except (IntegrityError, DataError) as error:
            if low == high:
                self._note(low, error)
                return 0
        middle = (low + high) // 2
        return self._insert(low, middle) + self._insert(middle + 1, high)

    def _insertion(self) -> str:
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
            WHERE s.line BETWEEN :low AND :high ORDER BY {by}"""

    def _note(self, line: int, error: IntegrityError | DataError) -> None:
        """A key that another writer was quicker with is a duplicate; everything else is refused."""
        state = getattr(error.orig, "sqlstate", "")
        constraint = (
            getattr(getattr(error.orig, "diag", None), "constraint_name", None) or "a rule of the table"
        )
        if state != "23505":
            self.staging.note_fault(line, "refused", f"It breaks {constraint}.")
        elif not self.staging.reject_present(line):
            self.staging.note_fault(line, "already_there", "")

    @contextmanager
    def _foreign_keys_checked(self) -> Iterator[None]:
        """Check them once for all rows instead of row by row, where the role may silence their triggers.

        Not where nothing is referred to: triggers also check constraints that are deferrable.
        """
        is_silent = bool(self.staging.references) and self.session.scalars(MAY_SILENCE).one()
        if is_silent:
            self.session.execute(text("SET LOCAL session_replication_role = replica"))
        yield
        if is_silent:
            self.session.execute(text("SET LOCAL session_replication_role = origin"))

    def _run(self, statement: str, **values: int) -> int:
        bound = {"import_id": self.import_id, **values}
        used = {name: value for name, value in bound.items() if f":{name}" in statement}
        return int(self.session.execute(text(statement), used).rowcount)  # type: ignore[attr-defined]  # a result
