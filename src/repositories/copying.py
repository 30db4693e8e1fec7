"""Finished rows into their table: one COPY, held to what foreign keys ask, and its counts to the rollups."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

from src.database import driver_connection
from src.domain.datasets import Reference
from src.repositories.made_names import foreign_keys_silenced, make_names
from src.repositories.targets import Target

BLOCK = 1024 * 1024
# Whatever the table's size, a block of keys is looked up by the index.
BY_INDEX = text(
    """SELECT set_config('enable_' || way, 'off', true)
       FROM unnest(ARRAY['seqscan', 'hashjoin', 'mergejoin']) AS way"""
)


class Refused(Exception):
    """The rows do not go into the table as they are."""


class Copy:
    """Writes to a dataset's table in the name of an import."""

    def __init__(self, session: Session, target: Target) -> None:
        self.session = session
        self.target = target
        self.rows = 0

    @contextmanager
    def receive(self, columns: Sequence[str]) -> Iterator[Callable[[bytes], None]]:
        """Take a COPY stream. Neither foreign keys nor rollups are looked after: see `hold` and `count`."""
        statement = f"""COPY {self.target.dataset.table} ({", ".join(columns)}, import_id)
            FROM STDIN (FORMAT BINARY)"""
        try:
            with foreign_keys_silenced(self.session), driver_connection(self.session).cursor() as cursor:
                self._bring_counts("brought" if self.target.counted else "")
                with cursor.copy(statement) as copy:
                    yield copy.write
                self.rows = cursor.rowcount
                self._bring_counts("")
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            raise Refused from error

    def hold(self, reference: Reference, ids: Sequence[int]) -> bool:
        """Keep what rows point to from being removed, as foreign keys do; False if some is gone already."""
        statement = text(
            f"""SELECT count(*) FROM (SELECT FROM {reference.table}
                WHERE id = ANY (:ids) ORDER BY id FOR KEY SHARE) AS held"""
        )
        return bool(self.session.scalars(statement, {"ids": list(ids)}).one() == len(ids))

    def receive_counts(self, folder: Path) -> None:
        """Take what was counted of the rows; it waits for `count`."""
        with driver_connection(self.session).cursor() as cursor:
            for name, table in (self.target.counted or {}).items():
                cursor.execute(f"CREATE TEMP TABLE counted_{name} (LIKE {table}) ON COMMIT DROP")
                with (
                    cursor.copy(f"COPY counted_{name} FROM STDIN (FORMAT BINARY)") as copy,
                    (folder / name).open("rb") as file,
                ):
                    while block := file.read(BLOCK):
                        copy.write(block)
                cursor.execute(f"ANALYZE counted_{name}")

    def count(self) -> None:
        """Add it to the rollups: whoever changes rows waits from here to the commit."""
        if self.target.merge:
            self.session.execute(text(f"SELECT {self.target.merge}()"))

    def is_empty(self) -> bool:
        """Whether there is no row yet, so that no key can be there."""
        statement = text(f"SELECT NOT EXISTS (SELECT FROM {self.target.dataset.table})")
        return bool(self.session.scalars(statement).one())

    def column_types(self) -> dict[str, str]:
        """The types of the table's columns."""
        statement = text(
            """SELECT attname, format_type(atttypid, NULL) AS type FROM pg_attribute
               WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND NOT attisdropped"""
        )
        found = self.session.execute(statement, {"table": self.target.dataset.table})
        return {row.attname: row.type for row in found}

    def _bring_counts(self, value: str) -> None:
        """Tell the trigger that would count the rows whether that is done here."""
        self.session.execute(text("SELECT set_config('indicators.counts', :value, true)"), {"value": value})


def ids_of(session: Session, reference: Reference, names: Sequence[str], import_id: UUID) -> list[int | None]:
    """The id of each name; those that may be made are made, in their order, for the import."""
    found = _ids_of(session, reference, names)
    missing = sorted({name for name, id_ in zip(names, found, strict=True) if id_ is None})
    if not missing or not reference.is_made:
        return found
    make_names(session, reference, missing, import_id)
    return _ids_of(session, reference, names)


def _ids_of(session: Session, reference: Reference, names: Sequence[str]) -> list[int | None]:
    is_there = "" if reference.is_made else "AND r.deleted_at IS NULL"
    statement = text(
        f"""SELECT r.id FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS n (name, place)
            LEFT JOIN {reference.table} r ON r.{reference.column} = n.name {is_there} ORDER BY n.place"""
    )
    return list(session.scalars(statement, {"names": list(names)}))


def lines_there(
    session: Session, target: Target, lines: Sequence[int], keys: Sequence[str | None]
) -> list[tuple[int, str]]:
    """The lines whose key is in the table, with what is said of the record; `Refused` if that is unknown."""
    bound: dict[str, Any] = {"lines": list(lines), "keys": list(keys)}
    given = "unnest(CAST(:lines AS bigint[]), CAST(:keys AS text[])) AS s (line, key)"
    session.execute(BY_INDEX)
    if target.keys:
        known = f"JOIN {target.keys} k ON k.{target.dataset.key_column} = s.key"
        if session.scalars(text(f"SELECT EXISTS (SELECT FROM {given} {known})"), bound).one():
            raise Refused
        return []
    statement = text(
        f"""SELECT s.line, {target.as_record} FROM {given}
            JOIN {target.dataset.table} t ON t.{target.dataset.key_column} = s.key AND {target.is_present}"""
    )
    return [(line, detail) for line, detail in session.execute(statement, bound)]
