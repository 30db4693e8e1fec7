"""Checked rows into their table: as a COPY stream, or from the staging table where that is refused."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy.orm import Session

from src.engine.imports.writing import RowPlan, TargetColumn, write_rows
from src.models import Import
from src.repositories import bulk
from src.repositories.landing import Landed, Landing, Refused
from src.repositories.staging import Staging
from src.services.imports import rows_belong_to
from src.services.sources import Source

WORTH_A_PROCESS = 50_000  # rows
MOST_NAMES = 1_000_000  # their ids are in the memory of one process


def land_rows(session: Session, imported: Import, staging: Staging, source: Source, names: int) -> Landed:
    """Write all that is staged, which points to so many names; in bulk, while the indexes are set aside."""
    landing = Landing(
        session,
        staging,
        rows_belong_to(imported),
        changed_by=imported.id,
        is_upsert=imported.mode == "upsert",
    )
    with _way(session, imported, staging):
        rows = staging.count()
        if source.spool.exists() and rows >= WORTH_A_PROCESS and names <= MOST_NAMES:
            with suppress(Refused):  # which row it was, the staging table tells
                _copy(landing, source, rows)
                return Landed(inserted=rows)
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


def _copy(landing: Landing, source: Source, rows: int) -> None:
    """Write the spooled rows but the faulty ones, with ids in place of names, and what is counted of them."""
    left_out, folder = source.folder / "left-out", source.folder
    landing.staging.save_faulty_lines(left_out)
    plan = _row_plan(landing, folder)
    with landing.receive([column.name for column in plan.columns], rows, counted=folder) as write:
        write_rows(
            source.spool,
            plan,
            left_out=left_out,
            folded=folder,
            rows=rows,
            import_id=landing.import_id,
            on_block=write,
            work_dir=folder,
            on_progress=source.on_progress,
            should_stop=source.should_stop,
            limits=source.limits,
        )


def _row_plan(landing: Landing, folder: Path) -> RowPlan:
    """How the spooled columns become those of the table; the ids of names go to files."""
    staging, target = landing.staging, landing.target
    types, columns = landing.column_types(), []
    for place, field in enumerate(staging.fields):
        name, ids = target.column(field), None
        if field.reference:
            ids = folder / f"ids-{place}.csv"
            staging.save_ids(field, field.reference, ids)
        columns.append(
            TargetColumn(
                name=name, place=place, default=field.default, ids=str(ids) if ids else None, type=types[name]
            )
        )
    fields = [field.name for field in staging.fields]
    order = target.dataset.order_by
    return RowPlan(
        columns=tuple(columns),
        order=fields.index(order) if order in fields else None,
        folds=target.dataset.folds,
    )
