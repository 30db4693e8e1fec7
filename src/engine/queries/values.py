"""What a query is given, where it runs, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from src.engine.queries.statements import OutputFormat
from src.engine.values import GIB, Detected, Regular, Sandbox

if TYPE_CHECKING:
    from src.engine.queries.rows import Rows

DRIVER_MEMORY = 6 * GIB  # of addresses: a Java process reserves more than the heap that it is given
DRIVER_FILES = 4_096
PROGRAMS = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class TableFile:
    """A file that a query reads, as its profile knows it: its reading, and the proof that it is regular."""

    path: Path
    detected: Detected
    regular: Regular | None = None


@dataclass(frozen=True)
class Query:
    """What to do: `rows` come of the sources, which are called as they were when they were scanned."""

    rows: "Rows"
    sources: Mapping[str, TableFile]
    format: OutputFormat = "csv"


@dataclass(frozen=True)
class Question:
    """A query, and the file that its rows go to. `must_be_empty`: if it finds any, the rest is not asked."""

    query: Query
    target: Path
    must_be_empty: bool = False


@dataclass(frozen=True)
class Cluster:
    """A Spark cluster: its address, and a folder that its machines and ours know by the same path.

    `java_home` and `conf_dir` are Spark's own settings; empty, the machine's Java and Spark's defaults.
    After so many seconds of `patience` in which no machine takes part a query is given up.
    """

    master: str
    folder: Path
    java_home: str = ""
    conf_dir: str = ""
    patience: float = 900.0

    def widened(self, sandbox: Sandbox) -> Sandbox:
        """What the process may use that asks the cluster. It sees no stranger's file, only what we made."""
        environment = {"PATH": PROGRAMS, "JAVA_HOME": self.java_home, "SPARK_CONF_DIR": self.conf_dir}
        return replace(
            sandbox,
            memory=DRIVER_MEMORY,
            open_files=DRIVER_FILES,
            environment={**sandbox.environment, **{name: text for name, text in environment.items() if text}},
        )


class EngineName(TypedDict):
    name: str
    version: str


@dataclass(frozen=True)
class Ran:
    """What came of it: how many rows each source has, how many were written, and which engine found them."""

    rows_in: dict[str, int]
    rows_out: int
    engine: EngineName
