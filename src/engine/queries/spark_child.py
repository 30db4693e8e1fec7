"""The child's part of a query on a cluster: sources as views of a Spark session, the result as Parquet."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.engine.queries.cluster_faults import nobody_took_part, not_computed, not_started
from src.engine.queries.statements import PartStatement
from src.engine.values import OnProgress, Sandbox

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROW = "row"
LOCAL = "local["
SECONDS_BETWEEN_LOOKS = 1.0
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
    """Let the cluster find the rows, in an application that ends with this child."""
    on_progress(0, 100, "percent")
    spark = _started(arguments["master"], folder)
    try:
        with _attended(spark, arguments["patience"]):
            return found_on(spark, arguments)
    finally:
        _end(spark)


def found_on(spark: "SparkSession", arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The files that hold the rows, in order, how many there are, and what is in them."""
    from pyspark.sql import Observation
    from pyspark.sql.functions import count, lit

    for name, path in arguments["sources"].items():
        spark.read.parquet(path).createOrReplaceTempView(name)
    for part in (PartStatement(**part) for part in arguments["parts"]):
        table = spark.sql(part.select)
        if part.refusal is not None:
            part.refuse([tuple(row) for row in table.select(ROW, "cell").orderBy(ROW).take(1)])
        else:
            table.createOrReplaceTempView(part.name)
    found, target, written = spark.sql(arguments["select"]), Path(arguments["target"]), Observation()
    found.observe(written, count(lit(1)).alias("rows")).write.parquet(str(target))
    types = {field.name: field.dataType.simpleString() for field in found.schema.fields}
    files = {
        "files": sorted(str(path) for path in target.glob("part-*.parquet")),
        "columns": list(types),
        "times": [name for name, kind in types.items() if kind == "timestamp"],
    }
    return {"found": files, "rows": written.get["rows"], "version": spark.version}


def session(master: str, settings: Mapping[str, str] | None = None) -> "SparkSession":
    """The process's only one."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(master)
    for name, value in {**SETTINGS, **(settings or {})}.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def _started(master: str, folder: Path) -> "SparkSession":
    """Java's temporary files belong into our folder: elsewhere it may not run what it puts there."""
    settings = {
        "spark.local.dir": str(folder),
        "spark.driver.defaultJavaOptions": f'-Djava.io.tmpdir="{folder}"',
    }
    try:
        return session(master, settings)
    except Exception as error:  # of Python, Java or the network between them, as it comes
        raise not_started(master) from error


@contextmanager
def _attended(spark: "SparkSession", patience: float) -> Iterator[None]:
    """Give up once no machine has taken part for so many seconds; Spark itself would wait for ever."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    is_over, is_alone = threading.Event(), threading.Event()

    def look() -> None:
        seen = time.monotonic()
        while not is_over.wait(SECONDS_BETWEEN_LOOKS):
            if _has_executors(spark):
                seen = time.monotonic()
            elif time.monotonic() - seen > patience:
                is_alone.set()
                spark.sparkContext.cancelAllJobs()
                return

    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    try:
        yield
    except (Py4JError, PySparkException) as error:
        if is_alone.is_set():
            raise nobody_took_part(patience) from error
        raise not_computed(_kind(error)) from error
    finally:
        is_over.set()
        watch.join()


def _kind(error: Exception) -> str:
    """What Spark calls it; its message may quote rows."""
    from pyspark.errors import PySparkException

    condition = error.getCondition() if isinstance(error, PySparkException) else None
    return condition or type(error).__name__


def _has_executors(spark: "SparkSession") -> bool:
    """Besides the driver, which is one itself where everything runs in this process."""
    context: Any = spark.sparkContext  # Python has no name for what Java tells about machines
    infos = context._jsc.sc().statusTracker().getExecutorInfos()  # noqa: SLF001
    return len(infos) > 1 or context.master.startswith(LOCAL)


def _end(spark: "SparkSession") -> None:
    """Wait for Java to end, so that nothing writes into our folder any more."""
    context: Any = spark.sparkContext
    gateway = context._gateway  # noqa: SLF001
    with suppress(Exception):  # it may have broken down already
        spark.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()
