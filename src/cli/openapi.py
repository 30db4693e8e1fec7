"""flask --app src.app:create_api openapi-document: the document of the API, where there is one."""

from pathlib import Path

import click
import orjson
from flask import current_app


@click.command("openapi-document")
@click.argument("target", type=click.Path(path_type=Path), default=Path("docs/openapi.json"))
def openapi(target: Path) -> None:
    """Write the OpenAPI document."""
    answer = current_app.test_client().get("/openapi.json")
    target.write_bytes(
        orjson.dumps(answer.get_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
    )
    click.echo(f"{target} is written")
