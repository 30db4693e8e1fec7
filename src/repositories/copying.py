"""Finished rows into their table: one COPY, held to what foreign keys ask, and its counts to the rollups."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

from src.database import driver_connection
from src.domain.datasets import Reference
from src.repositories.made_names import (
    begin_holding,
    foreign_keys_silenced,
    hold_given,
    make_names,
    remove_held_names,
)
from src.repositories.targets import Target

BLOCK = 1024 * 1024
# Whatever the table's size, a block of keys is looked up by the index.
BY_INDEX = text(
    """SELECT set_config('enable_' || way, 'off', true)
       FROM unnest(ARRAY['seqscan', 'hashjoin', 'mergejoin']) AS way"""
)


# Partitions by ranges of moments, and where they begin, in microseconds.
PARTS = text(
    r"""SELECT place, extract(epoch FROM CAST(bound[1] AS timestamptz))::bigint * 1000000 AS begin
        FROM (SELECT c.oid::regclass::text AS place,
                regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)') AS bound
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = CAST(:table AS regclass)) AS part
        ORDER BY begin"""
)


class Part(NamedTuple):
    """A table with some of the rows of another one."""

    table: str
    begin: int | None


class Refused(Exception):
    """The rows do not go into the table as they are."""


class Copy:
    """Writes to a dataset's table in the name of an import."""

    def __init__(self, session: Session, target: Target) -> None:
        self.session = session
        self.target = target
        self.rows = 0
        self._counts: Path | None = None  # where they are, until they are taken

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Inside, rows are taken. Foreign keys and rollups are not looked after: see `hold` and `count`."""
        try:
            with foreign_keys_silenced(self.session):
                self._bring_counts("brought" if self.target.counted else "")
                yield
                self._bring_counts("")
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            raise Refused from error

    def take(self, path: Path, columns: Sequence[str], part: int) -> None:
        """Copy rows to a part of the table.

        Straight there: with a trigger that looks at all rows, a table in parts takes them one at a time. What
        that trigger does for their keys is done by `take_keys`.
        """
        self.rows += self._copy(f"{self.parts[part].table} ({', '.join(columns)}, import_id, id)", path)

    def take_keys(self, path: Path) -> None:
        """Copy the keys of rows to the table that they have."""
        self._copy(f"{self.target.keys} ({self.target.dataset.key_column})", path)

    @cached_property
    def parts(self) -> list[Part]:
        """What the table consists of: its partitions, or itself."""
        found = self.session.execute(PARTS, {"table": self.target.dataset.table})
        return [Part(*row) for row in found] or [Part(self.target.dataset.table, None)]

    def hold(self, reference: Reference, used: Path) -> bool:
        """Keep what rows point to from being removed, as foreign keys do; False if some is gone already.

        The file has the ids; there may be as many as names fit into the memory of a child.
        """
        wanted = self._receive_ids(used)
        statement = text(
            f"""SELECT count(*) FROM (SELECT FROM {reference.table}
                WHERE id IN (SELECT id FROM given_id) ORDER BY id FOR KEY SHARE) AS held"""
        )
        return bool(self.session.scalars(statement).one() == wanted)

    def remove_in_vain(self, unused: Mapping[str, Path], import_id: UUID) -> None:
        """Of names that no row has, by table, remove those that the import has made and that nothing uses."""
        begin_holding(self.session)
        held = 0
        for table, ids in unused.items():
            self._receive_ids(ids)
            held += hold_given(self.session, table, import_id)
        if held:
            remove_held_names(self.session)

    def receive_counts(self, folder: Path, *, is_first: bool) -> None:
        """Take what was counted of the rows; it waits for `count`. That of first rows stays where it is."""
        self._counts = folder
        if not is_first:
            self._receive_counts(folder)

    def _receive_counts(self, folder: Path) -> None:
        for name, table in (self.target.counted or {}).items():
            self._receive(f"counted_{name}", f"LIKE {table} INCLUDING GENERATED", folder / name)
        self._counts = None

    def _receive_ids(self, path: Path) -> int:
        """Take the ids of a file in place of those before; how many."""
        self.session.execute(text("DROP TABLE IF EXISTS given_id"))
        return self._receive("given_id", "id bigint", path)

    def _receive(self, table: str, columns: str, path: Path) -> int:
        """Take a COPY stream that was written to a file."""
        self.session.execute(text(f"CREATE TEMP TABLE {table} ({columns}) ON COMMIT DROP"))
        return self._copy(table, path)

    def _copy(self, where: str, path: Path) -> int:
        """Copy a file as it is; how many rows it has."""
        statement = f"COPY {where} FROM STDIN (FORMAT BINARY)"
        with driver_connection(self.session).cursor() as cursor:
            with cursor.copy(statement) as copy, path.open("rb") as file:
                while block := file.read(BLOCK):
                    copy.write(block)
            return int(cursor.rowcount)

    def count(self) -> None:
        """Add it to the rollups: whoever changes rows waits from here to the commit.

        Where there is nothing to add to, it is copied as it is.
        """
        if not self.target.counted:
            return
        if self._counts:
            if not self.session.scalars(text(f"SELECT {self.target.has_counts}()")).one():
                for name, table in self.target.counted.items():
                    self._copy(table, self._counts / name)
                return
            self._receive_counts(self._counts)
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


@dataclass(frozen=True)
class Found:
    """Ids of names, in JSON: a list with null where there is no such name, and these by their places."""

    ids: str
    unknown: str
    has_unknown: bool


# What the sequence gives one after the other is one stretch, unless others take from it meanwhile. It is
# looked up once, not for each row.
FRESH_IDS = """
    SELECT CAST(json_agg(json_build_array(first, count) ORDER BY first) AS text)
    FROM (SELECT min(id) AS first, count(*) FROM (SELECT id, id - row_number() OVER () AS before FROM
            (SELECT nextval((SELECT CAST(pg_get_serial_sequence(:table, 'id') AS regclass))) AS id
            FROM generate_series(1, :rows)) AS taken
        ) AS numbered GROUP BY before) AS stretch
