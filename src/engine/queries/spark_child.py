"""The child's part of a query on a cluster: sources as views of a Spark session, the result as Parquet."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.engine.queries.statements import PartStatement
from src.engine.values import OnProgress, Sandbox

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROW = "row"
SETTINGS: Mapping[str, str] = {
    "spark.app.name": "indicators",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",
    "spark.sql.ansi.enabled": "true",  # what cannot be computed is an error, as it is in DuckDB, and no null
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",  # dates before 1582 as they are written
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
}


def read_from_cluster(
    arguments: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
) -> dict[str, Any]:
    """Let the cluster find the rows; answers the files that hold them, in order, and what is in these."""
    on_progress(0, 100, "percent")
    spark = session(arguments["master"])
    for name, path in arguments["sources"].items():
        spark.read.parquet(path).createOrReplaceTempView(name)
    for part in (PartStatement(**part) for part in arguments["parts"]):
        table = spark.sql(part.select)
        if part.refusal is not None:
            part.refuse([tuple(row) for row in table.select(ROW, "cell").orderBy(ROW).take(1)])
        else:
            table.createOrReplaceTempView(part.name)
    found, target = spark.sql(arguments["select"]), Path(arguments["target"])
    found.write.parquet(str(target))
    types = {field.name: field.dataType.simpleString() for field in found.schema.fields}
    written = {
        "files": sorted(str(path) for path in target.glob("part-*.parquet")),
        "columns": list(types),
        "times": [name for name, kind in types.items() if kind == "timestamp"],
    }
    return {"found": written, "version": spark.version}


def session(master: str) -> "SparkSession":
    """The process's only one."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(master)
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()
