"""Operations: the service's plans beside hand-written DuckDB SQL, pandas and Polars on the same file.

`python -m bench.operations [--rows 3000000] [--rounds 5] [--write]`. Each run is a process of its own, the
service's with its child. The profile is made before, once, as in the service. Polars and pandas come with
`uv pip install polars pandas`; what is not there is left out.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.page import machine, write_section

HEADING = "## Operations"
COLUMNS = ("id", "name", "day", "amount", "currency", "code", "note")
LIMIT = "409MiB"  # what the service gives DuckDB of its child's memory
LEAST = 900
MAKE = """
    copy (select 'K' || lpad((k * 7919 % {rows})::varchar, 9, '0') as id,
        'client ' || (k * 31 % 1000003) as name, date '2020-01-01' + (k % 2000)::int as day,
        (k * 37 % 100000) / 100.0 as amount, 'BRL' as currency,
        lpad((k % 10000)::varchar, 5, '0') as code, 'some text, with comma ' || k as note
    from (select case when i % 6 = 5 then i // 2 else i end as k from range({rows}) t(i)))
    to '{file}' (header)"""
STEPS: Mapping[str, list[dict[str, Any]]] = {
    "dedup": [{"operation": "dedup", "keep": "first"}],
    "unique": [{"operation": "unique", "column": "id"}],
    "filter": [
        {
            "operation": "filter",
            "match": "all",
            "filters": [{"column": "amount", "operator": ">", "value": LEAST}],
        }
    ],
}
GUESSING = "pandas, guessing"  # the types of the columns; for what is grouped by texts, nobody would
WAYS = ("service", "duckdb", "polars", "pandas", GUESSING)
SECONDS_OF_REST = 2  # in which the service's child gets ready; so that all begin alike, each way has it
TAKING_TURNS = 2  # of them, in every round


def by_service(operation: str, file: Path, target: Path) -> Callable[[], object]:
    from src.engine.operations.applying import apply
    from src.engine.queries.duckdb import statements
    from src.engine.queries.rows import scan
    from src.engine.queries.running import run_query
    from src.engine.queries.values import Query, TableFile
    from src.engine.starting import CHILDREN
    from src.engine.values import Profile

    known = Profile.from_json(json.loads(file.with_suffix(".profile").read_text()))
    source = TableFile(file, known.detected, known.regular)

    def run() -> None:
        rows = apply(STEPS[operation], scan("input", known.detected.columns), {})
        run_query(Query(rows, {"input": source}), target, work_dir=target.parent)

    # a worker has loaded its libraries, and compiled a query before; and a child waits that has done so too
    statements(apply(STEPS[operation], scan("input", known.detected.columns), {}), "csv")
    CHILDREN.keep()
    return run


def by_duckdb(operation: str, file: Path, target: Path) -> Callable[[], object]:
    """As a careful person would write it: exact, in order, everything read as text."""
    import duckdb

    columns, out = ", ".join(COLUMNS), f"to '{target}' (header)"
    source = f"read_csv('{file}', all_varchar = true, allow_quoted_nulls = false)"
    numbered = f"(select row_number() over () as n, * from {source})"
    queries = {
        "dedup": f"copy (select {columns} from (select {columns}, min(n) as n from {numbered} group by all) "
        f"order by n) {out}",
        "unique": f"copy (select {columns} from {numbered} semi join (select min(n) as n from {numbered} "
        f"group by id) using (n) order by n) {out}",
        "filter": f"copy (select * from {source} where try_cast(amount as double) > {LEAST}) {out}",
    }
    connection = duckdb.connect(config={"memory_limit": LIMIT, "threads": 2})
    connection.execute(f"set temp_directory = '{target.parent}/spill'")
    return lambda: connection.execute(queries[operation])


def by_polars(operation: str, file: Path, target: Path) -> Callable[[], object]:
    pl = import_module("polars")

    def run() -> None:
        rows = pl.scan_csv(file, infer_schema=False)
        if operation == "filter":
            rows = rows.filter(pl.col("amount").cast(pl.Float64, strict=False) > LEAST)
        else:
            subset = None if operation == "dedup" else ["id"]
            rows = rows.unique(subset, keep="first", maintain_order=True)
        rows.sink_csv(target)

    return run


def by_pandas(operation: str, file: Path, target: Path) -> Callable[[], object]:
    pd = import_module("pandas")

    def run() -> None:
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
        if operation == "filter":
            rows = rows[pd.to_numeric(rows["amount"], errors="coerce") > LEAST]
        else:
            rows = rows.drop_duplicates(None if operation == "dedup" else ["id"])
        rows.to_csv(target, index=False)

    return run


def by_pandas_guessing(operation: str, file: Path, target: Path) -> Callable[[], object]:
    """A filter as it is often written. It does less: zeros before and behind numbers are lost."""
    assert operation == "filter", operation
    pd = import_module("pandas")

    def run() -> None:
        rows = pd.read_csv(file)
        rows[rows["amount"] > LEAST].to_csv(target, index=False)

    return run


def run_one(way: str, operation: str, file: Path) -> None:
    """In a process of its own: seconds, most memory in MB, and how many rows came out."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        target = Path(folder, "out.csv")
        run = globals()[f"by_{way.replace(', ', '_')}"](operation, file, target)
        time.sleep(SECONDS_OF_REST)
        began = time.monotonic()
        run()
        seconds = time.monotonic() - began
        with target.open("rb") as lines:
            rows = sum(block.count(b"\n") for block in iter(lambda: lines.read(1 << 20), b"")) - 1
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"seconds": seconds, "memory": peak / 1024, "rows": rows}))


