"""A cluster that is not there, or has no machines, is told of clearly; and nothing stays behind."""

from collections.abc import Callable
from pathlib import Path

import pytest

from src.engine.queries.cluster_faults import ClusterFailed
from src.engine.queries.rows import scan
from src.engine.queries.running import Cluster, Query, run_query
from tests.cluster.machines import CONF, spark_cluster
from tests.engine.queries.asking import table_file
from tests.live import free_port

Ask = Callable[[str], None]


@pytest.fixture
def ask(tmp_path: Path, shared: Path) -> Ask:
    path, work = tmp_path / "a.csv", tmp_path / "work"
    path.write_text("a,b\n1,x\n")
    work.mkdir()
    file = table_file(path)
    query = Query(scan("input", file.detected.columns), {"input": file})

    def asked(master: str) -> None:
        cluster = Cluster(master, shared, conf_dir=str(CONF), patience=5)
        run_query(query, tmp_path / "out.csv", work_dir=work, cluster=cluster)

    return asked


def test_a_master_that_is_away(ask: Ask, shared: Path, tmp_path: Path) -> None:
    with pytest.raises(ClusterFailed, match="Spark did not start"):
        ask(f"spark://127.0.0.1:{free_port()}")
    assert [*shared.iterdir(), *(tmp_path / "work").iterdir()] == []


def test_a_cluster_without_machines(ask: Ask, shared: Path, tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir()
    with (
        spark_cluster(tmp_path / "cluster", machines=0) as cluster,
        pytest.raises(ClusterFailed, match="For 5 seconds no machine of the cluster took part"),
    ):
        ask(cluster.url)
    assert [*shared.iterdir(), *(tmp_path / "work").iterdir()] == []
