"""Other tools beside an import: each loads the clean file, whose ids are resolved, as well as it can.

Left out are those that are not there: pgloader, and in the environment PEERS dlt, csvkit and pandas.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

PEERS = Path(os.environ.get("PEERS", "/nonexistent"))
OWN_TABLE = "into a table of its own without indexes"
PANDAS = """
import sys, io, pandas, psycopg2
path, url, table, columns = sys.argv[1:]
frame = pandas.read_csv(path, names=columns.split(", "), dtype=str, keep_default_na=False)
buffer = io.StringIO()
frame.to_csv(buffer, index=False, header=False)
buffer.seek(0)
with psycopg2.connect(url) as connection, connection.cursor() as cursor:
    cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN (FORMAT csv)", buffer)
"""
DLT = """
import sys, csv, dlt
path, url, columns = sys.argv[1:]
names = columns.split(", ")

def rows():
    with open(path, newline="") as file:
        for row in csv.reader(file):
            yield dict(zip(names, row))

pipeline = dlt.pipeline("bench", destination=dlt.destinations.postgres(url), dataset_name="peers")
pipeline.run(rows(), table_name="dlt_rows", loader_file_format="csv", write_disposition="replace")
"""
PGLOADER = """
LOAD CSV FROM '{path}' ({columns})
INTO {url} TARGET TABLE {table} ({columns})
WITH fields terminated by ',', fields optionally enclosed by '"'
SET client_min_messages TO 'error';
"""


def peers(
    path: Path, url: str, table: str, columns: str, folder: Path
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Each tool that is there: what it is called in the table, and how it is run."""
    python, csvsql = PEERS / "bin" / "python", PEERS / "bin" / "csvsql"
    if pgloader := shutil.which("pgloader"):
        script = folder / "pgloader.load"
        host = url.partition("host=")[2].partition("&")[0]
        address = f"postgresql://indicators@unix:{host}:5432/indicators"
        script.write_text(PGLOADER.format(path=path, columns=columns, url=address, table=f"public.{table}"))
        yield "pgloader", partial(_run, pgloader, "--quiet", script)
    if python.exists():
        yield "pandas + COPY", partial(_run, python, "-c", PANDAS, path, url, table, columns)
        socket = quote(url.partition("host=")[2].partition("&")[0], safe="")
        complete = (
            f"postgresql://indicators:none@{socket}:5432/indicators"  # it insists on a host and a password
        )
        yield f"dlt, {OWN_TABLE}", partial(_run, python, "-c", DLT, path, complete, columns)
    if csvsql.exists():
        named = folder / "named.csv"
        named.write_text(columns.replace(" ", "") + "\n" + path.read_text())
        given = (
            "--db",
            url.replace("postgresql:", "postgresql+psycopg2:"),
            "--insert",
            "--overwrite",
            "--tables",
            "csvsql_rows",
            "--no-inference",
        )
        yield f"csvsql, {OWN_TABLE}", partial(_run, csvsql, *given, named)


def _run(*argv: str | Path) -> None:
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
