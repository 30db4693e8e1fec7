"""Materialized views: their refreshes, what they hold, and the statement that renews them."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import InstrumentedAttribute

from src.domain.errors import NotFound
from src.domain.paging import Page, PageQuery
from src.models import Job, ViewRefresh
from src.repositories.base import Repository

# What began and has no worker any more waits again: its job is tried again, or another one serves it.
RELEASE = text("""
    UPDATE view_refresh AS r SET started_at = NULL
    WHERE view = :view AND started_at IS NOT NULL AND finished_at IS NULL AND id <> :besides
        AND NOT EXISTS (SELECT FROM job WHERE job.id = r.job_id AND state = 'running'
            AND lease_until >= clock_timestamp())
""")
# One statement, one snapshot: figures of before a refresh never come with the time of after it.
STATISTICS = text("""
    SELECT s.currency, s.transactions, s.spent, s.gained, (
        SELECT max(started_at) FROM view_refresh
        WHERE view = 'transaction_statistics' AND finished_at IS NOT NULL AND error IS NULL) AS as_of
    FROM (VALUES (0)) AS always LEFT JOIN transaction_statistics s ON s.client_id = :client_id
    ORDER BY s.currency
""")
OVERVIEW = text("""
    SELECT name,
        (SELECT count(*) FROM view_refresh WHERE view = name AND started_at IS NULL) AS waiting,
        EXISTS (SELECT FROM view_refresh
            WHERE view = name AND started_at IS NOT NULL AND finished_at IS NULL) AS is_running,
        last.started_at AS as_of, last.finished_at AS refreshed_at, last.rows,
        extract(epoch FROM last.finished_at - last.started_at)::float8 AS duration,
        extract(epoch FROM clock_timestamp() - last.started_at)::float8 AS age,
        (SELECT error FROM view_refresh WHERE view = name AND finished_at IS NOT NULL
            ORDER BY finished_at DESC LIMIT 1) AS last_error
    FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS known (name, place)
    LEFT JOIN LATERAL (SELECT * FROM view_refresh WHERE view = name AND finished_at IS NOT NULL
        AND error IS NULL AND served_by IS NULL ORDER BY finished_at DESC LIMIT 1) AS last ON true
    ORDER BY place
""")


class ViewNotFound(NotFound):
    slug = "view-not-found"
    title = "There is no such view"


class CurrencyStatistics(NamedTuple):
    """What a client bought and sold in one currency."""

    currency: str
    transactions: int
    spent: Decimal
    gained: Decimal


class ViewRefreshRepository(Repository[ViewRefresh]):
    model = ViewRefresh
    orderings: ClassVar[dict[str, InstrumentedAttribute[Any]]] = {"id": ViewRefresh.id}

    def search(self, query: PageQuery, view: str) -> Page[ViewRefresh]:
        return self.page(query, ViewRefresh.view == view)

    def overview(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Each view with its last good refresh, and what waits or runs."""
        return [dict(row) for row in self.session.execute(OVERVIEW, {"names": list(names)}).mappings()]

    def lock(self, view: str) -> None:
        """Others who want to decide about the view wait until this is committed."""
        self.session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"view {view}"))))

    def find_of_job(self, job_id: UUID) -> ViewRefresh | None:
        return self.session.scalar(select(ViewRefresh).where(ViewRefresh.job_id == job_id))

    def find_queued(self, view: str) -> Job | None:
        """A job in line whose refresh has not begun: all that is committed now, it will see."""
        statement = (
            select(Job)
            .join(ViewRefresh, ViewRefresh.job_id == Job.id)
            .where(ViewRefresh.view == view, ViewRefresh.started_at.is_(None))
            .where(Job.state == "queued", Job.is_cancel_requested.is_(False))
        )
        return self.session.scalar(statement.order_by(Job.id).limit(1))

    def jobless(self) -> list[ViewRefresh]:
        """Requests that wait and have no job, because the queue was full."""
        statement = select(ViewRefresh).where(ViewRefresh.finished_at.is_(None), ViewRefresh.job_id.is_(None))
        return list(self.session.scalars(statement.with_for_update(skip_locked=True)))

    def release(self, view: str, *, besides: UUID) -> None:
        self.session.execute(RELEASE, {"view": view, "besides": besides})

    def is_running(self, view: str, *, besides: UUID) -> bool:
        running = select(ViewRefresh.id).where(
            ViewRefresh.view == view,
            ViewRefresh.started_at.is_not(None),
            ViewRefresh.finished_at.is_(None),
            ViewRefresh.id != besides,
        )
        return self.session.scalar(running.limit(1)) is not None

    def take_waiting(self, refresh: ViewRefresh) -> list[UUID]:
        """The other requests that are visible now; what they ask for is, too."""
        waiting = (ViewRefresh.view == refresh.view) & ViewRefresh.started_at.is_(None)
        statement = (
            update(ViewRefresh)
            .where(waiting, ViewRefresh.id != refresh.id)
            .values(served_by=refresh.id, started_at=refresh.started_at)
        )
        return list(self.session.scalars(statement.returning(ViewRefresh.id)))

    def renew(self, view: str) -> int:
        """Compute the view anew while others read it, and count its rows; the name is one of ours."""
        self.session.execute(text(f"REFRESH MATERIALIZED VIEW CONCURRENTLY {view}"))
        return int(self.session.scalars(text(f"SELECT count(*) FROM {view}")).one())

    def finish(self, ids: Sequence[UUID], *, rows: int | None = None, error: str | None = None) -> None:
        values = {"finished_at": func.clock_timestamp(), "rows": rows, "error": error}
        self.session.execute(update(ViewRefresh).where(ViewRefresh.id.in_(ids)).values(**values))

    def statistics_of(self, client_id: int) -> tuple[list[CurrencyStatistics], datetime | None]:
        """By currency; and the moment that they are true for."""
        found = self.session.execute(STATISTICS, {"client_id": client_id}).all()
        return [CurrencyStatistics(*row[:4]) for row in found if row.currency], found[0].as_of
