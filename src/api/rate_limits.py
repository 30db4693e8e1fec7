"""Rate limits by Flask-Limiter: counted in Redis, and in this process when Redis is away."""

import ipaddress
import logging
import math
import time
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, current_app, g, request
from flask_limiter import ApplicationLimit, Limiter, RequestLimit
from flask_limiter.errors import RateLimitExceeded
from limits import RateLimitItem, parse_many

from src.api.problems import problem
from src.config import Settings
from src.domain.roles import Actor
from src.embedded.addresses import limiter_url

EVENT_BLUEPRINTS = ("events", "event")
PREFIX = "limits"
log = logging.getLogger(__name__)


def caller() -> str:
    """An account or key has its own budget, wherever it calls from; strangers share their address's."""
    actor = g.get("actor")
    return f"address:{neighbourhood()}" if actor is None else _known(actor)


def _known(actor: Actor) -> str:
    return f"key:{actor.key_id}" if actor.key_id else f"account:{actor.account_id}"


def neighbourhood(*, v4: int = 32, v6: int = 64) -> str:
    """The caller's address; of IPv6 only the network, in which anyone has addresses without end."""
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((address, v4 if address.version == 4 else v6), strict=False))


class RedisMayGo(Limiter):
    """The extension helps the first request that misses Redis; this, those that were asking just then."""

    def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:
        try:
            super()._check_request_limit(callable_name, in_middleware)
        except self.storage.base_exceptions:
            self.context.seen_limits.clear()
            super()._check_request_limit(callable_name, in_middleware)


limiter = RedisMayGo(key_func=caller, headers_enabled=False)
# Searching among clients is dear: each address that does it has a small budget of its own.
client_limit = limiter.limit(lambda: current_app.config["RATE_LIMIT_CLIENTS"])


def application_budget() -> str:
    """Keys that may send events have a budget of their own for that."""
    actor, config = g.get("actor"), current_app.config
    sends_events = request.method == "POST" and request.blueprint in EVENT_BLUEPRINTS
    return _budget(actor, config) if actor and sends_events else str(config["RATE_LIMIT_DEFAULT"])


def _budget(actor: Actor, config: Mapping[str, Any]) -> str:
    """Of one who sends events."""
    is_for_events = actor.key_id is not None and "events:write" in actor.scopes
    return str(config["RATE_LIMIT_EVENTS" if is_for_events else "RATE_LIMIT_DEFAULT"])


def count_events(actor: Actor, number: int, config: Mapping[str, Any]) -> list[list[tuple[str, str]]] | None:
    """Count this many events out of the extension's sight; for each, what is left, in headers of its answer.

    None, with nothing counted: there is not enough left, or Redis is away; the extension knows what to do.
    """
    limits = parse_many(_budget(actor, config))
    if len(limits) > 1 or limiter._storage_dead:  # noqa: SLF001  it looks after Redis when it is asked
        return None
    place = (PREFIX, _known(actor), str(ApplicationLimit.scope))
    try:
        if not limiter.limiter.hit(limits[0], *place, cost=number):
            return None
        window = limiter.limiter.get_window_stats(limits[0], *place)
    except limiter.storage.base_exceptions:  # away, which the extension is to find out
        return None
    lefts = range(window.remaining + number - 1, window.remaining - 1, -1)
    return [_told(limits[0], left, window.reset_time) for left in lefts]


def register(app: Flask, settings: Settings) -> None:
    app.config.update(
        RATELIMIT_ENABLED=settings.rate_limits,
        RATELIMIT_APPLICATION=application_budget,
        RATELIMIT_STORAGE_URI=limiter_url(settings.redis_url),
        RATELIMIT_STORAGE_OPTIONS={"socket_timeout": 0.3, "socket_connect_timeout": 0.3},
        RATELIMIT_STRATEGY="moving-window",
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True,
        RATELIMIT_KEY_PREFIX=PREFIX,
        RATE_LIMIT_DEFAULT=settings.rate_limit_default,
        RATE_LIMIT_EVENTS=settings.rate_limit_events,
        RATE_LIMIT_LOGIN=settings.rate_limit_login,
        RATE_LIMIT_CLIENTS=settings.rate_limit_clients,
    )
    limiter.init_app(app)
    app.after_request(add_headers)
    app.register_error_handler(RateLimitExceeded, too_many)


def too_many(error: RateLimitExceeded) -> Response:
    answer = problem(429, "too-many-requests", "Too many requests", f"Allowed are {error.description}.")
    left = _left()
    answer.headers["Retry-After"] = str(60 if left is None else _seconds_until(left.reset_at))
    return answer


def add_headers(answer: Response) -> Response:
    left = _left()
    if left is not None:
        answer.headers.extend(_told(left.limit, left.remaining, left.reset_at))
    return answer


def _left() -> RequestLimit | None:
    """What this request was counted in, and what is left of it; nothing if Redis went away since."""
    limit = limiter.current_limit
    try:
        return limit if limit and limit.window else None
    except limiter.storage.base_exceptions:
        return None


def _told(limit: RateLimitItem, remaining: int, reset_at: float) -> list[tuple[str, str]]:
    """The fields of the IETF draft: the policy, and what is left of it."""
    left = f'"default";r={max(remaining, 0)};t={_seconds_until(reset_at)}'
    policy = f'"default";q={limit.amount};w={limit.get_expiry()}'
    return [("RateLimit-Policy", policy), ("RateLimit", left)]


def _seconds_until(moment: float) -> int:
    return max(math.ceil(moment - time.time()), 1)
