"""The bulk way into a table: its indexes are dropped, and made again from all rows before the commit."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.orm import Session

from src.repositories.made_names import MAY_SILENCE

ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('bulk ' || :table, 0))")
MEMORY = text("SET LOCAL maintenance_work_mem = '256MB'")
# Those of constraints stay: other tables point to the primary key, and it costs little where ids only grow.
INDEXES = text(
    """SELECT format('DROP INDEX %s', i.indexrelid::regclass),
        replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
    FROM pg_index i WHERE i.indrelid = CAST(:table AS regclass)
        AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
    ORDER BY i.indexrelid"""
)
FOREIGN_KEYS = text(
    """SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::regclass, c.conname),
        format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.conrelid::regclass, c.conname,
            pg_get_constraintdef(c.oid))
    FROM pg_constraint c
    WHERE c.conrelid = CAST(:table AS regclass) AND c.contype = 'f' AND c.conparentid = 0 ORDER BY c.oid"""
)


def take_turns(session: Session, table: str) -> None:
    """Wait for other bulk imports into the table: two that both have read it could not both lock it."""
    for limit in ("statement_timeout", "lock_timeout"):
        session.execute(text(f"SET LOCAL {limit} = 0"))  # the other one may take as long as it takes
    session.execute(ONE_AT_A_TIME, {"table": table})


def lock(session: Session, table: str) -> None:
    """From here to the commit nobody else reads or writes the table."""
    session.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))


@contextmanager
def indexes_set_aside(session: Session, table: str) -> Iterator[None]:
    """A failure anywhere leaves all as it was: dropping and making are part of the transaction.

    Foreign keys go the same way where the role may not silence them; then the tables that they point to
    are locked, too.
    """
    found = list(session.execute(INDEXES, {"table": table}))
    if not session.scalars(MAY_SILENCE).one():
        found += session.execute(FOREIGN_KEYS, {"table": table})
    for drop, _ in found:
        session.execute(text(drop))
    yield
    session.execute(MEMORY)
    for _, make in found:
        session.execute(text(make.replace(":", "\\:")))
