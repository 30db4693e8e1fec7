"""The outbox: written with its cause, released once, grouped, tried again, given up, sent again."""

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, text, update

from src.domain.deliveries import (
    WAITS,
    Channel,
    DeliveryState,
    NotDelivered,
    NothingStarted,
    NotResendable,
    NoWebhookSecret,
    On,
    Target,
    Undeliverable,
    Wish,
)
from src.domain.jobs import JobState
from src.domain.roles import Actor
from src.models import Account, Delivery, Job
from src.services import deliveries
from src.services.deliveries import KIND
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import services
from tests.committing import Workshop

HOOK = Target(Channel.WEBHOOK, "https://hooks.example.org/a")
OTHER = Target(Channel.WEBHOOK, "https://hooks.example.org/b")


@pytest.fixture
def owner(workshop: Workshop) -> Actor:
    with services() as s:
        actor = workshop.files.owner()
        s.deliveries.renew_secret(actor)
    return actor


def queue(owner: Actor, number: int = 0, target: Target = HOOK, **options: Any) -> UUID:
    with services() as s:
        row = s.deliveries.queue(target, "test", {"number": number}, owner_id=owner.account_id, **options)
    return row.id


def release() -> int:
    with services() as s:
        return s.deliveries.release()


def read(id_: UUID) -> Delivery:
    with services() as s:
        return s.delivery_rows.get_own(id_, None)


def states(ids: list[UUID]) -> list[str]:
    return [read(id_).state for id_ in ids]


def finish(id_: UUID, error: Exception | None = None) -> None:
    """As the job that sends it does."""
    row = read(id_)
    assert row.sending_job_id
    with services() as s:
        if error is None:
            s.deliveries.arrived(id_, row.sending_job_id)
        else:
            s.deliveries.came_back(id_, row.sending_job_id, error)


def let_pass(seconds: float) -> None:
    """All that is written was written so long ago."""
    with services() as s:
        ago = timedelta(seconds=seconds)
        moved = {"due_at": Delivery.due_at - ago, "finished_at": Delivery.finished_at - ago}
        s.session.execute(update(Delivery).values(**moved))


def disable(owner: Actor) -> None:
    with services() as s:
        disabled = update(Account).where(Account.id == owner.account_id).values(is_disabled=True)
        s.session.execute(disabled)


def numbers(id_: UUID) -> list[int]:
    row = read(id_)
    with services() as s:
        assert row.sending_job_id
        message = s.deliveries.to_send(id_, row.sending_job_id).message
    assert message["data"]["count"] == len(message["data"]["items"])
    return [item["number"] for item in message["data"]["items"]]


def test_it_is_written_with_its_cause_or_not_at_all(workshop: Workshop, owner: Actor) -> None:
    with pytest.raises(RuntimeError), services() as s:
        s.deliveries.queue(HOOK, "test", {}, owner_id=owner.account_id)
        raise RuntimeError
    assert release() == 0
    id_ = queue(owner)
    assert (release(), read(id_).state) == (1, DeliveryState.SENDING)
    assert release() == 0, "it is on its way"


def test_many_schedulers_give_each_delivery_one_job(workshop: Workshop, owner: Actor) -> None:
    for number in range(20):
        queue(owner, number)
    workshop.together(lambda _: release(), 6)
    release()
    with services() as s:
        jobs = list(s.session.scalars(text("SELECT args->>'delivery_id' FROM job WHERE kind = 'deliver'")))
    assert len(jobs) == len(set(jobs)) == 20


def test_what_fails_is_tried_again_after_growing_waits_and_given_up_in_the_end(
    workshop: Workshop, owner: Actor
) -> None:
    id_ = queue(owner)
    for attempt, wait in enumerate(WAITS, 1):
        assert release() == 1
        finish(id_, NotDelivered("The receiver answered 500."))
        row = read(id_)
        assert (row.state, row.attempts) == (DeliveryState.WAITING, attempt)
        let_pass(wait.total_seconds() - 2)
        assert release() == 0, "not before its time"
        let_pass(2)
    assert release() == 1
    finish(id_, NotDelivered("The receiver answered 500."))
    failed = read(id_)
    assert (failed.state, failed.attempts) == (DeliveryState.FAILED, len(WAITS) + 1)
    assert failed.error is not None
    assert failed.error["detail"] == "The receiver answered 500."
    let_pass(100_000)
    assert release() == 0


def test_what_cannot_be_delivered_fails_at_once_and_is_sent_again_by_hand(
    workshop: Workshop, owner: Actor
) -> None:
    id_ = queue(owner)
    release()
    with pytest.raises(NotResendable), services() as s:
        s.deliveries.resend(s.delivery_rows.get_own(id_, None), owner)
    finish(id_, Undeliverable("It leads to 10.0.0.1."))
    assert read(id_).state == DeliveryState.FAILED
    with services() as s:
        s.deliveries.resend(s.delivery_rows.get_own(id_, None), owner)
    assert release() == 1
    finish(id_)
    assert (read(id_).state, read(id_).error) == (DeliveryState.SENT, None)


