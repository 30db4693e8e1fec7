"""Files: listed, looked into, downloaded whole and in part, profiled, deleted."""

import io
from typing import Any
from urllib.parse import unquote
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.http import parse_options_header
from werkzeug.test import TestResponse

from src.api.lists import attachment
from src.domain.files import clean_name
from src.integrations.storage_disk import DiskStorage
from src.integrations.storage_faults import StorageUnavailable
from src.wiring import Services
from tests.api.conftest import Change, stored
from tests.api.nouns import CSV, FILES, JOBS, a_file
from tests.factories.accounts import Accounts, Caller

each = pytest.mark.parametrize
LINES = CSV + b"".join(b"%d,Carla,1.00\n" % number for number in range(3, 30_000))


def names(answer: TestResponse) -> list[str]:
    return [file["name"] for file in answer.json["data"]]


def content(caller: Caller, file: dict[str, Any], **headers: str) -> TestResponse:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.get(f"{FILES}/{file['id']}/content", headers=sent)


class TestList:
    def test_owners_see_their_own_and_administrators_all(
        self, operator: Caller, accounts: Accounts, admin: Caller
    ) -> None:
        a_file(operator, name="mine.csv")
        a_file(accounts.caller(), name="theirs.csv")
        assert names(operator.get(FILES)) == ["mine.csv"]
        assert names(admin.get(FILES)) == ["theirs.csv", "mine.csv"]

    def test_it_is_filtered_by_name_kind_and_hash(self, operator: Caller) -> None:
        one = a_file(operator, name="Report_1.csv")
        a_file(operator, CSV + b"3,Carla,1.00\n", name="report%2.csv")
        assert names(operator.get(FILES, query_string={"name": "REPORT"})) == ["report%2.csv", "Report_1.csv"]
        assert names(operator.get(FILES, query_string={"name": "_"})) == ["Report_1.csv"]
        assert names(operator.get(FILES, query_string={"name": "%"})) == ["report%2.csv"]
        assert names(operator.get(FILES, query_string={"sha256": one["sha256"].upper()})) == ["Report_1.csv"]
        assert names(operator.get(FILES, query_string={"kind": "produced"})) == []
        assert len(names(operator.get(FILES, query_string={"kind": "upload"}))) == 2

    @each("filters", [{"kind": "other"}, {"sha256": "abc"}, {"name": "a\x00b"}])
    def test_a_value_that_no_file_can_have_is_400(self, operator: Caller, filters: dict[str, str]) -> None:
        answer = operator.get(FILES, query_string=filters)
        assert answer.status_code == 400
        assert [fault["pointer"] for fault in answer.json["errors"]] == [f"/{name}" for name in filters]

    @each("text", ["' OR 1=1 --", "\\", "%s", "{}", ";DROP TABLE file"])
    def test_sql_in_a_filter_is_only_text(self, operator: Caller, text: str) -> None:
        a_file(operator)
        assert names(operator.get(FILES, query_string={"name": text})) == []


class Breaking(io.BytesIO):
    """A store, and a file in it at the same time, that gives these pieces and raises these errors."""

    def __init__(self, pieces: list[bytes | Exception]) -> None:
        super().__init__()
        self.pieces = pieces

    def open(self, _key: str) -> "Breaking":
        return self

    def read(self, _size: int | None = -1, /) -> bytes:
        piece = self.pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece


