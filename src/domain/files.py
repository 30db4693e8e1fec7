"""What a file may be called. The name is data for people; storage keys are ours."""

import unicodedata
from uuid import UUID

LONGEST_NAME = 255
FALLBACK = "unnamed"
FOLDER = "files/"


def clean_name(name: str) -> str:
    """The name without folders, control or direction characters, and not longer than a name should be."""
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(char for char in name if unicodedata.category(char)[0] != "C").strip().strip(".")
    if len(name) > LONGEST_NAME:
        stem, dot, ending = name.rpartition(".")
        ending = f"{dot}{ending}" if len(ending) <= 10 and stem else ""
        name = (stem or name)[: LONGEST_NAME - len(ending)] + ending
    return name or FALLBACK


def storage_key(id_: UUID, fence: int | None = None) -> str:
    """Where the bytes live. What a job makes carries its fence: a zombie's file is never taken for ours."""
    text = id_.hex
    suffix = "" if fence is None else f".{fence}"
    # The last digits are random, the first are the time: spread by the last.
    return f"{FOLDER}{text[-2:]}/{text[-4:-2]}/{text}{suffix}"
