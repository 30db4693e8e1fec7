"""Operations and reports as the work of fault runs: how they are asked for, and what came of them."""

import os
from collections.abc import Callable
from typing import Any
from uuid import UUID

import orjson

from src.wiring import services
from tests.faults.books import Books
from tests.live import Answer, Caller, Live

SEASONS = b"day,season\n" + b"".join(b"2026-0%d-11,season %d\n" % (month, month) for month in range(1, 9))
STEPS = [{"operation": "derive", "column": "twice", "formula": "amount * 2"}]
RULES = [
    {"output": "who", "formula": "name"},
    {"output": "twice", "formula": "amount * 2"},
    {"output": "when", "formula": "season"},
]
Files = tuple[str, str]
Ask = Callable[[Caller, Files], Answer]


def upload_both(books: Books, caller: Caller, table: bytes) -> Files:
    """A table, and the seasons of its days; the days of one month are in none."""
    table_id, seasons_id = (
        books.upload(caller, content, name=name).json["id"]
        for content, name in ((table, "table.csv"), (SEASONS, "seasons.csv"))
    )
    return table_id, seasons_id


def ask_for_operation(caller: Caller, files: Files) -> Answer:
    """All rows of the table, with one column more."""
    return _post(caller, "/api/v1/operations", {"file_id": files[0], "steps": STEPS})


def ask_for_report(caller: Caller, files: Files) -> Answer:
    """Each row of the table with its season."""
    body = {"input_file_id": files[0], "reference_file_id": files[1], "rules": RULES}
    return _post(caller, "/api/v1/reports", body)


def job_of(answer: Answer) -> UUID:
    """The job of what was asked for."""
    assert answer.status == 202, answer
    return UUID(answer.json.get("task_id") or answer.json["job_id"])


def made_by(live: Live, caller: Caller, asked: Answer) -> bytes:
    """The file that was made, once its job is done."""
    result = live.job(job_of(asked)).result
    assert result is not None
    file_id = result.get("output_file_id") or result["file_id"]
    answer = caller.get(f"/api/v1/files/{file_id}/content")
    assert answer.status == 200, answer
    return answer.body


def report_of(caller: Caller, asked: Answer) -> bytes:
    """The report as it is downloaded."""
    answer = caller.get(f"/api/v1/reports/{asked.json['id']}/download")
    assert answer.status == 200, answer
    return answer.body


def cut_short(live: Live, file_id: str) -> None:
    """Half of the stored file is gone."""
    with services() as s:
        key = s.file_rows.get(UUID(file_id)).storage_key
    with live.workshop.adapters.storage.local_path(key) as path:
        os.truncate(path, path.stat().st_size // 2)


def _post(caller: Caller, path: str, body: dict[str, Any]) -> Answer:
    return caller.post(path, orjson.dumps(body), Content_Type="application/json")
