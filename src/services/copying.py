"""A file copied into its table while it is read; what must be asked and counted goes on beside.

A child reads the file and keeps its good rows in blocks. A thread hears of each block, and asks the database,
on a connection of its own, for the ids of new names and for keys that are there already. A second child makes
pieces of the blocks of which that is known, each a COPY stream, and the job's own connection takes them.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.orm import Session

from src.database import Database
from src.domain.datasets import DATASETS
from src.engine.imports.loading import LoadPlan
from src.engine.imports.writing import (
    Piece,
    RowPlan,
    TargetColumn,
    Written,
    piece_path,
    write_rows,
)
from src.models import Import
from src.repositories import bulk
from src.repositories.copying import Copy, Refused
from src.repositories.staging import be_patient
from src.repositories.targets import TARGETS
from src.services.asking import Asking, place_of
from src.services.load_results import Loading, Timed, collect_rejects, staging_of
from src.services.sources import Source

WORTH_IT = 512 * 1024  # bytes of a file: two processes are started for it


@dataclass(kw_only=True)
class Copied(Loading):
    """Rows that are in the table; the rollups don't know of them yet."""

    copy: Copy
    rejects: Path | None = None  # the rows that are not there


class CopyingService:
    def __init__(self, session: Session, database: Database) -> None:
        self.session = session
        self.database = database  # what others may see at once is committed ahead

    def run(self, imported: Import, plan: LoadPlan, source: Source) -> Copied | None:
        """Copy the file, if that is a way for it; otherwise nothing of it is there, and it must be staged."""
        if not _is_a_way(imported, source):
            return None
        be_patient(self.session)
        copy = Copy(self.session, TARGETS[imported.dataset])
        try:
            with self.session.begin_nested():
                if imported.is_bulk:
                    self._lock(copy)
                return self._copied(imported, plan, source, copy)
        except Refused:
            return None

    def count(self, copied: Copied) -> None:
        """Add the rows to the rollups. Others wait from here to the end of the job: call it last."""
        with Timed(copied, "rollups"):
            copied.copy.count()
        copied.counts.check()

    def _lock(self, copy: Copy) -> None:
        """In bulk, only a table that is empty is copied to: without an index, no key can be looked up."""
        bulk.take_turns(self.session, copy.target.dataset.table)
        bulk.lock(self.session, copy.target.dataset.table)
        if not copy.is_empty():
            raise Refused

    def _copied(self, imported: Import, plan: LoadPlan, source: Source, copy: Copy) -> Copied:
        clock, is_first = _Clock(), copy.is_empty()
        asking = Asking(self.database, imported, plan, source, is_empty=is_first)
        with asking.beside(), self._indexes(imported, copy, clock):
            written = self._write(imported, plan, source, copy, asking)
            clock.note("copy")
            asking.hold(copy, written)
            clock.note("hold")
            copy.receive_counts(source.folder, is_first=is_first)
            clock.note("count")
        copied = _account(asking, written, copy)
        found = [source.faults] if copied.loaded.rows_rejected else []
        if found and asking.is_comparing and self._compare(imported, plan, source, copied):
            found.append(source.compared)
        if written.summary:
            found.append(source.found)
        copied.rejects = source.faults if found == [source.faults] else None  # it has the cells of its rows
        if found and copied.rejects is None:
            copied.rejects = collect_rejects(plan, copied.loaded.encoding, source, *found)
        clock.note("rejects")
        copied.seconds = clock.seconds
        return copied

    def _compare(self, imported: Import, plan: LoadPlan, source: Source, copied: Copied) -> bool:
        """Tell what the tables say against rows that the reading has refused; whether there is anything."""
        target = copied.copy.target
        others = f"{target.is_present} AND t.import_id IS DISTINCT FROM '{imported.id}'"
        staging = staging_of(self.session, replace(target, is_present=others), imported, plan)
        staging.make_tables()
        staging.refused.receive(source.refused)
        staging.refused.compare("insert")
        found = staging.faults()
        copied.note_summary(found)
        staging.write_faults(source.compared)
        return bool(found)

    @contextmanager
    def _indexes(self, imported: Import, copy: Copy, clock: "_Clock") -> Iterator[None]:
        """In bulk, they are made when all rows are there."""
        if not imported.is_bulk:
            yield
            return
        with bulk.indexes_set_aside(self.session, copy.target.dataset.table):
            yield
        clock.note("indexes")

    def _write(
        self, imported: Import, plan: LoadPlan, source: Source, copy: Copy, asking: "Asking"
    ) -> Written:
        row_plan = _row_plan(plan, copy)
        columns = [column.name for column in row_plan.columns]

        def take(piece: Piece) -> None:
            path = piece_path(source.folder, piece.number)
            if piece.part is None:
                copy.take_keys(path)
            else:
                copy.take(path, columns, piece.part)
                asking.note_written(copy.rows)
            path.unlink()

        with copy.begun():
            written = write_rows(
                plan,
                row_plan,
                folder=source.folder,
                faults=source.found,
                orders=asking.orders,
                import_id=imported.id,
                on_piece=take,
                on_block_end=asking.lead.give,
                should_stop=asking.should_stop,
                limits=source.limits,
            )
        if copy.rows != written.rows:
            raise RuntimeError(f"{written.rows} rows were sent, {copy.rows} came")
        return written


class _Clock:
    """Where the time goes, part by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def note(self, part: str) -> None:
        now = time.monotonic()
        self.seconds[part], self._last = now - self._last, now


def _is_a_way(imported: Import, source: Source) -> bool:
    """Rows are written before all is known of the file: not where a bad one may undo them all."""
    dataset = DATASETS[imported.dataset]
    may_fail = (
        imported.on_error == "reject_file"
        or imported.max_errors is not None
        or imported.max_error_rate is not None
    )
    is_plain = imported.mode == "insert" and not imported.is_dry_run and imported.parent_id is None
    is_plain = is_plain and not dataset.is_appended and not dataset.unique
    return is_plain and not may_fail and source.path.stat().st_size >= WORTH_IT


def _row_plan(plan: LoadPlan, copy: Copy) -> RowPlan:
    """How the columns that were read become those of the table."""
    target, types, columns = copy.target, copy.column_types(), []
    for field in (column.field for column in plan.columns):
        name, reference = target.column(field), field.reference
        columns.append(
            TargetColumn(
                name=name,
                default=field.default,
                type=types[name] if reference else None,
                code=reference.code if reference else "",
            )
        )
    order, key = place_of(plan, target.dataset.order_by), place_of(plan, target.dataset.key)
    return RowPlan(
        columns=tuple(columns),
        order=order,
        key=key,
        folds=target.dataset.folds,
        begins=tuple(part.begin for part in copy.parts if part.begin is not None),
        has_keys=bool(target.keys),
    )


def _account(asking: Asking, written: Written, copy: Copy) -> Copied:
    """Every row that was read, in one of the counts."""
    copied = Copied(loaded=asking.loaded, copy=copy, summary=asking.loaded.own_summary)
    found = [(column, code, n) for column, codes in written.summary.items() for code, n in codes.items()]
    copied.note_summary(found)
    counts = copied.counts
    counts.rows_read, counts.inserted = asking.loaded.rows_read, written.rows
    counts.duplicate = written.duplicate
    counts.rejected = asking.loaded.rows_rejected + written.rejected
    return copied
