"""Ids of the outside: which ones can be kept, and which have an address here."""

import re
from urllib.parse import quote

CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Whoever asks for an address walks these steps first, and asks for another one.
STEPS = (".", "..")
# What stands below a client; an id that ends so would be taken for that.
BELOW = ("/alerts", "/atendimentos", "/events", "/statistics", "/transactions")
ONE_LINE = "An id has no line ends, tabs or other control characters."
NO_ADDRESS = f"No client can be «.» or «..», or end in {', '.join(BELOW)}: it would have no address."


def has_controls(id_: str) -> bool:
    return CONTROLS.search(id_) is not None


def has_address(id_: str) -> bool:
    """Whether the client of this id can be asked for."""
    return id_ not in STEPS and not id_.endswith(BELOW)


def client_address(id_: str) -> str:
    """Where the client is, whatever stands in its id."""
    return f"/api/v1/clients/{quote(id_, safe='')}"