class TestContent:
    def test_the_bytes_come_back_as_they_were_sent(self, operator: Caller) -> None:
        file = a_file(operator, LINES)
        answer = content(operator, file)
        assert answer.status_code == 200
        assert answer.data == LINES
        assert answer.headers["Content-Type"] == "text/csv"
        assert answer.headers["Content-Length"] == str(len(LINES))
        assert answer.headers["ETag"] == f'"{file["sha256"]}"'
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert answer.headers["Content-Disposition"].startswith("attachment;")

    def test_head_tells_everything_but_the_bytes(self, operator: Caller) -> None:
        file = a_file(operator)
        answer = operator.call("head", f"{FILES}/{file['id']}/content")
        assert (answer.status_code, answer.data) == (200, b"")
        assert answer.headers["Content-Length"] == str(len(CSV))

    @each(
        ("wanted", "start", "stop"),
        [
            ("bytes=0-9", 0, 10),
            ("bytes=5-", 5, None),
            ("bytes=-7", -7, None),
            ("bytes=0-0", 0, 1),
            (f"bytes={len(LINES) - 1}-", -1, None),
            ("bytes=10-99999999", 10, None),
            ("bytes=100000-300000", 100_000, 300_001),
        ],
    )
    def test_a_part_is_206_with_just_those_bytes(
        self, operator: Caller, wanted: str, start: int, stop: int | None
    ) -> None:
        answer = content(operator, a_file(operator, LINES), Range=wanted)
        assert answer.status_code == 206
        assert answer.data == LINES[start:stop]
        first = LINES.index(answer.data) if len(answer.data) > 50 else range(len(LINES))[start]
        last = first + len(answer.data) - 1
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(LINES)}"
        assert answer.headers["Content-Length"] == str(len(answer.data))

    @each("wanted", ["bytes=0-1,5-6", "items=0-1", "bytes=a-b", "bytes", "bytes=", "bytes=5-1"])
    def test_a_range_that_is_not_understood_gets_the_whole(self, operator: Caller, wanted: str) -> None:
        answer = content(operator, a_file(operator), Range=wanted)
        assert (answer.status_code, answer.data) == (200, CSV)

    @each("wanted", [f"bytes={len(CSV)}-", "bytes=1000-2000"])
    def test_a_range_behind_the_end_is_416_with_the_size(self, operator: Caller, wanted: str) -> None:
        answer = content(operator, a_file(operator), Range=wanted)
        assert (answer.status_code, answer.json["type"]) == (416, "/problems/range-not-satisfiable")
        assert answer.headers["Content-Range"] == f"bytes */{len(CSV)}"

    def test_if_range_gives_the_part_only_of_these_very_bytes(self, operator: Caller) -> None:
        file = a_file(operator)
        modified = content(operator, file).headers["Last-Modified"]
        for condition in (f'"{file["sha256"]}"', modified):
            answer = content(operator, file, Range="bytes=0-1", If_Range=condition)
            assert (answer.status_code, answer.data) == (206, CSV[:2]), condition
        for condition in ('"other"', "Thu, 01 Jan 1970 00:00:00 GMT"):
            answer = content(operator, file, Range="bytes=0-1", If_Range=condition)
            assert (answer.status_code, answer.data) == (200, CSV), condition

    def test_who_has_it_already_gets_304(self, operator: Caller) -> None:
        file = a_file(operator)
        modified = content(operator, file).headers["Last-Modified"]
        for condition in ({"If_None_Match": f'"{file["sha256"]}"'}, {"If_Modified_Since": modified}):
            answer = content(operator, file, **condition)
            assert (answer.status_code, answer.data) == (304, b"")
        assert content(operator, file, If_None_Match='"other"').status_code == 200

    def test_an_if_match_that_fails_is_412(self, operator: Caller) -> None:
        answer = content(operator, a_file(operator), If_Match='"other"')
        assert (answer.status_code, answer.json["type"]) == (412, "/problems/precondition-failed")

    def test_content_that_is_gone_from_the_store_is_told_as_such(
        self, operator: Caller, store: DiskStorage
    ) -> None:
        file = a_file(operator)
        stored(store)[0].unlink()
        answer = content(operator, file)
        assert (answer.status_code, answer.json["type"]) == (404, "/problems/content-missing")

    @each("ending", [StorageUnavailable("It went away."), b""])
    def test_one_that_breaks_off_ends_the_connection_and_is_logged_in_one_line(
        self, operator: Caller, change: Change, caplog: pytest.LogCaptureFixture, ending: bytes | Exception
    ) -> None:
        file = a_file(operator, LINES)
        change(storage=Breaking([LINES[:10], ending]))
        answer = operator.get(f"{FILES}/{file['id']}/content", buffered=False)
        pieces = answer.iter_encoded()
        assert (answer.status_code, next(pieces)) == (200, LINES[:10])
        with pytest.raises(ConnectionResetError):
            next(pieces)
        (line,) = [record for record in caplog.records if record.name == "src.api.files"]
        assert f"{len(LINES) - 10} bytes before its end" in line.getMessage()
        assert line.exc_info is None

    @each("name", ["relatório ação.csv", 'quo"te\\.csv', "数据.csv", "100%;x=y.csv", "a'b.csv"])
    def test_the_name_of_the_download_is_the_file_s(self, operator: Caller, name: str) -> None:
        header = content(operator, a_file(operator, name=name)).headers["Content-Disposition"]
        assert header.isascii()
        assert unquote(header.partition("filename*=UTF-8''")[2]) == clean_name(name)

    @given(st.text(max_size=300))
    @settings(derandomize=True, deadline=None, max_examples=200)
    def test_no_name_can_break_out_of_the_header(self, name: str) -> None:
        header = attachment(clean_name(name))
        assert header.isascii()
        assert header.isprintable()
        kind, options = parse_options_header(header)
        assert (kind, options["filename"]) == ("attachment", clean_name(name))


