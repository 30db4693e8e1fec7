"""The outbox: what is promised, due, on its way or stuck; and the secrets of webhooks."""

from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session, aliased

from src.domain.deliveries import MOST_ITEMS, DeliveryState
from src.domain.errors import NotFound
from src.domain.jobs import UNFINISHED
from src.domain.paging import Page, PageQuery
from src.models import Account, Delivery, Job, WebhookSecret
from src.repositories.owned import OwnedRepository


class DeliveryNotFound(NotFound):
    slug = "delivery-not-found"
    title = "There is no such delivery, or it is not yours"


class DeliveryRepository(OwnedRepository[Delivery]):
    model = Delivery
    orderings: ClassVar = {"id": Delivery.id, "created_at": Delivery.created_at}
    missing = DeliveryNotFound

    def search(
        self, query: PageQuery, *, owner_id: UUID | None, state: str | None, job_id: UUID | None
    ) -> Page[Delivery]:
        return self.own_page(query, owner_id, {Delivery.state: state, Delivery.job_id: job_id})

    def announce(self) -> None:
        """Wake the schedulers when this commits."""
        self.session.execute(text("SELECT pg_notify('job', '')"))

    def take_turn(self) -> bool:
        """Whether nobody else looks after the outbox just now; ours until the transaction ends."""
        mine = func.pg_try_advisory_xact_lock(func.hashtext("outbox"))
        return bool(self.session.scalar(select(mine)))

    def kept_promises(self, limit: int) -> list[tuple[Delivery, Job]]:
        """What was promised for the end of a job that is over."""
        is_over = (Delivery.state == DeliveryState.PROMISED) & Job.state.not_in(UNFINISHED)
        statement = select(Delivery, Job).join(Job, Job.id == Delivery.job_id).where(is_over)
        rows = self.session.execute(statement.limit(limit).with_for_update(of=Delivery, skip_locked=True))
        return [(delivery, job) for delivery, job in rows]

    def stuck(self, limit: int) -> list[Delivery]:
        """What is being sent by a job that is over, or gone, without having said how it went."""
        job = select(Job.id).where(Job.id == Delivery.sending_job_id, Job.state.in_(UNFINISHED))
        lost = (Delivery.state == DeliveryState.SENDING) & ~job.exists()
        return list(self.session.scalars(select(Delivery).where(lost).limit(limit).with_for_update()))

    def of_disabled(self, limit: int) -> list[Delivery]:
        """What waits to be sent for accounts that are disabled."""
        owner = select(Account.id).where(Account.id == Delivery.owner_id, Account.is_disabled)
        waiting = (Delivery.state == DeliveryState.WAITING) & owner.exists()
        return list(self.session.scalars(select(Delivery).where(waiting).limit(limit).with_for_update()))

    def due(self, limit: int) -> list[Delivery]:
        """What can be sent now: the oldest of each owner first, so that nobody's many hide another's one.

        Of a group it is the first, once it is the group's turn.
        """
        own = func.coalesce(Delivery.group_key, Delivery.id.cast(Delivery.group_key.type))
        place = (Delivery.owner_id, Delivery.channel, Delivery.address, own)
        now = func.clock_timestamp()
        first = (
            select(Delivery.id)
            .where(Delivery.state == DeliveryState.WAITING, Delivery.due_at <= now, ~_is_held_back())
            .ext(distinct_on(*place))
            .order_by(*place, Delivery.attempts.desc(), Delivery.id)
        )
        place_of_owner = func.row_number().over(partition_by=Delivery.owner_id, order_by=Delivery.id)
        ranked = select(Delivery.id, place_of_owner.label("rank")).where(Delivery.id.in_(first)).subquery()
        statement = (
            select(Delivery)
            .join(ranked, ranked.c.id == Delivery.id)
            .order_by(ranked.c.rank, Delivery.id)
            .limit(limit)
        )
        return list(self.session.scalars(statement.with_for_update(of=Delivery)))

    def join(self, lead: Delivery) -> None:
        """What waits for the same group and address goes with this one, up to a number."""
        others = (
            select(Delivery.id)
            .where(
                _same_group(Delivery, lead),
                Delivery.id != lead.id,
                Delivery.state == DeliveryState.WAITING,
                Delivery.attempts == 0,
            )
            .order_by(Delivery.id)
            .limit(MOST_ITEMS - 1)
        )
        joined = {"state": DeliveryState.JOINED, "joined_to": lead.id, "finished_at": func.clock_timestamp()}
        self.session.execute(update(Delivery).where(Delivery.id.in_(others)).values(**joined))

    def items(self, lead: Delivery) -> list[Delivery]:
        """The delivery and those that go with it, in their order."""
        mine = (Delivery.id == lead.id) | (Delivery.joined_to == lead.id)
        return list(self.session.scalars(select(Delivery).where(mine).order_by(Delivery.id)))

    def counts(self) -> dict[tuple[str, str], int]:
        """How many there are by channel and state, for the metrics."""
        rows = self.session.execute(
            select(Delivery.channel, Delivery.state, func.count()).group_by(Delivery.channel, Delivery.state)
        )
        return {(channel, state): count for channel, state, count in rows}


