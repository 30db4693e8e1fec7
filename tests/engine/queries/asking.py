"""Queries in tests, run without the children that they run in otherwise."""

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from src.engine.child import FUNCTIONS
from src.engine.profile import read_profile
from src.engine.queries.answering import Answering
from src.engine.queries.executing import read_query
from src.engine.queries.rows import Rows, scan
from src.engine.queries.running import execute
from src.engine.queries.spark_child import found_on, session
from src.engine.queries.statements import OutputFormat
from src.engine.queries.values import Cluster, Query, Question, Ran, TableFile
from src.engine.reading.detect import detect
from src.engine.reading.tables import read_table
from src.engine.sandbox import ignore_progress
from src.engine.values import Column, Detected, Profile, ReadLimits
from tests.engine.making import SANDBOX

LIMITS = ReadLimits(sandbox=SANDBOX)
HERE = {
    **FUNCTIONS,
    "query": read_query,
    "cluster": lambda arguments, *_: found_on(session(arguments["master"]), arguments),
}
# «make spark» sets it, and everything that asks runs on a cluster; what is expected stays the same
CLUSTER_URL = os.environ.get("TEST_CLUSTER_URL", "")
EXAMPLES = 5 if CLUSTER_URL else 20  # of each property: a cluster takes a second to answer

Step = Callable[[Rows], Rows]
Cells = Sequence[Sequence[str | None]]


def unchanged(rows: Rows) -> Rows:
    return rows


def written(rows: Cells, end: str = "\n") -> bytes:
    """CSV in which a missing cell is not an empty one: what is there is quoted."""
    lines = [",".join("" if cell is None else _quoted(cell) for cell in row) + end for row in rows]
    return "".join(lines).encode()


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def read_back(content: bytes) -> list[list[str | None]]:
    """The cells of a CSV: those without quotes and without characters are missing."""
    out: list[list[str | None]] = [[]]
    cell, place, text = "", 0, content.decode()
    is_quoted = was_quoted = False
    while place < len(text):
        char = text[place]
        if is_quoted and char == '"' and text[place + 1 : place + 2] == '"':
            cell, place = cell + '"', place + 1
        elif char == '"':
            is_quoted, was_quoted = not is_quoted, True
        elif is_quoted or char not in ",\n":
            cell += char
        else:
            out[-1].append(cell if cell or was_quoted else None)
            cell, was_quoted = "", False
            if char == "\n":
                out.append([])
        place += 1
    return out[:-1]


def reading(names: Sequence[str]) -> Detected:
    """Plain CSV, nothing known about its columns but their names."""
    return Detected(
        format="csv",
        packing="none",
        media_type="text/csv",
        columns=tuple(Column(name=name) for name in names),
        delimiter=",",
        quote='"',
        decimal=".",
    )


def profiled(path: Path, detected: Detected | None = None) -> Profile:
    """The profile of a file."""
    detected, folder = detected or detect(path, path.name, LIMITS), path.parent / f"{path.name}-profile"
    folder.mkdir(exist_ok=True)
    file = {"path": str(path), "detected": asdict(detected), "limits": asdict(LIMITS), "target": str(folder)}
    table = read_table(file, folder, SANDBOX, ignore_progress)
    return Profile.from_json(read_profile(table, folder, SANDBOX, ignore_progress))


def table_file(path: Path, detected: Detected | None = None) -> TableFile:
    """A file as its profile knows it."""
    profile = profiled(path, detected)
    return TableFile(path, profile.detected, profile.regular)


def run(
    step: Callable[..., Rows],
    files: Mapping[str, TableFile],
    target: Path,
    form: OutputFormat = "csv",
    *,
    master: str = CLUSTER_URL,
) -> Ran:
    """Apply the step to the scanned files, and write what comes of it to `target`."""
    folder = target.parent / f"{target.name}-work"
    folder.mkdir()

    def call(function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return json.loads(json.dumps(HERE[function](arguments, folder, SANDBOX, ignore_progress)))

    rows = step(*(scan(name, file.detected.columns) for name, file in files.items()))
    question = Question(Query(rows, files, form), target)
    (ran,) = execute([question], Answering(folder, LIMITS, call), cluster_in(folder, master))
    return ran


def cluster_in(folder: Path, master: str = CLUSTER_URL) -> Cluster | None:
    return Cluster(master, folder) if master else None


def ask(step: Callable[..., Rows], *files: TableFile | Path) -> list[list[str]]:
    """The rows that come of a step over files, with the header."""
    known = [file if isinstance(file, TableFile) else table_file(file) for file in files]
    target = known[0].path.parent / f"answer{len(list(known[0].path.parent.iterdir()))}.csv"
    run(step, dict(zip(("input", "other"), known, strict=False)), target)
    return list(csv.reader(io.StringIO(target.read_text(), newline="")))
