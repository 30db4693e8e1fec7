"""Is it alive, is it ready, and how is it doing."""

import shutil
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify
from sqlalchemy import text

from src.api.metrics import exposition
from src.api.rate_limits import limiter
from src.api.releases import migration_fault
from src.domain.errors import DomainError, Unavailable
from src.services.stores import WrongStore
from src.wiring import Services, adapters, services

blp = Blueprint("health", __name__)
limiter.exempt(blp)
READY_MS = 1_000


class NotReady(Unavailable):
    slug = "not-ready"
    title = "Something that requests need is not in order"


@blp.get("/livez")
def livez() -> Response:
    """The process answers; nothing else is looked at."""
    return jsonify(status="alive")


@blp.get("/readyz")
def readyz() -> Response:
    """Whether requests can be served: database, migrations and disk must be good, Redis may be away."""
    try:
        with services() as s:
            faults = _faults(s)
    except DomainError as error:
        faults = {"database": error.detail}
    redis = "ok" if adapters().hints.is_alive() else "away"
    if faults:
        detail = "; ".join(f"{part}: {fault}" for part, fault in faults.items())
        raise NotReady(detail, retry_after=5, parts=faults, redis=redis)
    return jsonify(status="ready" if redis == "ok" else "degraded", redis=redis)


@blp.get("/metrics")
def metrics() -> Response:
    """Prometheus' text format. nginx does not publish this."""
    return exposition()


def _faults(s: Services) -> dict[str, str]:
    s.session.execute(text(f"SET LOCAL statement_timeout = {READY_MS}"))
    if fault := migration_fault(s):
        return {"migrations": fault}
    others = {"store": _store_fault(s), "disk": _disk_fault()}
    return {part: fault for part, fault in others.items() if fault}


def _store_fault(s: Services) -> str:
    """A store that is away is the disk's fault."""
    try:
        s.stores.check()
    except WrongStore as error:
        return error.detail
    except DomainError:
        return ""
    return ""


def _disk_fault() -> str:
    mine: Any = adapters()
    try:
        mine.storage.check()
        folder = Path(mine.settings.var_dir).resolve()
        free = shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free
    except (DomainError, OSError) as error:
        return str(error)
    return "" if free > mine.settings.disk_reserve_bytes else "less free space than the reserve"
