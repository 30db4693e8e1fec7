"""A file copied into its table while it is read; what must be asked and counted goes on beside.

A child reads the file and keeps its good rows in blocks. A thread hears of each block, and asks the database,
on a connection of its own, for the ids of new names and for keys that are there already. A second child makes
a COPY stream of the blocks of which that is known, and the job's own connection takes it.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from src.database import Database
from src.domain.datasets import DATASETS
from src.domain.rejects import DUPLICATES
from src.engine.imports.loading import Loaded, LoadPlan
from src.engine.imports.writing import (
    Block,
    Known,
    Orders,
    RowPlan,
    TargetColumn,
    Written,
    keep_rows,
    write_rows,
)
from src.engine.sandbox import Stopped
from src.models import Import
from src.repositories import bulk
from src.repositories.copying import Copy, Refused, ids_of, lines_there
from src.repositories.made_names import remove_in_vain
from src.repositories.staging import be_patient
from src.repositories.targets import TARGETS
from src.services.loadings import Loading, NamesGone, Timed, collect_rejects
from src.services.sources import Source

WORTH_IT = 512 * 1024  # bytes of a file: two processes are started for it


@dataclass(kw_only=True)
class Copied(Loading):
    """Rows that are in the table; the rollups don't know of them yet."""

    copy: Copy
    rejects: Path | None  # the rows that are not there


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
        clock = _Clock()
        asking = _Asking(self.database, imported, plan, source, is_empty=copy.is_empty())
        with asking.beside(), self._indexes(imported, copy, clock):
            written = self._write(imported, plan, source, copy, asking)
            clock.note("copy")
            asking.hold(copy, written)
            if vain := asking.in_vain(written):
                remove_in_vain(self.session, vain, imported.id)
            clock.note("hold")
            copy.receive_counts(source.folder)
            clock.note("count")
        copied = _account(asking, written, copy)
        if written.rejected:
            copied.rejects = collect_rejects(
                plan, copied.loaded.encoding, source, source.faults, source.found
            )
        clock.note("rejects")
        copied.seconds = clock.seconds
        return copied

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
        self, imported: Import, plan: LoadPlan, source: Source, copy: Copy, asking: "_Asking"
    ) -> Written:
        row_plan = _row_plan(plan, copy)
        with copy.receive([column.name for column in row_plan.columns]) as write:
            written = write_rows(
                plan,
                row_plan,
                folder=source.folder,
                faults=source.found,
                orders=asking.orders,
                import_id=imported.id,
                on_block=write,
                on_progress=asking.note_written,
                should_stop=asking.should_stop,
                limits=source.limits,
            )
        if copy.rows != written.rows:
            raise RuntimeError(f"{written.rows} rows were sent, {copy.rows} came")
        return written


class _Asking:
    """The thread between the two children."""

    def __init__(
        self, database: Database, imported: Import, plan: LoadPlan, source: Source, *, is_empty: bool
    ) -> None:
        self._database, self._imported, self._plan, self._source = database, imported, plan, source
        self._target = TARGETS[imported.dataset]
        self._key = None if is_empty else _place(plan, self._target.dataset.key)
        fields = enumerate(column.field for column in plan.columns)
        self._references = {place: field.reference for place, field in fields if field.reference}
        self._ids: dict[int, list[int]] = {place: [] for place in self._references}
        self._reading: Future[Loaded] = Future()
        self._is_off = False
        self.orders = Orders(source.folder)
        self.rejects: Path | None = None

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Read and ask, while the caller writes; whoever fails first says why both have."""
        with ThreadPoolExecutor(1, "reading") as threads:
            self._reading = threads.submit(self._run)
            try:
                yield
            except Exception:
                self._is_off = True
                error = self._reading.exception()
                if error and not isinstance(error, Stopped):
                    raise error from None
                if self._source.should_stop():
                    raise Stopped from None
                raise
            self._reading.result()

    @property
    def loaded(self) -> Loaded:
        return self._reading.result()

    def should_stop(self) -> bool:
        has_failed = self._reading.done() and self._reading.exception() is not None
        return has_failed or self._source.should_stop()

    def note_written(self, done: int, total: int, unit: str) -> None:
        """While the file is read, that is the progress."""
        if self._reading.done():
            self._source.on_progress(done, max(total, self.loaded.rows_good), unit)

    def hold(self, copy: Copy, written: Written) -> None:
        """Lock what rows point to, as their foreign keys would have."""
        for place, ids in sorted(self._ids.items()):
            unused = set(written.unused[str(place)])
            if not copy.hold(self._references[place], [id_ for id_ in ids if id_ not in unused]):
                raise NamesGone("The import is tried again.")

    def in_vain(self, written: Written) -> dict[str, list[int]]:
        """What may have been made for rows that were not written, by table."""
        unused = {reference.table: written.unused[str(n)] for n, reference in self._references.items()}
        return {table: ids for table, ids in unused.items() if ids}

    def _run(self) -> Loaded:
        is_whole = False
        try:
            loaded = self._read()
            is_whole = loaded.is_whole
        finally:
            self.orders.end(is_whole=is_whole)
        if not is_whole:
            raise Refused  # more names than fit into the memory
        if loaded.rows_rejected:  # while the rest is written
            self.rejects = collect_rejects(self._plan, loaded.encoding, self._source, self._source.faults)
        return loaded

    def _read(self) -> Loaded:
        return keep_rows(
            self._source.path,
            self._plan,
            folder=self._source.folder,
            faults=self._source.faults,
            key=self._key,
            on_block=self._ask,
            on_progress=self._source.on_progress,
            should_stop=lambda: self._is_off or self._source.should_stop(),
            limits=self._source.limits,
        )

    def _ask(self, block: Block) -> None:
        there: list[tuple[int, str]] = []
        if self._key is not None:
            with self._database.unit_of_work() as ahead:
                there = lines_there(ahead, self._target, block.lines, block.keys)
        ids: dict[str, list[int | None]] = {}
        unknown: dict[str, dict[str, str]] = {}
        for place, names in block.names.items():
            reference = self._references[int(place)]
            with self._database.unit_of_work() as ahead:
                found = ids_of(ahead, reference, names, self._imported.id)
            if reference.is_made and None in found:
                raise NamesGone("The import is tried again.")
            ids[place] = found
            unknown[place] = {str(n): name for n, name in enumerate(names) if found[n] is None}
            self._ids[int(place)].extend(id_ for id_ in found if id_ is not None)
        self.orders.tell(block.block, Known(ids=ids, unknown=unknown, there=there))


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


def _place(plan: LoadPlan, name: str | None) -> int | None:
    names = [column.field.name for column in plan.columns]
    return names.index(name) if name in names else None


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
    order, key = _place(plan, target.dataset.order_by), _place(plan, target.dataset.key)
    return RowPlan(columns=tuple(columns), order=order, key=key, folds=target.dataset.folds)


def _account(asking: _Asking, written: Written, copy: Copy) -> Copied:
    """Every row that was read, in one of the counts."""
    copied = Copied(loaded=asking.loaded, copy=copy, rejects=asking.rejects)
    found = [(column, code, n) for column, codes in written.summary.items() for code, n in codes.items()]
    copied.note_summary(found)
    counts = copied.counts
    counts.rows_read, counts.inserted = asking.loaded.rows_read, written.rows
    counts.duplicate = sum(count for _, code, count in found if code in DUPLICATES)
    counts.rejected = asking.loaded.rows_rejected + written.rejected - counts.duplicate
    return copied
