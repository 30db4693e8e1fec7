"""Uploads: what is kept is whole and what it says it is; of what is refused, nothing stays behind."""

import errno
import gzip
import io
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from gunicorn.http.errors import InvalidChunkSize
from sqlalchemy import func, select, text
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse

from src.config import Settings
from src.integrations.storage_disk import DiskStorage, DiskUpload
from src.integrations.storage_upload import Upload
from src.models import Account, File
from src.services.reading import Readers
from src.wiring import Services
from tests.api.conftest import Change, MakeApp, stored
from tests.api.nouns import CSV, FILES, a_file
from tests.engine.making import workbook_bytes
from tests.factories.accounts import Accounts, Caller

each = pytest.mark.parametrize


def send(caller: Caller, content: bytes = CSV, name: str = "people.csv", **options: Any) -> TestResponse:
    """A multipart upload."""
    return caller.post(FILES, **multipart([("file", FileStorage(io.BytesIO(content), name))]), **options)


def rows(services: Services) -> int:
    return services.session.scalars(select(func.count()).select_from(File)).one()


def booked(services: Services, caller: Caller) -> int:
    return services.session.scalars(select(Account.stored_bytes).where(Account.id == caller.id)).one()


def assert_nothing_stays(store: DiskStorage, services: Services, caller: Caller) -> None:
    assert stored(store) == []
    assert rows(services) == 0
    assert booked(services, caller) == 0


class TestWhatIsKept:
    @each("way", ["multipart", "raw"])
    def test_the_bytes_their_hash_and_what_they_are(
        self, operator: Caller, store: DiskStorage, services: Services, way: str
    ) -> None:
        answer = (
            send(operator)
            if way == "multipart"
            else operator.post(FILES, query_string={"filename": "people.csv"}, data=CSV)
        )
        assert answer.status_code == 201
        made = answer.json
        assert (made["name"], made["size"], made["kind"]) == ("people.csv", len(CSV), "upload")
        assert made["sha256"] == sha256(CSV).hexdigest()
        assert made["media_type"] == "text/csv"
        assert (made["detected"]["delimiter"], made["detected"]["encoding"]) == (",", "utf-8")
        assert answer.headers["Location"] == f"{FILES}/{made['id']}"
        assert [path.read_bytes() for path in stored(store)] == [CSV]
        assert booked(services, operator) == len(CSV)

    def test_what_was_detected_is_told_for_each_column(self, operator: Caller) -> None:
        content = "nome;valor;data\nÁgata;1.234,50;31/12/2025\nRui;3,25;01/02/2026\n".encode("cp1252")
        found = send(operator, content, "dados.csv").json["detected"]
        assert (found["delimiter"], found["decimal"], found["encoding"]) == (";", ",", "cp1252")
        assert [(column["name"], column["type"]) for column in found["columns"]] == [
            ("nome", "text"),
            ("valor", "decimal"),
            ("data", "date"),
        ]

    def test_a_packed_file_is_looked_into(self, operator: Caller) -> None:
        made = send(operator, gzip.compress(CSV, mtime=0), "people.csv.gz").json
        assert (made["media_type"], made["detected"]["format"]) == ("application/gzip", "csv")

    def test_other_form_fields_beside_the_file_do_no_harm(self, operator: Caller) -> None:
        form = {"note": "for you", "file": (io.BytesIO(CSV), "people.csv"), "more": "x" * 1_000}
        answer = operator.post(FILES, data=form, content_type="multipart/form-data")
        assert answer.status_code == 201

    def test_an_upload_in_pieces_of_unknown_number_is_kept_whole(
        self, operator: Caller, store: DiskStorage
    ) -> None:
        content = CSV + b"3,Carla,1.00\n" * 300_000
        answer = endless(operator, content)
        assert (answer.status_code, answer.json["size"]) == (201, len(content))
        assert [path.stat().st_size for path in stored(store)] == [len(content)]

    def test_it_expires_after_a_year(self, operator: Caller) -> None:
        made = send(operator).json
        assert int(made["expires_at"][:4]) - int(made["created_at"][:4]) == 1

    def test_equal_files_are_two_files(self, operator: Caller, store: DiskStorage) -> None:
        assert send(operator).json["id"] != send(operator).json["id"]
        assert len(stored(store)) == 2


