"""Clients' ids within addresses: any text, as it is."""

from flask import Flask
from werkzeug.routing import PathConverter


class OutsideId(PathConverter):
    """An id of the outside; one that begins or ends with a slash, or has two in a row, is another one."""

    regex = r"[\s\S]+?"
    part_isolating = False


def register(app: Flask) -> None:
    """Before the first route. Merged slashes would lead from the client `/eve` to the client `eve`."""
    app.url_map.merge_slashes = False
    app.url_map.converters["outside_id"] = OutsideId
