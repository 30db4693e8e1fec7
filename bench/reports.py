"""Reports: five formulas over a joined file, beside SQL of DuckDB written by hand, pandas and Polars.

`python -m bench.reports [--rows 12000000] [--rounds 5] [--peers] [--write]` brings its own files.
"""

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import islice, zip_longest
from pathlib import Path
from random import Random

from bench.page import machine, write_section
from src.domain.rules_reading import read_rules
from src.engine.profile import profile
from src.engine.queries.running import Query, Question, Ran, run_queries, run_query
from src.engine.queries.values import TableFile
from src.engine.reading.detect import detect
from src.engine.reports.making import Making
from src.engine.reports.planning import Plan, plan_of
from src.engine.reports.values import Table

HEADING = "## Reports"
REFERENCE_ROWS = 100_000
MIB = 1024 * 1024
RULES = [
    {"output": "outfield1", "formula": "field1 + field2"},
    {"output": "outfield2", "formula": "refdata1"},
    {"output": "outfield3", "formula": "refdata2 + refdata3"},
    {"output": "outfield4", "formula": "field3 * max(field5, refdata4)"},
    {"output": "outfield5", "formula": "max(field5, refdata4)"},
]
# In the input's order: joins keep it on one thread, with the sides as they stand.
BY_HAND = """
import duckdb, sys
source, reference, target = sys.argv[1:4]
db = duckdb.connect(config={"threads": 1, "memory_limit": "400MiB", "preserve_insertion_order": True,
    "disabled_optimizers": "build_side_probe_side,join_order"})
db.execute("set enable_progress_bar = false")
db.execute(f'''copy (
    with r as (select * from read_csv('{reference}', auto_detect = false, header = true, columns = {{
        refkey1: 'varchar', refkey2: 'varchar', refdata1: 'varchar', refdata2: 'varchar',
        refdata3: 'varchar', refdata4: 'decimal(7,2)'}})),
    i as (select * from read_csv('{source}', auto_detect = false, header = true, columns = {{
        field1: 'varchar', field2: 'varchar', field3: 'decimal(7,2)', field4: 'varchar',
        field5: 'decimal(7,2)', refkey1: 'varchar', refkey2: 'varchar'}})),
    j as (select i.*,
        case when b.refkey2 is null then a.refdata1 else b.refdata1 end as refdata1,
        case when b.refkey2 is null then a.refdata2 else b.refdata2 end as refdata2,
        case when b.refkey2 is null then a.refdata3 else b.refdata3 end as refdata3,
        case when b.refkey2 is null then a.refdata4 else b.refdata4 end as refdata4
        from i left join r a on a.refkey1 = i.refkey1 left join r b on b.refkey2 = i.refkey2)
    select coalesce(field1, '') || coalesce(field2, '') as outfield1, refdata1 as outfield2,
        coalesce(refdata2, '') || coalesce(refdata3, '') as outfield3,
        coalesce(field3, 0) * greatest(coalesce(field5, 0), coalesce(refdata4, 0)) as outfield4,
        greatest(coalesce(field5, 0), coalesce(refdata4, 0)) as outfield5
    from j) to '{target}' (format csv, header true)''')
"""
PANDAS = """
import pandas as pd, sys
source, reference, target = sys.argv[1:4]
texts = {name: str for name in ("field1", "field2", "field4", "refkey1", "refkey2")}
i = pd.read_csv(source, dtype=texts)
r = pd.read_csv(reference, dtype={"refkey1": str, "refkey2": str})
data = ["refdata1", "refdata2", "refdata3", "refdata4"]
a = i[["refkey1"]].merge(r[["refkey1", *data]], on="refkey1", how="left")[data]
b = i[["refkey2"]].merge(r[["refkey2", *data]], on="refkey2", how="left")[data]
d = b.where(b["refdata4"].notna(), a)
top = pd.concat([i["field5"].fillna(0), d["refdata4"].fillna(0)], axis=1).max(axis=1)
pd.DataFrame({"outfield1": i["field1"].fillna("") + i["field2"].fillna(""), "outfield2": d["refdata1"],
    "outfield3": d["refdata2"].fillna("") + d["refdata3"].fillna(""),
    "outfield4": i["field3"].fillna(0) * top, "outfield5": top}).to_csv(target, index=False)
"""
POLARS = """
import polars as pl, sys
source, reference, target = sys.argv[1:4]
r = pl.scan_csv(reference)
data = ["refdata1", "refdata2", "refdata3", "refdata4"]
j = (pl.scan_csv(source).join(r.select("refkey1", *data), on="refkey1", how="left", maintain_order="left")
    .join(r.select("refkey2", *data), on="refkey2", how="left", suffix="_b", maintain_order="left"))
d = {name: pl.coalesce(f"{name}_b", name) for name in data}
top = pl.max_horizontal(pl.col("field5").fill_null(0), d["refdata4"].fill_null(0))
j.select(outfield1=pl.col("field1").fill_null("") + pl.col("field2").fill_null(""), outfield2=d["refdata1"],
    outfield3=d["refdata2"].fill_null("") + d["refdata3"].fill_null(""),
    outfield4=pl.col("field3").fill_null(0) * top, outfield5=top).sink_csv(target)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", action="store_true", help="also pandas and Polars, once each")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-reports-") as name:
        section = measured(Path(name), options.rows, options.rounds, with_peers=options.peers)
    print(section)
    if options.write:
        write_section(HEADING, section)


def measured(folder: Path, rows: int, rounds: int, *, with_peers: bool) -> str:
    """Our report and the SQL by hand take turns; the ratio of each pair counts."""
    load = os.getloadavg()[0]
    source, reference = folder / "input.csv", folder / "reference.csv"
    generate(source, reference, rows)
    tables = [table(path, folder) for path in (source, reference)]
    plan = plan_of(read_rules(RULES), tables[0], tables[1], {}, "csv")
    runs: dict[str, Callable[[Path], object]] = {
        "the report's rows": lambda target: ours(plan, tables, folder, target),
        "SQL by hand, as deterministic": lambda target: script(BY_HAND, source, reference, target),
        "the report with its manifest": lambda target: whole(plan, tables, target),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    memory: dict[str, int] = dict.fromkeys(runs, 0)
    for _ in range(rounds):
        for name, run in runs.items():
            target = folder / f"{len(times[name])}-{abs(hash(name))}.csv"
            seconds, peak = timed(run, target)
            times[name].append(seconds)
            memory[name] = max(memory[name], peak)
            if name == "SQL by hand, as deterministic":
                compare(folder / f"{len(times[name]) - 1}-{abs(hash(next(iter(runs))))}.csv", target)
        for made in folder.glob("*-*.csv"):
            made.unlink()
    if with_peers:
        for name, text in (("pandas", PANDAS), ("Polars", POLARS)):
            peer = partial(script, text, source, reference)
            seconds, memory[name] = timed(peer, folder / "peer.csv")
            times[name] = [seconds]
    return page(source.stat().st_size, rows, rounds, load, times, memory)


def generate(source: Path, reference: Path, rows: int) -> None:
    """The same each time; one key in fifty is not in the reference."""
    dice = Random(4)
    with reference.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["refkey1", "refkey2", "refdata1", "refdata2", "refdata3", "refdata4"])
        for n in range(REFERENCE_ROWS):
            writer.writerow(
                [
                    f"a{n:06}",
                    f"b{n:06}",
                    f"name {n}",
                    f"city {n % 977}",
                    f"zone {n % 13}",
                    f"{dice.randrange(10**6) / 100:.2f}",
                ]
            )
    with source.open("w", newline="") as out:
        out.write("field1,field2,field3,field4,field5,refkey1,refkey2\n")
        top = REFERENCE_ROWS * 51 // 50
        for n in range(rows):
            one, other, amount, limit = (
                dice.randrange(top),
                dice.randrange(top),
                dice.randrange(10**6),
                dice.randrange(10**6),
            )
            numbers = f"{amount / 100:.2f},some text {n % 7},{limit / 100:.2f}"
            out.write(f"customer {n},x{n % 89},{numbers},a{one:06},b{other:06}\n")


def table(path: Path, folder: Path) -> Table:
    """Profiled beforehand, as a file is once for all its reports."""
    found = profile(path, detect(path, path.name), work_dir=folder)
    return Table(TableFile(path, found.detected, found.regular), found)


def ours(plan: Plan, tables: Sequence[Table], folder: Path, target: Path) -> Ran:
    files, rows = {"input": tables[0].file, "reference": tables[1].file}, replace(plan.rows, notes=())
    return run_query(Query(rows, files, "csv"), target, work_dir=folder, memory_limit=plan.memory)


def whole(plan: Plan, tables: Sequence[Table], target: Path) -> object:
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:

        def run(questions: Sequence[Question]) -> list[Ran]:
            return run_queries(questions, work_dir=Path(folder), memory_limit=plan.memory)

        return Making(plan, tables[0], tables[1], Path(folder), run).make().figures


def script(text: str, source: Path, reference: Path, target: Path) -> None:
    subprocess.run([sys.executable, "-c", text, str(source), str(reference), str(target)], check=True)


def timed(run: Callable[[Path], object], target: Path) -> tuple[float, int]:
    """Seconds, and the largest resident memory of a process that did it: measured in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        started = time.perf_counter()
        run(target)
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        os.write(writing, json.dumps([seconds, peak]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        seconds, peak = json.loads(answer.read())
    os.waitpid(child, 0)
    return float(seconds), int(peak)


def compare(ours: Path, theirs: Path) -> None:
    """The same rows in the same order; numbers may be written differently."""
    with ours.open(newline="") as one, theirs.open(newline="") as other:
        for mine, its in islice(zip_longest(csv.reader(one), csv.reader(other)), 0, None, 997):
            assert mine[:3] == its[:3], (mine, its)
            assert mine[0] == "outfield1" or [Decimal(cell) for cell in mine[3:]] == [
                Decimal(cell) for cell in its[3:]
            ]


def page(
    size: int, rows: int, rounds: int, load: float, times: dict[str, list[float]], memory: dict[str, int]
) -> str:
    by_hand = times["SQL by hand, as deterministic"]
    told = (
        f"{rows:,} rows, {size / MIB:,.0f} MiB of CSV, two lookups into {REFERENCE_ROWS:,} rows, five"
        f" formulas, CSV out in the input's order. {machine()}; medians of {rounds} alternating rounds, the"
        f" ratio of each round; the machine's load was {load:.1f} before. The file's profile, which is made"
        " once, is not in it."
        " Rows of ours and of the SQL by hand are compared. Again: `python -m bench.reports --peers --write`."
    )
    lines = [
        f"{HEADING}\n",
        f"{told}\n",
        "| | s | of SQL by hand | resident MiB |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, seconds in times.items():
        ratios = [mine / its for mine, its in zip(seconds, by_hand, strict=False)]
        lines.append(
            f"| {name} | {statistics.median(seconds):.1f} | {statistics.median(ratios):.2f}"
            f" | {memory[name] // MIB} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
