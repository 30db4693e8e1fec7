"""What the tests of many machines share: a Spark cluster, a real S3 API server, and the service before them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.machines import SparkCluster, spark_cluster
from tests.committing import own_settings, workshop
from tests.integrations.conftest import s3_endpoint
from tests.live import live

__all__ = ["live", "own_settings", "s3_endpoint", "workshop"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    """A master and two machines."""
    with spark_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """ENGINE_FOLDER, which all machines know by this path."""
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder
