"""A standalone Spark cluster of real processes: a master and workers, all on this machine."""

import os
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from src.engine.queries.values import PROGRAMS
from tests.live import Program, eventually, free_port

CONF = Path(__file__).parent / "conf"
START_SECONDS = 900.0
MASTER = "org.apache.spark.deploy.master.Master"
WORKER = "org.apache.spark.deploy.worker.Worker"


class SparkCluster:
    """`spark-class` is what Spark's own scripts start masters and workers with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.page_port = free_port(), free_port()
        self.master = self._program(
            "master", MASTER, "--port", str(self.port), "--webui-port", str(self.page_port)
        )
        self.machines: list[Program] = []

    @property
    def url(self) -> str:
        return f"spark://127.0.0.1:{self.port}"

    def start(self, machines: int) -> None:
        self.master.start()
        for _ in range(machines):
            self.add_machine()

    def add_machine(self) -> Program:
        """One more, once the master counts it."""
        name, known = f"machine-{len(self.machines) + 1}", self.alive()
        place = (
            "--webui-port",
            "0",
            "--work-dir",
            str(self.folder / name),
            "--cores",
            "1",
            "--memory",
            "600m",
        )
        machine = self._program(name, WORKER, *place, self.url)
        self.machines.append(machine.start())
        eventually(f"{name} takes part", lambda: self.alive() > known, within=START_SECONDS)
        return machine

    def alive(self) -> int:
        """How many machines the master counts."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.page_port}/json/", timeout=10) as answer:
                return int(re.findall(r'"aliveworkers"\s*:\s*(\d+)', answer.read().decode())[0])
        except (OSError, IndexError):
            return 0

    def kill_machines(self) -> None:
        for machine in self.machines:
            machine.kill()

    def stop(self) -> None:
        for program in (*self.machines, self.master):
            program.kill()

    def _program(self, name: str, kind: str, *words: str) -> Program:
        home = Path(str(find_spec("pyspark").origin)).parent  # «make spark» installs it
        env = {
            "PATH": PROGRAMS,
            "SPARK_HOME": str(home),
            "SPARK_CONF_DIR": str(CONF),
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dspark.worker.timeout=600",
            **{name: os.environ[name] for name in ("JAVA_HOME",) if name in os.environ},
        }
        command = [str(home / "bin" / "spark-class"), kind, "--host", "127.0.0.1", *words]
        return Program(name, command, self.folder, env)


@contextmanager
def spark_cluster(folder: Path, machines: int = 2) -> Iterator[SparkCluster]:
    cluster = SparkCluster(folder)
    try:
        cluster.start(machines)
        yield cluster
    finally:
        cluster.stop()
