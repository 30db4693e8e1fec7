"""What the database is asked while a file is copied: ids of new names, and keys that are there already."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager

from src.database import Database
from src.engine.imports.loading import Loaded, LoadPlan
from src.engine.imports.writing import Block, Known, Lead, Orders, Written, keep_rows, unused_path, used_path
from src.engine.sandbox import Stopped
from src.models import Import
from src.repositories.copying import Copy, Refused, fresh_ids, ids_of, lines_there
from src.repositories.targets import TARGETS
from src.services.load_results import NamesGone
from src.services.sources import Source


class Asking:
    """The thread between the two children."""

    def __init__(
        self, database: Database, imported: Import, plan: LoadPlan, source: Source, *, is_empty: bool
    ) -> None:
        self._database, self._imported, self._plan, self._source = database, imported, plan, source
        self._target = TARGETS[imported.dataset]
        self._key = None if is_empty else place_of(plan, self._target.dataset.key)
        fields = enumerate(column.field for column in plan.columns)
        self._references = {place: field.reference for place, field in fields if field.reference}
        has_unmade = any(not reference.is_made for reference in self._references.values())
        self.is_comparing = self._key is not None or has_unmade
        self._reading: Future[Loaded] = Future()
        self._is_off = False
        self.orders = Orders(source.folder)
        self.lead = Lead()

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Read and ask, while the caller writes; whoever fails first says why both have."""
        with closing(self.lead), ThreadPoolExecutor(1, "reading") as threads:
            self._reading = threads.submit(self._run)
            try:
                yield
            except BaseException as failure:
                self._is_off = True  # whatever it is: the pool waits for its thread
                if isinstance(failure, Exception):
                    self._raise_its_reason()
                raise
            self._reading.result()

    @property
    def loaded(self) -> Loaded:
        return self._reading.result()

    def should_stop(self) -> bool:
        has_failed = self._reading.done() and self._reading.exception() is not None
        return has_failed or self._source.should_stop()

    def note_written(self, rows: int) -> None:
        """While the file is read, that is the progress."""
        if self._reading.done():
            self._source.on_progress(rows, self.loaded.rows_good, "rows")

    def hold(self, copy: Copy, written: Written) -> None:
        """Lock what rows point to, as their foreign keys would have; take away what was made for others."""
        for place, reference in self._references.items():
            if not copy.hold(reference, used_path(self._source.folder, place)):
                raise NamesGone("The import is tried again.")
        if written.unused:
            unused = {
                reference.table: unused_path(self._source.folder, place)
                for place, reference in self._references.items()
            }
            copy.remove_in_vain(unused, self._imported.id)

    def _raise_its_reason(self) -> None:
        """When the reading has failed, or was stopped, it is why the writing could not go on."""
        error = self._reading.exception()
        if error and not isinstance(error, Stopped):
            raise error from None
        if self._source.should_stop():
            raise Stopped from None

    def _run(self) -> Loaded:
        is_whole = False
        try:
            loaded = self._read()
            self._source.prove()  # also where there was nothing to ask
            is_whole = loaded.is_whole
        finally:
            self.orders.end(is_whole=is_whole)
        if not is_whole:
            raise Refused  # more names than fit into the memory
        return loaded

    def _read(self) -> Loaded:
        return keep_rows(
            self._source.path,
            self._plan,
            folder=self._source.folder,
            faults=self._source.faults,
            refused=self._source.refused,
            key=self._key,
            lead=self.lead,
            on_block=self._ask,
            on_progress=self._source.on_progress,
            should_stop=lambda: self._is_off or self._source.should_stop(),
            limits=self._source.limits,
        )

    def _ask(self, block: Block) -> None:
        self._source.prove()
        there = "[]"
        with self._database.unit_of_work() as ahead:
            fresh = fresh_ids(ahead, self._target.dataset.table, block.rows)
            if self._key is not None:
                there = lines_there(ahead, self._target, block.lines, block.keys)
        ids, unknown = {}, {}
        for place, names in block.names.items():
            reference = self._references[int(place)]
            with self._database.unit_of_work() as ahead:
                found = ids_of(ahead, reference, names, self._imported.id)
            if reference.is_made and found.has_unknown:
                raise NamesGone("The import is tried again.")
            ids[place], unknown[place] = found.ids, found.unknown
        self.orders.tell(block.block, Known(ids=ids, unknown=unknown, there=there, fresh=fresh))


def place_of(plan: LoadPlan, name: str | None) -> int | None:
    """Which of the columns that are read feeds the field."""
    names = [column.field.name for column in plan.columns]
    return names.index(name) if name in names else None
