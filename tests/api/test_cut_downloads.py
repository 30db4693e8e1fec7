"""A download whose bytes end too early, over the real web server: no client takes it for the whole."""

import http.client
import os
from pathlib import Path

import pytest

from tests.committing import own_settings, workshop
from tests.live import Live, live

__all__ = ["live", "own_settings", "workshop"]

CONTENT = b"id,name\n" + b"".join(b"%d,Ana\n" % number for number in range(200_000))


def test_it_is_seen_to_be_cut_and_logged_in_one_line(live: Live) -> None:
    web = live.start_web()
    caller = live.caller()
    file = caller.upload(CONTENT).json
    (stored,) = (path for path in Path(live.workshop.settings.storage_url).rglob("*") if path.is_file())
    os.truncate(stored, len(CONTENT) // 2)
    with pytest.raises(http.client.IncompleteRead) as cut:
        caller.get(f"/api/v1/files/{file['id']}/content", timeout=20)
    assert cut.value.partial == CONTENT[: len(CONTENT) // 2]
    assert caller.get(f"/api/v1/files/{file['id']}").status == 200
    web.stop()
    told = web.log.read_text()
    assert told.count("broke off") == 1
    assert "Traceback" not in told
