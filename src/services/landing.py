"""Staged rows into their table, in bulk while its indexes are set aside."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from src.models import Import
from src.repositories import bulk
from src.repositories.landing import Landed, Landing
from src.repositories.staging import Staging
from src.services.imports import rows_belong_to


def land_rows(session: Session, imported: Import, staging: Staging) -> Landed:
    """Write all that is staged."""
    landing = Landing(
        session,
        staging,
        rows_belong_to(imported),
        changed_by=imported.id,
        is_upsert=imported.mode == "upsert",
    )
    with _way(session, imported, staging):
        return landing.run()


@contextmanager
def _way(session: Session, imported: Import, staging: Staging) -> Iterator[None]:
    """In bulk, the table is locked, looked at once more, and without indexes while it is written."""
    if not imported.is_bulk or imported.is_dry_run:
        yield
        return
    table = staging.target.dataset.table
    bulk.lock(session, table)
    staging.check("insert")
    with bulk.indexes_set_aside(session, table):
        yield
