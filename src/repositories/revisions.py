"""Which migrations the database has behind it, and which errors come of others than the code knows."""

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

# SQLSTATEs: what a statement names is not there, or is another thing; a plan that was kept no longer fits.
OF_THE_SCHEMA = ("42P01", "42P10", "42703", "42704", "42804", "42883", "0A000")


def present_revisions(session: Session) -> set[str]:
    """The last ones; none in a database that was never migrated."""
    if not session.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL")):
        return set()
    return set(session.scalars(text("SELECT version_num FROM alembic_version")))


def is_of_the_schema(error: BaseException | None) -> bool:
    """Whether another schema would explain it."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) in OF_THE_SCHEMA
