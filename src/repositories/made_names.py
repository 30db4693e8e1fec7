"""Angels, polos and clients that imports make because rows name them; those that nothing uses go again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from src.domain.datasets import Reference
from src.repositories.targets import TARGETS, made_on_the_way

MAY_SILENCE = text("SELECT has_parameter_privilege('session_replication_role', 'SET')")
HELD = "CREATE TEMP TABLE IF NOT EXISTS held_name (kind text, id bigint) ON COMMIT DROP"
# Every foreign key to the table, whatever it belongs to, and whether its rows know their import.
USERS = text(
    """SELECT c.conrelid::regclass::text AS place, a.attname AS column, EXISTS (SELECT FROM pg_attribute
        WHERE attrelid = c.conrelid AND attname = 'import_id' AND NOT attisdropped) AS has_import
    FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    WHERE c.contype = 'f' AND c.conparentid = 0 AND c.confrelid = CAST(:table AS regclass) ORDER BY 1, 2"""
)
# The datasets whose rows imports change, by table: what these rows were before is put back by an undo.
CHANGED = {t.dataset.table: t.dataset.name for t in TARGETS.values() if "upsert" in t.dataset.modes}
OTHERS = "u.import_id IS DISTINCT FROM :rows_of"
NOT_CHANGED = "NOT EXISTS (SELECT FROM import_change c WHERE c.import_id = ANY (:makers) AND c.row_id = u.id)"


def make_names(session: Session, reference: Reference, names: Sequence[str], import_id: UUID) -> None:
    """Make what rows name and what is not there, noting which import it was for.

    In one order, whoever makes it; what others make meanwhile is as good. A text is an array in SQL.
    """
    statement = text(
        f"""INSERT INTO {reference.table} ({reference.column}, import_id)
            SELECT n.given, :import_id FROM unnest(CAST(:names AS text[])) AS n (given)
            WHERE NOT EXISTS (SELECT FROM {reference.table} r WHERE r.{reference.column} = n.given)
            ORDER BY n.given ON CONFLICT ({reference.column}) DO NOTHING"""
    )
    session.execute(statement, {"names": names, "import_id": import_id})


def makers_in_vain(session: Session) -> list[UUID]:
    """Imports that made names ahead, and then came to nothing."""
    made = " UNION ".join(f"SELECT import_id FROM {table}" for table in made_on_the_way())
    statement = text(
        f"""SELECT i.id FROM ({made}) AS made JOIN import i ON i.id = made.import_id
            LEFT JOIN job ON job.id = i.job_id
            WHERE i.committed_at IS NULL AND coalesce(job.state, '') NOT IN ('queued', 'running')"""
    )
    return list(session.scalars(statement))


def remove_unused_names(session: Session, import_id: UUID) -> dict[str, int]:
    """Names that were made on an import's way and that nothing uses; how many of each."""
    hold_names(session, [import_id], rows_of=import_id)
    return remove_held_names(session)


def hold_names(session: Session, makers: Sequence[UUID], *, rows_of: UUID) -> None:
    """Lock the names that an import and its corrections made and only rows use that they made or changed.

    Before the rollups, in the order in which imports lock them. One that somebody holds is about to be
    used, and stays.
    """
    begin_holding(session)
    for table in made_on_the_way():
        untouched = "AND t.version = 1" if table == "client" else ""
        session.execute(
            text(
                f"""INSERT INTO held_name SELECT '{table}', t.id FROM {table} t
                    WHERE t.import_id = ANY (:makers) {untouched} AND {_unused_by_others(session, table)}
                    ORDER BY t.id FOR UPDATE OF t SKIP LOCKED"""
            ),
            {"makers": list(makers), "rows_of": rows_of},
        )
    session.execute(text("ANALYZE held_name"))


def begin_holding(session: Session) -> None:
    """No name is held."""
    session.execute(text(HELD))
    session.execute(text("TRUNCATE held_name"))


def hold_given(session: Session, table: str, import_id: UUID) -> int:
    """Lock names that the import has made, of those whose ids are in `given_id`; how many."""
    held = session.execute(
        text(
            f"""INSERT INTO held_name SELECT '{table}', id FROM {table} WHERE import_id = :import_id
                AND id IN (SELECT id FROM given_id) ORDER BY id FOR UPDATE SKIP LOCKED"""
        ),
        {"import_id": import_id},
    )
    return int(held.rowcount)  # type: ignore[attr-defined]  # a result


def remove_held_names(session: Session) -> dict[str, int]:
    """Remove the held names that nothing uses; how many of each.

    Whoever would point to one waits for its lock and then fails, so that one look at all of them together
    is as safe as the foreign keys' look at each, which would read a whole table for every angel.
    """
    removed: dict[str, int] = {}
    for table in made_on_the_way():
        statement = text(
            f"""DELETE FROM {table} t USING held_name h
                WHERE h.kind = '{table}' AND h.id = t.id AND {unused(session, table)}"""
        )
        with foreign_keys_silenced(session):
            count = session.execute(statement).rowcount  # type: ignore[attr-defined]  # a result
        if count:
            removed[table] = count
    return removed


def unused(session: Session, table: str) -> str:
    """A condition on the row `t` of a table: no row points to it, or would after an undo of an import."""
    conditions = ["true"]
    for user, column, _ in session.execute(USERS, {"table": table}):
        conditions.append(f"NOT EXISTS (SELECT FROM {user} u WHERE u.{column} = t.id)")
        if user in CHANGED:
            conditions.append(
                "NOT EXISTS (SELECT FROM import_change c JOIN import i ON i.id = c.import_id "
                f"WHERE i.dataset = '{CHANGED[user]}' AND CAST(c.before ->> '{column}' AS bigint) = t.id)"
            )
    return " AND ".join(conditions)


def _unused_by_others(session: Session, table: str) -> str:
    """The same, but for the rows of `rows_of`, and those that `makers` changed."""
    conditions = ["true"]
    for user, column, has_import in session.execute(USERS, {"table": table}):
        is_other = [OTHERS] * has_import + [NOT_CHANGED] * (user in CHANGED)
        conditions.append(
            f"NOT EXISTS ({' AND '.join([f'SELECT FROM {user} u WHERE u.{column} = t.id', *is_other])})"
        )
    return " AND ".join(conditions)


@contextmanager
def foreign_keys_silenced(session: Session) -> Iterator[None]:
    """No look at each row, where the role may do that; the caller has seen to it for all of them."""
    is_silent = session.scalars(MAY_SILENCE).one()
    if is_silent:
        session.execute(text("SET LOCAL session_replication_role = replica"))
    yield
    if is_silent:
        session.execute(text("SET LOCAL session_replication_role = origin"))
