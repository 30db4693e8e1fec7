"""Deliveries: promised or queued with their cause, released by the scheduler, sent by jobs."""

import secrets
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Session

from src.config import Settings
from src.domain.addresses import BadTarget, check_target
from src.domain.deliveries import (
    Channel,
    DeliveryState,
    FileOfParcel,
    NotDelivered,
    NothingStarted,
    NotResendable,
    NoWebhookSecret,
    On,
    OwnerDisabled,
    Parcel,
    Target,
    Undeliverable,
    Wish,
    wait_before_next,
)
from src.domain.errors import DomainError, FieldError, TooManyRequests
from src.domain.jobs import JobState, QueueFull
from src.domain.roles import Actor
from src.models import Delivery, File, Job, WebhookSecret
from src.repositories.accounts import AccountRepository
from src.repositories.deliveries import DeliveryRepository, WebhookSecretRepository
from src.repositories.files import FileRepository
from src.repositories.jobs import JobRepository
from src.services.audit import AuditTrail
from src.services.jobs import JobService

KIND = "deliver"
SLICE = 200
GRACE = timedelta(days=1)
PREFIX = "whsec_"


class DeliveryService:
    def __init__(self, session: Session, jobs: JobService, settings: Settings) -> None:
        self.session = session
        self.rows = DeliveryRepository(session)
        self.secrets = WebhookSecretRepository(session)
        self.files = FileRepository(session)
        self.job_rows = JobRepository(session)
        self.accounts = AccountRepository(session)
        self.audit = AuditTrail(session)
        self.jobs = jobs
        self.settings = settings

    def check(self, targets: tuple[Target, ...], owner_id: UUID, *, at: str = "/notify") -> None:
        """Raise unless this owner may be told there: what is saved for later is checked with this first.

        `at` is where the targets stand in the request.
        """
        for target in targets:
            self._check_address(target, at)
            if target.channel is Channel.WEBHOOK and self.secrets.find(owner_id) is None:
                raise NoWebhookSecret("Make one with POST /api/v1/deliveries/secret.")
            if target.channel is Channel.EMAIL and not self.settings.smtp_host:
                message = "This service sends no mail: SMTP_HOST is not set."
                raise BadTarget(message, errors=[FieldError(f"{at}/email", "no_mail", message)])

    def queue(
        self,
        target: Target,
        what: str,
        payload: dict[str, Any],
        *,
        owner_id: UUID,
        file_id: UUID | None = None,
        group: str | None = None,
        every: timedelta = timedelta(0),
    ) -> Delivery:
        """Put something into the outbox, in the caller's transaction: it goes out if that commits.

        `what` is its kind (`alert.raised`), `payload` its JSON. Only a row is written, so it is cheap and
        never waits: a queue that is full or a receiver that is away is the scheduler's affair.

        With a `group` (an alert rule's id, say) deliveries of one owner, group and address are sent one
        after the other, at most one in `every`; what has gathered meanwhile goes together, as `items` of
        one message, up to a hundred. Call `check` when the target is saved; here it is trusted.
        """
        row = Delivery(
            owner_id=owner_id,
            what=what,
            channel=target.channel,
            address=target.address,
            payload=payload,
            file_id=file_id,
            group_key=group,
            every=every,
            state=DeliveryState.WAITING,
        )
        self.session.add(row)
        self.rows.announce()
        return row

    def promise(self, wish: Wish, job_id: UUID | None, owner_id: UUID) -> None:
        """Tell these targets when the job is over; all jobs that a request starts can be asked for so."""
        if job_id is None:
            raise NothingStarted("Leave `notify` out, and send it with the request that starts the work.")
        self.check(wish.targets, owner_id)
        for target in wish.targets:
            self.rows.add(
                Delivery(
                    owner_id=owner_id,
                    what="job",
                    channel=target.channel,
                    address=target.address,
                    job_id=job_id,
                    wanted_on=wish.on,
                    state=DeliveryState.PROMISED,
                )
            )
        self.rows.announce()

    def release(self) -> int:
        """What the scheduler does: fulfil promises, take back what got stuck, give what is due its jobs."""
        if not self.rows.take_turn():
            return 0
        for row, job in self.rows.kept_promises(SLICE):
            self._fulfil(row, job)
        for row in self.rows.stuck(SLICE):
            self.failed(row, NotDelivered("The job that was sending it ended without a word."))
        self.session.flush()
        for row in self.rows.of_disabled(SLICE):
            self.failed(row, OwnerDisabled())
        self.session.flush()
        sending = [row for row in self.rows.due(SLICE) if self._is_released(row)]
        self.session.flush()
        return len(sending)

    def to_send(self, delivery_id: UUID, job_id: UUID) -> Parcel:
        """All that is needed to send it, if this job still is the one to do so."""
        row = self._sending(delivery_id, job_id)
        if self.accounts.get(row.owner_id).is_disabled:
            raise OwnerDisabled
        file = self.files.find(row.file_id)
        return Parcel(
            id=row.id,
            target=Target(Channel(row.channel), row.address),
            what=row.what,
            message=self._message(row),
            secrets=self.secrets.good(row.owner_id) if row.channel == Channel.WEBHOOK else (),
            file=_as_parcel(file, row.owner_id) if file else None,
        )

    def arrived(self, delivery_id: UUID, job_id: UUID) -> None:
        row = self._sending(delivery_id, job_id)
        row.attempts, row.error = row.attempts + 1, None
        row.state, row.finished_at = DeliveryState.SENT, func.clock_timestamp()

    def came_back(self, delivery_id: UUID, job_id: UUID, error: DomainError) -> None:
        self.failed(self._sending(delivery_id, job_id), error)

    def failed(self, row: Delivery, error: DomainError) -> None:
        """Note an attempt that failed: it waits for the next one, or has failed for good."""
        row.attempts += 1
        row.error = {"slug": error.slug, "title": error.title, "detail": error.detail}
        wait = None if isinstance(error, Undeliverable) else wait_before_next(row.attempts)
        if wait is None:
            row.state, row.finished_at = DeliveryState.FAILED, func.clock_timestamp()
        else:
            row.state, row.due_at = DeliveryState.WAITING, func.clock_timestamp() + wait

    def resend(self, row: Delivery, by: Actor) -> Delivery:
        """Send once more what failed, or what its receiver has lost, with fresh attempts."""
        if row.state not in (DeliveryState.FAILED, DeliveryState.SENT):
            raise NotResendable(f"It is {row.state}.")
        row.state, row.attempts, row.error = DeliveryState.WAITING, 0, None
        row.due_at, row.finished_at = func.clock_timestamp(), None
        self.audit.note(by, "delivery.resent", "delivery", row.id)
        self.rows.announce()
        self.session.flush()
        self.session.refresh(row)
        return row

    def renew_secret(self, by: Actor) -> WebhookSecret:
        """A new secret to sign webhooks with, shown this once; the former is good for another day."""
        secret = PREFIX + b64encode(secrets.token_bytes(32)).decode()
        row = self.secrets.keep(by.account_id, secret, grace=GRACE)
        self.audit.note(by, "webhook-secret.renewed", "account", by.account_id)
        return row

    def _check_address(self, target: Target, at: str) -> None:
        try:
            check_target(
                target,
                hosts=frozenset(self.settings.webhook_hosts),
                folders=self.settings.delivery_roots,
                domains=frozenset(self.settings.mail_domains),
            )
        except BadTarget as error:
            error.errors = [replace(fault, pointer=f"{at}{fault.pointer}") for fault in error.errors]
            raise

    def _sending(self, delivery_id: UUID, job_id: UUID) -> Delivery:
        row = self.rows.get_own(delivery_id, None, is_locked=True)
        if row.state != DeliveryState.SENDING or row.sending_job_id != job_id:
            raise NotResendable(f"It is {row.state}, and not for this job to send.")
        return row

    def _fulfil(self, row: Delivery, job: Job) -> None:
        state = JobState(job.state)
        if not On(row.wanted_on).covers(state):
            row.state, row.finished_at = DeliveryState.UNWANTED, func.clock_timestamp()
            return
        row.what, row.payload, row.file_id = f"job.{state}", told_of(job), self._product_of(job)
        row.state, row.due_at = DeliveryState.WAITING, func.clock_timestamp()

    def _product_of(self, job: Job) -> UUID | None:
        """The file that the job made, if it made one and it is there still; not one that it worked on."""
        result = job.result or {}
        named = result.get("output_file_id") or result.get("file_id")
        file = self.files.find(UUID(named)) if named and named != job.args.get("file_id") else None
        return file.id if file and file.kind == "produced" else None

    def _is_released(self, row: Delivery) -> bool:
        """Give the delivery a job, unless too much waits already: then at another tick."""
        try:
            job = self.jobs.enqueue(KIND, {"delivery_id": str(row.id)}, owner_id=row.owner_id)
        except (QueueFull, TooManyRequests):
            return False
        if row.group_key is not None and row.attempts == 0:
            self.rows.join(row)
        row.state, row.sending_job_id = DeliveryState.SENDING, job.id
        return True

    def _message(self, row: Delivery) -> dict[str, Any]:
        """The body, in the form of Standard Webhooks; of a group always a list."""
        data = row.payload
        if row.group_key is not None:
            items = [item.payload for item in self.rows.items(row)]
            data = {"group": row.group_key, "count": len(items), "items": items}
        return {"type": row.what, "timestamp": row.created_at.isoformat(), "data": data}


def _as_parcel(file: File, owner_id: UUID) -> FileOfParcel:
    return FileOfParcel(file.id, owner_id, file.storage_key, file.name, file.size, file.media_type)


def told_of(job: Job) -> dict[str, Any]:
    """What is told of a job that is over."""
    return {
        "job_id": str(job.id),
        "job": f"/api/v1/jobs/{job.id}",
        "kind": job.kind,
        "state": job.state,
        "result": job.result,
        "error": job.error,
        "finished_at": job.finished_at.isoformat() if job.finished_at else None,
    }
