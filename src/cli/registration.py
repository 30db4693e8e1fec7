"""Puts the commands together."""

from flask import Flask

from src.cli import accounts, api_keys, database, files, health, jobs, processes


def register(app: Flask) -> None:
    for group in (accounts.group, api_keys.group, files.group, files.storage_group, jobs.group):
        app.cli.add_command(group)
    app.cli.add_command(database.group, "db")
    for command in (health.health, health.openapi, *processes.COMMANDS):
        app.cli.add_command(command)