def test_a_job_that_has_lost_the_delivery_cannot_speak_for_it(workshop: Workshop, owner: Actor) -> None:
    id_ = queue(owner)
    release()
    first = read(id_).sending_job_id
    assert first
    with services() as s:
        s.session.execute(update(Job).where(Job.id == first).values(state="dead"))
    release()
    assert (read(id_).state, read(id_).attempts) == (DeliveryState.WAITING, 1)
    let_pass(10)
    assert release() == 1
    with pytest.raises(NotResendable), services() as s:
        s.deliveries.arrived(id_, first)
    with pytest.raises(NotResendable), services() as s:
        s.deliveries.to_send(id_, first)
    assert read(id_).state == DeliveryState.SENDING


def test_of_a_group_what_gathers_goes_together_and_not_too_often(workshop: Workshop, owner: Actor) -> None:
    every = timedelta(minutes=5)
    first = [queue(owner, number, group="rule 7", every=every) for number in range(3)]
    assert release() == 1
    assert states(first) == [DeliveryState.SENDING, DeliveryState.JOINED, DeliveryState.JOINED]
    assert numbers(first[0]) == [0, 1, 2]
    later = [queue(owner, number, group="rule 7", every=every) for number in (3, 4)]
    assert release() == 0, "one is on its way"
    finish(first[0])
    assert release() == 0, "the last one is too recent"
    let_pass(301)
    assert release() == 1
    assert numbers(later[0]) == [3, 4]


def test_what_waits_reads_little_of_the_very_many_that_its_group_has_sent(
    workshop: Workshop, owner: Actor
) -> None:
    many = """INSERT INTO delivery (id, owner_id, what, channel, address, payload, wanted_on, group_key, every,
            state, attempts, finished_at)
        SELECT gen_random_uuid(), :owner, 'test', 'webhook', :address, '{}', 'always', 'g',
            interval '1 minute', CASE WHEN n <= 50 THEN 'waiting' ELSE 'sent' END,
            CASE WHEN n <= 50 THEN 0 ELSE 1 END, CASE WHEN n > 50 THEN now() - interval '1 hour' END
        FROM generate_series(1, 5000) AS n"""
    read = text(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'delivery'"
    )
    with services() as s:
        s.session.execute(text(many), {"owner": owner.account_id, "address": HOOK.address})
        s.session.execute(text("ANALYZE delivery"))
        before = s.session.scalars(read).one()
        assert len(s.delivery_rows.due(200)) == 1
        assert s.session.scalars(read).one() - before < 5_000, "once, at most; not for each that waits"


def test_a_group_waits_for_its_first_that_failed_and_then_goes_on(workshop: Workshop, owner: Actor) -> None:
    first = queue(owner, 0, group="g")
    release()
    finish(first, NotDelivered("away"))
    second = queue(owner, 1, group="g")
    assert release() == 0
    let_pass(6)
    assert release() == 1
    assert numbers(first) == [0]
    finish(first)
    assert release() == 1
    assert numbers(second) == [1]


def test_other_groups_addresses_and_owners_do_not_wait(workshop: Workshop, owner: Actor) -> None:
    stranger = workshop.files.owner()
    options = {"every": timedelta(hours=1)}
    for who, target, group in (
        (owner, HOOK, "a"),
        (owner, HOOK, "b"),
        (owner, OTHER, "a"),
        (stranger, HOOK, "a"),
        (owner, HOOK, None),
        (owner, HOOK, None),
    ):
        queue(who, target=target, group=group, **options)
    assert release() == 6


def test_a_message_holds_a_hundred_at_most(workshop: Workshop, owner: Actor) -> None:
    ids = [queue(owner, number, group="g") for number in range(105)]
    assert release() == 1
    assert numbers(ids[0]) == list(range(100))
    finish(ids[0])
    assert release() == 1
    assert numbers(ids[100]) == [100, 101, 102, 103, 104]


@pytest.mark.parametrize(
    ("on", "state", "is_told"),
    [
        (On.ALWAYS, "done", True),
        (On.ALWAYS, "cancelled", True),
        (On.DONE, "done", True),
        (On.DONE, "failed", False),
        (On.FAILED, "done", False),
        (On.FAILED, "failed", True),
        (On.FAILED, "dead", True),
        (On.FAILED, "cancelled", True),
    ],
)
def test_a_promise_is_kept_when_the_job_ends_as_was_asked(
    workshop: Workshop, owner: Actor, on: On, state: str, is_told: bool
) -> None:
    job = workshop.jobs.add(owner_id=owner.account_id)
    with services() as s:
        s.deliveries.promise(Wish((HOOK,), on), job.id, owner.account_id)
    assert release() == 0, "it runs still"
    with services() as s:
        ended = {"state": state, "finished_at": func.clock_timestamp(), "result": {"rows": 3}}
        s.session.execute(update(Job).where(Job.id == job.id).values(**ended))
    assert release() == is_told
    with services() as s:
        (row,) = s.session.scalars(text("SELECT id FROM delivery"))
    found = read(row)
    assert found.state == (DeliveryState.SENDING if is_told else DeliveryState.UNWANTED)
    if is_told:
        assert found.what == f"job.{state}"
        assert found.payload["result"] == {"rows": 3}


