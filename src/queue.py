"""Hints to the workers: «look at this job». Losing one costs a few seconds, never the job."""

import logging
import time
from typing import Any, cast
from uuid import UUID

from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from src.embedded.addresses import celery_url

log = logging.getLogger(__name__)
TASK = "run"
QUEUE = "jobs"
PAUSE_AFTER_FAILURE = 5.0


def redis_client(url: str, timeout: float = 0.5) -> Redis:
    """A client that gives up quickly: Redis may be away, and nobody waits for it."""
    return Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout)


def make_celery(redis_url: str, **settings: Any) -> Celery:
    """Celery as a carrier of hints: early ack, no results, no retries, JSON only (ADR 0003)."""
    celery = Celery("indicators", broker=celery_url(redis_url))
    celery.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_max_tasks_per_child=200,
        worker_max_memory_per_child=512_000,
        worker_soft_shutdown_timeout=20,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=3,
        broker_transport_options={
            "visibility_timeout": 3_600,
            "socket_timeout": 5,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        enable_utc=True,
    )
    celery.conf.update(settings)
    return celery


class HintQueue:
    """Publishes hints without ever holding up its caller for more than half a second."""

    def __init__(self, redis_url: str) -> None:
        self._redis = redis_client(redis_url)
        self._celery = make_celery(
            redis_url,
            broker_connection_timeout=0.5,
            broker_transport_options={"socket_timeout": 0.5, "socket_connect_timeout": 0.5, "max_retries": 0},
        )
        self._quiet_until = 0.0

    def publish(self, job_id: UUID) -> bool:
        """Send one hint, once. After a failure it pauses; the scheduler repeats what was not sent."""
        if time.monotonic() < self._quiet_until:
            return False
        try:
            self._celery.send_task(TASK, args=[str(job_id)], retry=False)
        except (OperationalError, RedisError, OSError) as error:
            self._quiet_until = time.monotonic() + PAUSE_AFTER_FAILURE
            log.warning("hint not sent, the scheduler will repeat it: %s", type(error).__name__)
            return False
        return True

    def depth(self) -> int | None:
        """How many hints wait in Redis; None when it does not answer."""
        try:
            return cast("int", self._redis.llen(QUEUE))  # the client declares the answers of both its kinds
        except (RedisError, OSError):
            return None

    def is_alive(self) -> bool:
        return self.depth() is not None