class TestWhenTooManyAreLookedInto:
    """The places where workbooks are read are all taken."""

    @pytest.fixture(autouse=True)
    def taken(self, change: Change, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setattr("src.services.reading.PATIENCE", 0.05)
        readers = Readers(replace(settings, max_readers=1))
        change(readers=readers)
        with readers.turn():
            yield

    def test_a_workbook_is_told_to_come_again_and_nothing_of_it_stays(
        self, operator: Caller, store: DiskStorage, services: Services
    ) -> None:
        answer = send(operator, workbook_bytes({"A": [["id"], [1]]}), "people.xlsx")
        assert (answer.status_code, answer.json["type"]) == (503, "/problems/readers-busy")
        assert answer.headers["Retry-After"] == "5"
        assert_nothing_stays(store, services, operator)

    def test_texts_need_no_place(self, operator: Caller, store: DiskStorage) -> None:
        made = send(operator)
        assert made.status_code == 201
        assert operator.get(f"{FILES}/{made.json['id']}/preview").status_code == 200

    def test_the_preview_of_a_workbook_waits_its_turn_as_well(
        self, operator: Caller, store: DiskStorage, change: Change, settings: Settings
    ) -> None:
        taken = change().readers
        change(readers=Readers(settings))
        made = send(operator, workbook_bytes({"A": [["id"], [1]]}), "people.xlsx").json
        change(readers=taken)
        assert operator.get(f"{FILES}/{made['id']}/preview").status_code == 503


class TestNames:
    @each(
        ("given", "kept"),
        [
            ("../../etc/passwd.csv", "passwd.csv"),
            ("..\\..\\windows\\system.csv", "system.csv"),
            ("/etc/passwd", "passwd"),
            ("a\r\nSet-Cookie: x=y.csv", "aSet-Cookie: x=y.csv"),
            ("invoice\u202evsc.exe", "invoicevsc.exe"),
            ("nul\x00.csv", "nul.csv"),
            ("..", "unnamed"),
            ("  spaces  .csv ", "spaces  .csv"),
            ("relatório ação.csv", "relatório ação.csv"),
            ("数据.csv", "数据.csv"),
        ],
    )
    def test_a_name_is_for_people_and_never_reaches_the_disk(
        self, operator: Caller, store: DiskStorage, given: str, kept: str
    ) -> None:
        answer = operator.post(FILES, query_string={"filename": given}, data=CSV)
        if "\x00" in given:
            assert answer.status_code == 400
            return
        assert answer.json["name"] == kept
        (path,) = stored(store)
        assert path.is_relative_to(store.root / "files")
        assert answer.json["id"].replace("-", "") != path.name
        assert len(path.name) == 32

    def test_the_name_of_a_form_part_is_cleaned_too(self, operator: Caller) -> None:
        assert send(operator, name="../../up.csv").json["name"] == "up.csv"

    def test_a_name_of_five_kilobytes_is_shortened_or_refused(self, operator: Caller) -> None:
        name = send(operator, name="x" * 5_000 + ".csv").json["name"]
        assert (len(name), name[-4:]) == (255, ".csv")
        refused = operator.post(FILES, query_string={"filename": "x" * 5_000}, data=CSV)
        assert refused.status_code == 400
        assert refused.json["errors"][0]["pointer"] == "/filename"


class TestWhatIsRefused:
    @each(
        ("content", "name", "status", "slug"),
        [
            (b"", "empty.csv", 400, "empty-file"),
            (b"\n\n  \n", "blank.csv", 400, "empty-file"),
            (b"MZ\x90\x00\x03\x00\x00\x00" + bytes(100), "report.csv", 415, "unsupported-file"),
            (b"\x89PNG\r\n\x1a\n" + bytes(100), "picture.xlsx", 415, "unsupported-file"),
            (b"<!DOCTYPE html><html></html>", "table.csv", 415, "unsupported-file"),
            (gzip.compress(bytes(3_000_000), mtime=0), "bomb.csv.gz", 413, "archive-bomb"),
            (b"PK\x03\x04 this is no archive", "broken.zip", 400, "broken-file"),
            (b"a" * 1_200_000, "line.csv", 400, "giant-line"),
            (",".join(f"c{n}" for n in range(2_000)).encode(), "wide.csv", 400, "too-many-columns"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_it_says_why_and_keeps_nothing(
        self,
        operator: Caller,
        store: DiskStorage,
        services: Services,
        content: bytes,
        name: str,
        status: int,
        slug: str,
    ) -> None:
        answer = send(operator, content, name)
        assert (answer.status_code, answer.json["type"]) == (status, f"/problems/{slug}")
        assert_nothing_stays(store, services, operator)

    @each(
        "form",
        [
            {},
            {"other": "field"},
            {"file": "text, not a file"},
            {"upload": (io.BytesIO(CSV), "people.csv")},
            [("file", (io.BytesIO(CSV), "a.csv")), ("file", (io.BytesIO(CSV), "b.csv"))],
            [("file", (io.BytesIO(CSV), "a.csv")), ("other", (io.BytesIO(CSV), "b.csv"))],
        ],
        ids=["no part", "no file", "a field", "wrong name", "two files", "another file"],
    )
    def test_a_form_without_exactly_one_part_named_file(
        self, operator: Caller, store: DiskStorage, services: Services, form: Any
    ) -> None:
        pairs = form if isinstance(form, list) else list(form.items())
        fresh = [
            (name, FileStorage(io.BytesIO(CSV), value[1]) if isinstance(value, tuple) else value)
            for name, value in pairs
        ]
        answer = operator.post(FILES, **multipart(fresh))
        assert answer.status_code == 400
        assert_nothing_stays(store, services, operator)

    def test_a_raw_body_without_a_name(
        self, operator: Caller, store: DiskStorage, services: Services
    ) -> None:
        answer = operator.post(FILES, data=CSV, content_type="text/csv")
        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (400, "/filename")
        assert_nothing_stays(store, services, operator)

    def test_ten_thousand_parts(self, operator: Caller, store: DiskStorage, services: Services) -> None:
        fields: list[Any] = [(f"field{number}", "x") for number in range(10_000)]
        answer = operator.post(FILES, **multipart([*fields, ("file", FileStorage(io.BytesIO(CSV), "a.csv"))]))
        assert answer.status_code == 413
        assert_nothing_stays(store, services, operator)

    def test_ten_thousand_parts_behind_the_file(
        self, operator: Caller, store: DiskStorage, services: Services
    ) -> None:
        fields: list[Any] = [(f"field{number}", "x") for number in range(10_000)]
        answer = operator.post(FILES, **multipart([("file", FileStorage(io.BytesIO(CSV), "a.csv")), *fields]))
        assert answer.status_code == 413
        assert_nothing_stays(store, services, operator)

    def test_a_form_field_of_a_megabyte(
        self, operator: Caller, store: DiskStorage, services: Services
    ) -> None:
        form: list[Any] = [("file", FileStorage(io.BytesIO(CSV), "a.csv")), ("note", "x" * 1_000_000)]
        assert operator.post(FILES, **multipart(form)).status_code == 413
        assert_nothing_stays(store, services, operator)

    @each("way", ["multipart", "raw", "endless"])
    def test_more_than_is_allowed_is_413(
        self, operator: Caller, store: DiskStorage, services: Services, change: Change, way: str
    ) -> None:
        change(max_upload_bytes=100_000)
        content = CSV + b"3,Carla,1.00\n" * 20_000
        answers = {
            "multipart": lambda: send(operator, content),
            "raw": lambda: operator.post(FILES, query_string={"filename": "a.csv"}, data=content),
            "endless": lambda: endless(operator, content),
        }
        answer = answers[way]()
        assert (answer.status_code, answer.json["type"]) == (413, "/problems/request-entity-too-large")
        assert_nothing_stays(store, services, operator)

    @each("is_terminated", [False, True], ids=["werkzeug counts", "the server counts"])
    @each("way", ["multipart", "raw"])
    def test_fewer_bytes_than_announced_is_400(
        self,
        operator: Caller,
        store: DiskStorage,
        services: Services,
        way: str,
        is_terminated: bool,
    ) -> None:
        whole = multipart([("file", FileStorage(io.BytesIO(CSV), "a.csv"))]) if way == "multipart" else {}
        content = whole.pop("input_stream").read() if whole else CSV
        environ = {"CONTENT_LENGTH": str(len(content)), "wsgi.input_terminated": is_terminated}
        answer = operator.post(
            FILES,
            query_string={"filename": "a.csv"},
            input_stream=io.BytesIO(content[:-3]),
            content_type=whole.get("content_type", "text/csv"),
            environ_overrides=environ,
        )
        assert answer.status_code == 400
        assert_nothing_stays(store, services, operator)

    def test_pieces_that_the_server_cannot_make_sense_of_are_400(
        self, operator: Caller, store: DiskStorage, services: Services
    ) -> None:
        answer = operator.post(
            FILES,
            query_string={"filename": "a.csv"},
            input_stream=BrokenPieces(CSV),
            environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
        )
        assert (answer.status_code, answer.json["type"]) == (400, "/problems/cut-short")
        assert_nothing_stays(store, services, operator)

    def test_a_form_that_never_ends_is_400(
        self, operator: Caller, store: DiskStorage, services: Services
    ) -> None:
        whole = multipart([("file", FileStorage(io.BytesIO(CSV), "a.csv"))])
        content = whole["input_stream"].read().rpartition(b"--")[0].rpartition(b"--")[0]
        answer = operator.post(FILES, data=content, content_type=whole["content_type"])
        assert answer.status_code == 400
        assert_nothing_stays(store, services, operator)

    @each("kind", ["multipart/form-data", "multipart/form-data; boundary="])
    def test_a_form_without_boundary_is_400(
        self, operator: Caller, store: DiskStorage, services: Services, kind: str
    ) -> None:
        assert operator.post(FILES, data=CSV, content_type=kind).status_code == 400
        assert_nothing_stays(store, services, operator)

    def test_files_sent_to_another_address_are_not_taken_in(
        self, app: Flask, store: DiskStorage, operator: Caller
    ) -> None:
        form = {"email": "a@b.org", "file": (io.BytesIO(CSV), "a.csv")}
        for path in ("/api/v1/auth/login", "/echo"):
            answer = operator.post(path, data=form, content_type="multipart/form-data")
            assert answer.status_code in (400, 415)
            form["file"] = (io.BytesIO(CSV), "a.csv")
        assert stored(store) == []

    def test_a_view_that_wants_no_files_gets_none(self, make_app: MakeApp, store: DiskStorage) -> None:
        app = make_app(storage=store)
        app.add_url_rule("/planted", view_func=lambda: str(request.files), methods=["POST"])
        form = multipart([("file", FileStorage(io.BytesIO(CSV), "a.csv"))])
        assert app.test_client().post("/planted", **form).status_code == 400
        assert stored(store) == []


class TestRoom:
    def test_what_exceeds_the_quota_is_507_and_what_fits_is_kept(
        self, operator: Caller, store: DiskStorage, services: Services, change: Change
    ) -> None:
        change(quota_bytes=len(CSV) * 2)
        assert [send(operator).status_code for _ in range(3)] == [201, 201, 507]
        assert send(operator).json["type"] == "/problems/quota-exceeded"
        assert (len(stored(store)), rows(services), booked(services, operator)) == (2, 2, len(CSV) * 2)

    def test_each_account_has_a_quota_of_its_own(
        self, operator: Caller, accounts: Accounts, change: Change
    ) -> None:
        change(quota_bytes=len(CSV))
        assert send(operator).status_code == 201
        assert send(accounts.caller()).status_code == 201

    def test_deleting_gives_the_room_back(
        self, operator: Caller, store: DiskStorage, services: Services, change: Change
    ) -> None:
        change(quota_bytes=len(CSV))
        made = send(operator).json
        assert operator.delete(f"{FILES}/{made['id']}").status_code == 204
        assert_nothing_stays(store, services, operator)
        assert send(operator).status_code == 201

    def test_a_disk_at_its_reserve_is_507_before_anything_is_written(
        self, operator: Caller, services: Services, change: Change, tmp_path: Path
    ) -> None:
        storage = DiskStorage(tmp_path / "full", reserve_bytes=2**62)
        change(storage=storage)
        answer = send(operator)
        assert (answer.status_code, answer.json["type"]) == (507, "/problems/storage-full")
        assert_nothing_stays(storage, services, operator)

    @each("way", ["multipart", "raw"])
    def test_a_disk_that_fills_up_meanwhile_is_507_and_nothing_stays(
        self, operator: Caller, services: Services, change: Change, tmp_path: Path, way: str
    ) -> None:
        storage = FillingStorage(tmp_path / "filling")
        change(storage=storage)
        content = CSV + b"3,Carla,1.00\n" * 100_000
        answer = (
            send(operator, content)
            if way == "multipart"
            else operator.post(FILES, query_string={"filename": "a.csv"}, data=content)
        )
        assert (answer.status_code, answer.json["type"]) == (507, "/problems/storage-full")
        assert_nothing_stays(storage, services, operator)

    def test_a_database_that_is_away_leaves_the_bytes_to_the_sweep(
        self, operator: Caller, store: DiskStorage, services: Services
    ) -> None:
        """The row may be committed after all: nobody knows, so nobody deletes."""
        services.session.execute(text("SET LOCAL lock_timeout = '50ms'"))
        with services.adapters.database.bind.engine.connect() as other:
            other.execute(text("LOCK TABLE file IN ACCESS EXCLUSIVE MODE"))
            answer = send(operator)
        assert (answer.status_code, answer.json["type"]) == (503, "/problems/database-unavailable")
        assert len(stored(store)) == 1


def test_two_deletions_at_once_free_the_room_once(
    operator: Caller, services: Services, store: DiskStorage
) -> None:
    first, second = a_file(operator), a_file(operator)
    file = services.file_rows.get(first["id"])
    services.session.expunge(file)
    assert operator.delete(f"{FILES}/{first['id']}").status_code == 204
    with pytest.raises(services.file_rows.missing):
        services.files.delete(file, None)
    assert booked(services, operator) == second["size"]


class BrokenPieces(io.BytesIO):
    """A body in chunks, the second of which has no size."""

    def readinto(self, buffer: Any, /) -> int:
        found = super().readinto(buffer)
        if not found:
            raise InvalidChunkSize(b"zz")
        return found


class FillingUpload(DiskUpload):
    def _send(self, chunk: bytes) -> None:
        if self.size > 500_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        super()._send(chunk)


class FillingStorage(DiskStorage):
    """A disk with room for half a megabyte."""

    def create(self, key: str) -> Upload:
        return FillingUpload(self, key, self.root / key)


def multipart(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A form with its parts in this order, as arguments of a request."""
    boundary, body = "the-boundary", io.BytesIO()
    for name, value in pairs:
        is_file = isinstance(value, FileStorage)
        filename = f'; filename="{value.filename}"' if is_file else ""
        content = value.read() if is_file else str(value).encode()
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'
        body.write(head.encode() + content + b"\r\n")
    body.write(f"--{boundary}--\r\n".encode())
    body.seek(0)
    return {"input_stream": body, "content_type": f"multipart/form-data; boundary={boundary}"}


def endless(caller: Caller, content: bytes) -> TestResponse:
    """A raw upload whose length nobody knows beforehand."""
    return caller.post(
        FILES,
        query_string={"filename": "a.csv"},
        input_stream=io.BytesIO(content),
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
    )
