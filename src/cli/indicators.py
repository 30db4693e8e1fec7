"""flask indicators: show, as published."""

import click
from flask.cli import AppGroup

from src.api.schemas.indicators import ANGEL_ROWS, POLO_ROWS
from src.cli.output import domain_errors_as_messages, json_option, show
from src.wiring import services

group = AppGroup("indicators", help="Figures over the atendimentos.")


@group.command("show")
@click.argument("noun", type=click.Choice(["angels", "polos"]))
@click.option("--at-most", type=click.IntRange(1, 10_000), default=100, help="So many lines, the first ones.")
@json_option
@domain_errors_as_messages
def show_productivity(noun: str, at_most: int, *, as_json: bool) -> None:
    """Who attends how much on time: by angel, the best first; or by polo and weekday, the most first."""
    with services() as s:
        if noun == "angels":
            rows = ANGEL_ROWS.dump(s.indicator_rows.angel_productivity(at_most)[1])
        else:
            rows = POLO_ROWS.dump(s.indicator_rows.polo_productivity(at_most)[1])
    show(rows, as_json=as_json)
