"""PostgreSQL and Redis from wheels, for machines that have neither: the only names others need."""

from src.embedded.addresses import celery_url, limiter_url
from src.embedded.control import EmbeddedError
from src.embedded.servers import EmbeddedServers, attached, hand_over, resolve

__all__ = [
    "EmbeddedError",
    "EmbeddedServers",
    "attached",
    "celery_url",
    "hand_over",
    "limiter_url",
    "resolve",
]