def _same_group(row: type[Delivery], other: Delivery | type[Delivery]) -> ColumnElement[bool]:
    names = ("owner_id", "channel", "address", "group_key")
    return func.row(*(getattr(row, name) for name in names)) == func.row(
        *(getattr(other, name) for name in names)
    )


def _is_held_back() -> ColumnElement[bool]:
    """One of the group is on its way, waits for another attempt, or was sent too short a time ago."""
    other = aliased(Delivery)
    of_group = (
        (other.owner_id == Delivery.owner_id)
        & (other.group_key == Delivery.group_key)
        & (other.channel == Delivery.channel)
        & (other.address == Delivery.address)
        & (other.id != Delivery.id)
    )
    on_its_way = of_group & (other.state == DeliveryState.SENDING)
    tried = of_group & (other.state == DeliveryState.WAITING) & (other.attempts > 0)
    # Of what was sent in three months a group has very many: the order leaves no way but the index.
    recent = other.finished_at > func.statement_timestamp() - Delivery.every
    last = select(other.id).where(of_group, other.state == DeliveryState.SENT, recent)
    last = last.order_by(other.finished_at.desc()).limit(1)
    return or_(
        select(other.id).where(on_its_way).exists(),
        select(other.id).where(tried).exists(),
        last.scalar_subquery().is_not(None),
    )


class WebhookSecretRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    def find(self, owner_id: UUID) -> WebhookSecret | None:
        return self.session.get(WebhookSecret, owner_id)

    def good(self, owner_id: UUID) -> tuple[str, ...]:
        """What webhooks are signed with: the secret, and the former one while it is good."""
        former = func.coalesce(WebhookSecret.former_until > func.clock_timestamp(), False)
        chosen = select(WebhookSecret.secret, WebhookSecret.former, former)
        row = self.session.execute(chosen.where(WebhookSecret.owner_id == owner_id)).one_or_none()
        if row is None:
            return ()
        secret, old, is_good = row
        return (secret, old) if old and is_good else (secret,)

    def keep(self, owner_id: UUID, secret: str, *, grace: timedelta) -> WebhookSecret:
        """A new secret; the one before it stays good for a while. Of twins, one comes after the other."""
        now = func.clock_timestamp()
        former = {"former": WebhookSecret.secret, "former_until": now + grace}
        statement = (
            insert(WebhookSecret)
            .values(owner_id=owner_id, secret=secret)
            .on_conflict_do_update(
                index_elements=[WebhookSecret.owner_id],
                set_={**former, "secret": secret, "created_at": now},
            )
            .returning(WebhookSecret)
        )
        return self.session.scalars(statement, execution_options={"populate_existing": True}).one()
