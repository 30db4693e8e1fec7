"""What can go wrong between us and a cluster; through nobody's file, so that the job is tried again."""

from src.domain.errors import Unavailable


class ClusterFailed(Unavailable):
    slug = "cluster-failed"
    title = "The Spark cluster did not answer the query"


def not_started(master: str) -> ClusterFailed:
    return ClusterFailed(
        f"Spark did not start for {master}. Is the master there, has the worker's machine Java and "
        "requirements-spark.txt, and is its version of Spark that of the cluster?"
    )


def nobody_took_part(seconds: float) -> ClusterFailed:
    return ClusterFailed(
        f"For {seconds:.0f} seconds no machine of the cluster took part. Are its workers there, have they "
        "cores and memory to spare, and do they reach the driver, which runs beside our worker?"
    )


def not_computed(kind: str) -> ClusterFailed:
    return ClusterFailed(
        f"The query broke off on the cluster ({kind}). Do all its machines know ENGINE_FOLDER by the same "
        "path, and may they write there? The executors' logs say more."
    )


def not_all_there(written: int, found: int) -> ClusterFailed:
    return ClusterFailed(
        f"The cluster wrote {written} rows, of which {found} are in ENGINE_FOLDER. It has to be one folder "
        "that all machines share, not one on each."
    )
