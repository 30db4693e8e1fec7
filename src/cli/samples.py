"""The files in samples/, given to the first administrator, so that a newcomer has something to look at."""

from pathlib import Path

from src.cli.files import store
from src.domain.paging import PageQuery
from src.domain.roles import Role
from src.wiring import services

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def load_samples() -> list[str]:
    """Store each and have it profiled; answers what to tell the operator."""
    with services() as s:
        admin = s.account_rows.search(PageQuery("id", per_page=1), role=Role.ADMIN).rows[0]
    lines = []
    for path in sorted(SAMPLES.glob("*.csv")):
        file = store(path, admin)
        with services() as s:
            job = s.profiles.start(file)
        lines.append(f"  /api/v1/files/{file.id}   {file.name}, its profile is job {job.id}")
    return ["The samples:", *lines] if lines else []
