"""Puts the commands together."""

from flask import Flask

from src.cli import (
    accounts,
    alerts,
    api_keys,
    clients,
    database,
    etl,
    events,
    files,
    health,
    imports,
    indicators,
    jobs,
    processes,
    reports,
    samples,
    schedules,
    views,
)


def register(app: Flask) -> None:
    for group in (
        accounts.group,
        api_keys.group,
        files.group,
        files.storage_group,
        jobs.group,
        schedules.group,
        imports.group,
        events.group,
        etl.group,
        reports.group,
        clients.group,
        indicators.group,
        views.group,
        alerts.group,
    ):
        app.cli.add_command(group)
    app.cli.add_command(database.group, "db")
    for command in (health.health, samples.samples, *processes.COMMANDS):
        app.cli.add_command(command)
