"""The samples of a first start."""

from src.cli.samples import SAMPLES, load_samples
from tests.factories.accounts import Caller


def test_every_sample_is_the_administrators_and_gets_a_profile(admin: Caller) -> None:
    lines = load_samples()
    names = sorted(path.name for path in SAMPLES.glob("*.csv"))
    assert names
    assert sorted(row["name"] for row in admin.get("/api/v1/files").json["data"]) == names
    jobs = admin.get("/api/v1/jobs?kind=profile&state=queued").json["data"]
    assert len(jobs) == len(names)
    assert all(any(job["id"] in line for line in lines) for job in jobs)
