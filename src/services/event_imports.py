"""Events of a file: appended in its order, in short transactions, each line settled once."""

import time
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from sqlalchemy.orm import Session

from src.database import Database
from src.domain.errors import DomainError
from src.domain.events import EventsBusy, NewEvent, TimestampInTheFuture, UnknownClient
from src.engine.sandbox import Stopped
from src.models import Import
from src.repositories.event_imports import EventImportRepository, Refusal, StagedEvent
from src.services.event_intake import FREE_TRIES, TRIES
from src.services.events import EventMemory, EventService, Overtaken, tell
from src.services.load_results import Staged
from src.services.sources import Source
from src.transactions import InSession

CHUNK = 1_000
SLOW_SECONDS = 2.0  # the import's own transaction rests meanwhile, and the server ends what rests too long


class _NotYet(Exception):
    """It was a rehearsal."""


class AppendingService:
    """Works on what the import's own transaction has staged; what it appends is committed at once."""

    def __init__(self, session: Session, database: Database, memory: EventMemory) -> None:
        self.session = session
        self.staged = EventImportRepository(session)
        self.database = database
        self.memory = memory

    def run(self, imported: Import, loading: Staged, source: Source) -> None:
        """Append what is staged; a dry run only tells. Limits of errors count before the first line."""
        began = time.monotonic()
        is_limited = imported.max_errors is not None or imported.max_error_rate is not None
        is_limited = is_limited or imported.on_error == "reject_file"
        is_begun = self.staged.settled(imported.id) > 0
        if loading.error is None and (imported.is_dry_run or (is_limited and not is_begun)):
            self._rehearse(imported, loading)
        if loading.error is None and not imported.is_dry_run:
            self._append(imported, loading, source)
        loading.seconds["write"] = time.monotonic() - began

    def _rehearse(self, imported: Import, loading: Staged) -> None:
        """Find the rows that would be refused now; forget them, unless they are too many, or all one asks."""
        with suppress(_NotYet), self.session.begin_nested():
            loading.staging.reject_unknown()
            loading.staging.refused.compare("insert")
            self.staged.note_not_rising(self.memory.ordering)
            loading.note_faults(imported)
            if loading.error is None and not imported.is_dry_run:
                raise _NotYet
        if imported.is_dry_run and loading.error is None:
            loading.counts.inserted = loading.counts.rows_read - loading.counts.refused

    def _append(self, imported: Import, loading: Staged, source: Source) -> None:
        """Settle every staged row behind the last settled line. What is stored stays, whatever is refused."""
        line, total = self.staged.settled(imported.id), loading.loaded.rows_good
        done, size = sum(self.staged.totals(imported.id)), CHUNK
        while rows := self.staged.staged(line, size):
            if source.should_stop():
                raise Stopped
            began = time.monotonic()
            self._settle(imported.id, line + 1, rows)
            size = next_size(size, time.monotonic() - began)
            line, done = rows[-1].line, done + len(rows)
            source.on_progress(done, total, "events")
        self.staged.note_refused(imported.id)
        loading.staging.refused.compare("insert")
        loading.note_faults(imported)
        loading.error = None
        loading.counts.inserted = self.staged.totals(imported.id)[0]
        loading.counts.check()

    def _settle(self, import_id: UUID, first_line: int, rows: Sequence[StagedEvent]) -> None:
        """One stretch, with its entry in the ledger; tried anew when others were quicker."""
        events = [NewEvent(row.type, row.amount, row.client, row.t, row.client) for row in rows]
        for attempt in range(TRIES):
            try:
                with self.database.unit_of_work() as session:
                    service = EventService(InSession(session), self.memory)
                    outcomes = service.append(events, import_id=import_id, is_held=attempt >= FREE_TRIES)
                    refused = [
                        _refusal(row, outcome)
                        for row, outcome in zip(rows, outcomes, strict=True)
                        if isinstance(outcome, DomainError)
                    ]
                    ledger = EventImportRepository(session)
                    lines = (first_line, rows[-1].line)
                    ledger.settle(import_id, lines, len(rows) - len(refused), refused)
            except Overtaken:
                continue
            service.remember()
            tell(outcomes)
            return
        raise EventsBusy("Others write the same moments just now; it is tried again.")


def next_size(size: int, seconds: float) -> int:
    """How many lines to settle at once, when so many took so long."""
    return max(size // 2, 1) if seconds > SLOW_SECONDS else min(size * 2, CHUNK)


def _refusal(row: StagedEvent, outcome: DomainError) -> Refusal:
    if isinstance(outcome, UnknownClient):
        return row.line, "user_id", "unknown_client", row.client, ""
    code = "out_of_range" if isinstance(outcome, TimestampInTheFuture) else "not_rising"
    return row.line, "t", code, str(row.t), outcome.detail
