"""flask events replay: a file of events, watched to the end."""

from pathlib import Path

from tests.committing import Workshop
from tests.factories.clients import a_client
from tests.factories.imports import table
from tests.factories.workers import working


def test_a_file_of_events_is_replayed_once_and_a_dry_run_only_tells(
    workshop: Workshop, tmp_path: Path
) -> None:
    workshop.accounts.caller("admin")
    a_client("1")
    file = tmp_path / "events.csv"
    file.write_text("type,amount,user_id,t\nwithdraw,101,1,1\nwithdraw,1,1,1\nwithdraw,1,1,2\n")
    runner = workshop.app.test_cli_runner()
    with working(workshop):
        told = runner.invoke(args=["events", "replay", str(file), "--dry-run"])
        assert "state=validated" in told.stdout.splitlines(), told.output
        assert table("SELECT t FROM event") == []
        for _ in range(2):
            done = runner.invoke(args=["events", "replay", str(file)])
            assert {"state=done", "inserted=2", "rejected=1"} < set(done.stdout.splitlines()), done.output
    assert table("SELECT t FROM event ORDER BY t") == [(1,), (2,)]
    assert table("SELECT code FROM alert") == [(1100,)]