def prepare(file: Path, rows: int) -> None:
    """The file, and its profile."""
    import duckdb

    from src.engine.profile import profile
    from src.engine.reading.detect import detect

    duckdb.connect().execute(MAKE.format(rows=rows, file=file))
    began = time.monotonic()
    found = profile(file, detect(file, file.name), work_dir=file.parent)
    print(f"{file.stat().st_size / 1e6:.0f} MB, profiled in {time.monotonic() - began:.1f} s", flush=True)
    file.with_suffix(".profile").write_text(json.dumps(found.to_json()))


def measure(file: Path, rounds: int) -> dict[tuple[str, str], list[dict[str, float]]]:
    """All ways by turns; those that are far off, once."""
    every = [way for way in WAYS if way == "service" or find_spec(way.partition(",")[0])]
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for number in range(rounds):
        for operation in STEPS:
            for way in every if number == 0 else every[:TAKING_TURNS]:
                if way == GUESSING and operation != "filter":
                    continue
                command = [
                    sys.executable,
                    "-m",
                    "bench.operations",
                    "--one",
                    way,
                    operation,
                    "--file",
                    str(file),
                ]
                answer = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
                found.setdefault((operation, way), []).append(answer)
                print(f"{number + 1}/{rounds} {operation} {way}: {answer}", flush=True)
    return found


def report(found: Mapping[tuple[str, str], list[dict[str, float]]]) -> list[str]:
    """The table, with how much faster or slower the service is than each other way."""
    lines = ["| operation | way | s | MB | service takes, of its time |", "|---|---|---|---|---|"]
    for operation in STEPS:
        counts = {one["rows"] for (name, _), some in found.items() if name == operation for one in some}
        if len(counts) != 1:
            raise SystemExit(f"{operation}: the ways disagree: {counts}")
        ours = statistics.median(one["seconds"] for one in found[operation, "service"])
        for way in WAYS:
            if some := found.get((operation, way)):
                seconds = statistics.median(one["seconds"] for one in some)
                memory = max(one["memory"] for one in some)
                ratio = "" if way == "service" else f"{ours / seconds:.2f}"
                lines.append(f"| {operation} | {way} | {seconds:.1f} | {memory:.0f} | {ratio} |")
    return lines


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "OPERATION"))
    parser.add_argument("--file", type=Path)
    given = parser.parse_args()
    if given.one:
        way, operation = given.one
        run_one(way, operation, given.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows.csv")
        load = os.getloadavg()[0]
        prepare(file, given.rows)
        size = file.stat().st_size / 1e6
        lines = report(measure(file, given.rounds))
    section = "\n".join(
        [
            HEADING,
            "",
            f"{given.rows:,} rows, {size:.0f} MB of CSV, five of six rows distinct; each run is a process "
            "of its own. DuckDB's SQL is as exact and keeps the same order, with the same memory. "
            "All read texts and write each value as it was, but for `pandas, guessing`, which takes columns "
            "for numbers and writes those anew: 00042 comes out as 42. The profile is made before, once for "
            "each file.",
            "",
            f"{machine()}. Medians of {given.rounds}, by turns, Polars and pandas once; the machine's load "
            f"was {load:.1f} before it began. Again: `python -m bench.operations --write`.",
            "",
            *lines,
            "",
        ]
    )
    print(section)
    if given.write:
        write_section(HEADING, section)


if __name__ == "__main__":
    main()
