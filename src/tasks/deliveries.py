"""The job that makes one attempt at a delivery."""

from uuid import UUID

from src.domain.deliveries import NotDelivered, Undeliverable
from src.domain.errors import DomainError
from src.services.sending import Sender
from src.tasks.running import JobRun, Outcome


def deliver(run: JobRun) -> Outcome:
    """Send it once. How that went is noted in the transaction that ends the job.

    Whoever is killed in between has perhaps sent it: it goes out again, under the same id.
    """
    delivery_id, job_id = UUID(run.job.args["delivery_id"]), run.job.id
    links = {"delivery_id": str(delivery_id), "delivery": f"/api/v1/deliveries/{delivery_id}"}
    sender = Sender(run.adapters.settings, run.adapters.storage, run.check)
    try:
        with run.services() as s:
            parcel = s.deliveries.to_send(delivery_id, job_id)
        said = sender.send(parcel)
    except (NotDelivered, Undeliverable) as failure:
        error: DomainError = failure
        return Outcome(links, save=lambda s: s.deliveries.came_back(delivery_id, job_id, error), error=error)
    return Outcome(links | {"answer": said}, save=lambda s: s.deliveries.arrived(delivery_id, job_id))
