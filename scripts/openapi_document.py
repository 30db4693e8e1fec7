"""Writes the OpenAPI document, which says what the service says of itself; see `make openapi`."""

import sys
from pathlib import Path

import orjson
from flask import Flask

from src.app import create_app


def document(app: Flask) -> bytes:
    """As it stands under version control."""
    answer = app.test_client().get("/openapi.json")
    return orjson.dumps(answer.get_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_bytes(document(create_app()))
    sys.stdout.write(f"{target} is written\n")