"""


def fresh_ids(session: Session, table: str, rows: int) -> str:
    """Ids for so many rows, as pairs of the first one and how many: a fiftieth of what writing takes."""
    return str(session.scalars(text(FRESH_IDS), {"table": table, "rows": rows}).one())


def ids_of(session: Session, reference: Reference, names: str, import_id: UUID) -> Found:
    """The ids of an array of names; those that may be made are made for the import."""
    found = _ids_of(session, reference, names)
    if not found.has_unknown or not reference.is_made:
        return found
    make_names(session, reference, names, import_id)
    return _ids_of(session, reference, names)


def _ids_of(session: Session, reference: Reference, names: str) -> Found:
    is_there = "" if reference.is_made else "AND r.deleted_at IS NULL"
    statement = text(
        f"""SELECT CAST(json_agg(r.id ORDER BY n.place) AS text),
                CAST(coalesce(json_object_agg(n.place - 1, n.name) FILTER (WHERE r.id IS NULL), '{{}}')
                    AS text),
                count(r.id) < count(*)
            FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS n (name, place)
            LEFT JOIN {reference.table} r ON r.{reference.column} = n.name {is_there}"""
    )
    return Found(*session.execute(statement, {"names": names}).one())


def lines_there(session: Session, target: Target, lines: str, keys: str) -> str:
    """Of an array of lines, those whose key is in the table, with what is said of the record, in JSON.

    `Refused` if that is unknown.
    """
    bound = {"lines": lines, "keys": keys}
    given = "unnest(CAST(:lines AS bigint[]), CAST(:keys AS text[])) AS s (line, key)"
    session.execute(BY_INDEX)
    if target.keys:
        known = f"JOIN {target.keys} k ON k.{target.dataset.key_column} = s.key"
        if session.scalars(text(f"SELECT EXISTS (SELECT FROM {given} {known})"), bound).one():
            raise Refused
        return "[]"
    statement = text(
        f"""SELECT CAST(coalesce(json_agg(json_build_array(s.line, {target.as_record})), '[]') AS text)
            FROM {given} JOIN {target.dataset.table} t
                ON t.{target.dataset.key_column} = s.key AND {target.is_present}"""
    )
    return str(session.scalars(statement, bound).one())