def test_a_promise_needs_a_secret_and_a_job(workshop: Workshop, owner: Actor) -> None:
    stranger = workshop.files.owner()
    job = workshop.jobs.add(owner_id=stranger.account_id)
    with pytest.raises(NoWebhookSecret), services() as s:
        s.deliveries.promise(Wish((HOOK,)), job.id, stranger.account_id)
    with pytest.raises(NothingStarted), services() as s:
        s.deliveries.promise(Wish((HOOK,)), None, owner.account_id)


def test_a_full_queue_holds_deliveries_up_and_loses_none(workshop: Workshop, owner: Actor) -> None:
    with services() as s:
        rows = "SELECT gen_random_uuid(), :owner, 'test', '{}', 'queued', 0, 5, 0, false FROM generate_series(1, 1000)"
        columns = "id, owner_id, kind, args, state, attempts, max_attempts, fence, is_cancel_requested"
        s.session.execute(text(f"INSERT INTO job ({columns}) {rows}"), {"owner": owner.account_id})
    id_ = queue(owner)
    other = queue(workshop.files.owner())
    assert release() == 1
    assert states([id_, other]) == [DeliveryState.WAITING, DeliveryState.SENDING]
    with services() as s:
        s.session.execute(text("DELETE FROM job WHERE kind = 'test'"))
    assert release() == 1
    assert read(id_).state == DeliveryState.SENDING


def test_an_owner_with_much_in_the_outbox_does_not_hide_what_others_wait_for(
    workshop: Workshop, owner: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "SLICE", 3)
    for number in range(5):
        queue(owner, number)
    other = queue(workshop.files.owner())
    assert release() == 3
    assert read(other).state == DeliveryState.SENDING


def test_what_waits_for_an_account_that_was_disabled_fails_and_says_why(
    workshop: Workshop, owner: Actor
) -> None:
    id_ = queue(owner)
    other = queue(workshop.files.owner())
    disable(owner)
    assert release() == 1
    row = read(id_)
    assert row.state == DeliveryState.FAILED
    assert row.error is not None
    assert row.error["slug"] == "delivery-owner-disabled"
    assert read(other).state == DeliveryState.SENDING


def test_what_is_on_its_way_when_its_account_is_disabled_is_not_sent(
    workshop: Workshop, owner: Actor
) -> None:
    id_ = queue(owner)
    release()
    disable(owner)
    sending = read(id_).sending_job_id
    assert sending
    assert run_job(sending, HANDLERS) is JobState.FAILED
    row = read(id_)
    assert row.state == DeliveryState.FAILED
    assert row.error is not None
    assert row.error["slug"] == "delivery-owner-disabled"


def test_a_renewed_secret_signs_beside_the_former_one_for_a_day(workshop: Workshop, owner: Actor) -> None:
    with services() as s:
        (first,) = s.webhook_secret_rows.good(owner.account_id)
        second = s.deliveries.renew_secret(owner).secret
    with services() as s:
        assert s.webhook_secret_rows.good(owner.account_id) == (second, first)
        s.session.execute(text("UPDATE webhook_secret SET former_until = clock_timestamp()"))
    with services() as s:
        assert s.webhook_secret_rows.good(owner.account_id) == (second,)


def test_of_two_first_secrets_at_once_both_are_good(workshop: Workshop) -> None:
    owner = workshop.files.owner()
    with services() as s:
        first = s.deliveries.renew_secret(owner).secret
        twin = workshop.in_thread(partial(renewed, owner))
        workshop.await_lock_waiters(1)
    second = twin.result(10)
    with services() as s:
        assert s.webhook_secret_rows.good(owner.account_id) == (second, first)


def renewed(owner: Actor) -> str:
    with services() as s:
        return s.deliveries.renew_secret(owner).secret


def test_old_deliveries_go_with_the_old_jobs(workshop: Workshop, owner: Actor) -> None:
    old, young = queue(owner), queue(owner)
    release()
    for id_ in (old, young):
        finish(id_)
    with services() as s:
        ago = func.clock_timestamp() - timedelta(days=91)
        s.session.execute(update(Delivery).where(Delivery.id == old).values(finished_at=ago))
    with services() as s:
        assert s.housekeeping.delete_old_rows()["deliveries"] == 1
        assert s.delivery_rows.find(young)
    assert KIND == "deliver"
