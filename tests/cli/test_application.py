"""What `flask` finds: all of it for its own commands, and less for ours, which start sooner so."""

import click
from flask import Flask
from flask.cli import FlaskGroup, cli

from src.app import create_app
from src.wiring import EXTENSION

OF_THE_API = "/api/v1/jobs"


def rules(app: Flask) -> set[str]:
    return {rule.rule for rule in app.url_map.iter_rules()}


def test_commands_of_ours_do_without_the_api(app: Flask) -> None:
    with click.Context(cli):
        found = create_app(adapters=app.extensions[EXTENSION])
    assert isinstance(cli, FlaskGroup)
    assert OF_THE_API not in rules(found)
    assert app.cli.commands.keys() - found.cli.commands.keys() == {
        "openapi"
    }  # flask-smorest's, about the API


def test_commands_of_flask_have_it(app: Flask) -> None:
    with click.Context(cli) as group, click.Context(cli.commands["routes"], parent=group):
        found = create_app(adapters=app.extensions[EXTENSION])
    assert rules(found) == rules(app)
    assert OF_THE_API in rules(found)
