"""flask health: is everything that should run, running."""

import socket
import sys

import click

from src.cli.output import domain_errors_as_messages, json_option, show_one
from src.wiring import adapters, services


@click.command("health")
@click.argument("kind", type=click.Choice(["all", "worker", "scheduler"]), default="all")
@json_option
@domain_errors_as_messages
def health(kind: str, *, as_json: bool) -> None:
    """With «worker» or «scheduler»: whether the one on this host gave a sign of life within 30 seconds."""
    here = socket.gethostname() if kind != "all" else None
    with services() as s:
        kinds = ("worker", "scheduler") if kind == "all" else (kind,)
        alive = {name: s.process_rows.alive(name, here) for name in kinds}
        waiting = round(s.job_rows.oldest_wait_seconds(), 1)
    redis = "ok" if adapters().hints.is_alive() else "away"
    show_one({"database": "ok", "redis": redis, **alive, "oldest_wait_seconds": waiting}, as_json=as_json)
    sys.exit(0 if all(alive.values()) else 1)