class TestPreview:
    def test_the_first_rows_as_text(self, operator: Caller) -> None:
        file = a_file(operator, LINES)
        answer = operator.get(f"{FILES}/{file['id']}/preview", query_string={"rows": 2})
        assert answer.json == {
            "columns": ["id", "name", "amount"],
            "rows": [["1", "Ana", "10.50"], ["2", "Bruno", "3.25"]],
            "truncated": True,
        }

    def test_a_short_file_is_there_as_a_whole(self, operator: Caller) -> None:
        answer = operator.get(f"{FILES}/{a_file(operator)['id']}/preview")
        assert (len(answer.json["rows"]), answer.json["truncated"]) == (2, False)

    @each("rows", ["0", "501", "-1", "1e9", "many", ""])
    def test_more_rows_than_allowed_or_none_is_400(self, operator: Caller, rows: str) -> None:
        answer = operator.get(f"{FILES}/{a_file(operator)['id']}/preview", query_string={"rows": rows})
        assert answer.status_code == 400


class TestProfile:
    def test_it_is_a_job_of_the_file_s_owner(self, operator: Caller, admin: Caller) -> None:
        file = a_file(operator)
        answer = admin.post(f"{FILES}/{file['id']}/profile")
        assert (answer.status_code, answer.json["kind"], answer.json["state"]) == (202, "profile", "queued")
        assert answer.headers["Location"] == f"{JOBS}/{answer.json['id']}"
        assert operator.get(answer.headers["Location"]).json["args"] == {"file_id": file["id"]}

    def test_asked_for_twice_it_is_one_job(self, operator: Caller) -> None:
        path = f"{FILES}/{a_file(operator)['id']}/profile"
        assert operator.post(path).json["id"] == operator.post(path).json["id"]

    def test_until_the_job_is_done_it_is_404(self, operator: Caller) -> None:
        answer = operator.get(f"{FILES}/{a_file(operator)['id']}/profile")
        assert (answer.status_code, answer.json["type"]) == (404, "/problems/not-profiled")


class TestDelete:
    def test_row_and_bytes_are_gone(self, operator: Caller, store: DiskStorage) -> None:
        path = f"{FILES}/{a_file(operator)['id']}"
        assert operator.delete(path).status_code == 204
        assert operator.get(path).status_code == 404
        assert operator.delete(path).status_code == 404
        assert stored(store) == []

    def test_an_administrator_frees_the_owner_s_room(
        self, operator: Caller, admin: Caller, services: Services
    ) -> None:
        admin.delete(f"{FILES}/{a_file(operator)['id']}")
        assert services.account_rows.get(operator.id).stored_bytes == 0

    def test_bytes_that_cannot_be_deleted_do_not_bring_the_row_back(
        self, operator: Caller, store: DiskStorage
    ) -> None:
        file = a_file(operator)
        stored(store)[0].unlink()
        assert operator.delete(f"{FILES}/{file['id']}").status_code == 204


def test_a_file_is_told_as_it_was_kept(operator: Caller) -> None:
    file = a_file(operator)
    assert operator.get(f"{FILES}/{file['id']}").json == file
    assert UUID(file["id"]).version == 7
    assert operator.get(f"{FILES}/{uuid4()}").status_code == 404
