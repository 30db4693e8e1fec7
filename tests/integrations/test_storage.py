"""The contract of a store, held by a folder, by S3 and by another driver alike."""

import gc
import hashlib
import io
import random
import subprocess
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.formparser import FormDataParser
from werkzeug.test import EnvironBuilder

from src.integrations.storage import Storage
from src.integrations.storage_choice import open_storage
from src.integrations.storage_disk import DiskStorage
from src.integrations.storage_faults import MissingContent, StorageUnavailable
from src.integrations.storage_remote import RemoteStorage
from src.integrations.storage_s3 import S3Storage
from src.integrations.storage_upload import Upload
from tests.integrations.conftest import Store

Parsed = tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]
MIB = 1024 * 1024
KEY = "files/ab/cd/0f8fad5b-d9cb-469f-a165-70867728950e"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
LARGE = random.Random(7).randbytes(9 * MIB + 5)  # more than one part, and a rest
BAD_KEYS = [
    "",
    "/files/a",
    "files/",
    "files//a",
    "../a",
    "files/../a",
    "files/./a",
    "files/.hidden",
    "files/-a",
    "Files/a",
    "files/a b",
    "files/ã",
    "files/a\n",
    "files/a\x00",
    "files\\a",
    "files/a?versionId=1",
    "a" * 513,
]


@pytest.fixture(params=["disk", "s3", "memory"])
def store(request: pytest.FixtureRequest) -> Store:
    opened: Store = request.getfixturevalue(request.param)
    return opened


@pytest.fixture
def storage(store: Store) -> Storage:
    return store.open()


def put(storage: Storage, content: bytes, key: str = KEY) -> Upload:
    with storage.create(key) as upload:
        upload.write(content)
        upload.finish()
    return upload


def parse(builder: EnvironBuilder, parser: FormDataParser) -> Parsed:
    environ = builder.get_environ()
    with environ["wsgi.input"]:
        return parser.parse_from_environ(environ)


def names(storage: Storage, older_than: datetime) -> set[str]:
    return {stored.key for stored in storage.keys(older_than)}


class TestContract:
    @pytest.mark.parametrize("content", [b"", b"a", LARGE], ids=["empty", "one byte", "several parts"])
    def test_what_was_finished_is_read_back_byte_for_byte(self, storage: Storage, content: bytes) -> None:
        upload = put(storage, content)
        assert upload.size == storage.size(KEY) == len(content)
        assert upload.sha256 == storage.sha256(KEY) == hashlib.sha256(content).hexdigest()
        with storage.open(KEY) as stream:
            assert stream.read() == content

    def test_a_file_that_ends_with_a_whole_part_is_complete(self, storage: Storage) -> None:
        content = LARGE[:MIB] * 16
        put(storage, content)
        assert storage.sha256(KEY) == hashlib.sha256(content).hexdigest()

    def test_pieces_of_any_size_and_kind_add_up(self, storage: Storage) -> None:
        pieces: list[bytes | bytearray | memoryview] = [
            b"",
            b"ab",
            bytearray(b"cd" * 200_000),
            memoryview(LARGE * 2),
            b"z",
        ]
        upload = storage.create(KEY)
        assert [upload.write(piece) for piece in pieces] == [len(piece) for piece in pieces]
        upload.finish()
        assert storage.sha256(KEY) == upload.sha256 == hashlib.sha256(b"".join(pieces)).hexdigest()

    def test_nothing_is_visible_before_finish(self, storage: Storage) -> None:
        upload = storage.create(KEY)
        upload.write(LARGE)
        with pytest.raises(MissingContent):
            storage.size(KEY)
        with pytest.raises(MissingContent):
            storage.open(KEY)
        upload.finish()
        assert storage.size(KEY) == len(LARGE)

    def test_a_reader_moves_about_like_in_any_file(self, storage: Storage) -> None:
        put(storage, LARGE)
        with storage.open(KEY) as stream:
            assert stream.seekable()
            assert stream.seek(6 * MIB) == 6 * MIB
            assert stream.read(10) == LARGE[6 * MIB : 6 * MIB + 10]
            assert stream.seek(-5, io.SEEK_END) == len(LARGE) - 5
            assert stream.read(100) == LARGE[-5:]
            assert stream.read(1) == b""
            stream.seek(0)
            stream.seek(3, io.SEEK_CUR)
            assert stream.tell() == 3
            assert stream.read(5 * MIB) == LARGE[3 : 3 + 5 * MIB]
            stream.seek(len(LARGE) + 10)
            assert stream.read() == b""
            with pytest.raises((ValueError, OSError)):
                stream.seek(-1)

    def test_a_reader_serves_text_line_by_line(self, storage: Storage) -> None:
        put(storage, "cliente;valor\nJoão;1,5\n".encode())
        with io.TextIOWrapper(storage.open(KEY), encoding="utf-8") as lines:
            assert list(lines) == ["cliente;valor\n", "João;1,5\n"]

    def test_two_readers_of_one_file_do_not_disturb_each_other(self, storage: Storage) -> None:
        put(storage, b"0123456789")
        with storage.open(KEY) as first, storage.open(KEY) as second:
            assert first.read(4) == b"0123"
            assert second.read(6) == b"012345"
            assert first.read() == b"456789"

    def test_what_is_not_there_is_missing_content(self, storage: Storage) -> None:
        put(storage, b"x")
        for key in ("files/none", "files/ab/cd", f"{KEY}/below"):
            for use in (storage.open, storage.size, storage.sha256):
                with pytest.raises(MissingContent):
                    use(key)
            with pytest.raises(MissingContent), storage.local_path(key):
                pass

    def test_a_reader_whose_file_is_deleted_gets_all_of_it_or_an_error(self, storage: Storage) -> None:
        put(storage, LARGE)
        with storage.open(KEY) as stream:
            head = stream.read(10)
            storage.delete(KEY)
            try:
                content = head + stream.read()
            except MissingContent:
                content = LARGE
        assert content == LARGE

    def test_delete_removes_and_may_be_repeated(self, storage: Storage) -> None:
        put(storage, b"x")
        put(storage, b"y", "files/other")
        storage.delete(KEY)
        storage.delete(KEY)
        storage.delete("files/never/was")
        storage.delete("files/other/below")
        with pytest.raises(MissingContent):
            storage.size(KEY)
        assert storage.size("files/other") == 1

    def test_the_last_finish_of_a_key_wins(self, storage: Storage) -> None:
        put(storage, b"first")
        put(storage, b"second")
        with storage.open(KEY) as stream:
            assert stream.read() == b"second"

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_a_key_that_is_not_ours_is_a_bug(self, storage: Storage, key: str) -> None:
        for use in (storage.create, storage.open, storage.size, storage.delete, storage.sha256):
            with pytest.raises(ValueError, match="not a storage key"):
                use(key)
        with pytest.raises(ValueError, match="not a storage key"), storage.local_path(key):
            pass

    def test_nobody_writes_among_the_unfinished(self, storage: Storage) -> None:
        for key in ("incoming/x", "incoming"):
            with pytest.raises(ValueError, match="unfinished"):
                storage.create(key)

    def test_keys_lists_what_is_older_with_size_and_time(self, storage: Storage, soon: datetime) -> None:
        assert names(storage, soon) == set()
        put(storage, b"abc")
        put(storage, b"", "reports/r.1")
        listed = {stored.key: stored for stored in storage.keys(soon)}
        assert set(listed) == {KEY, "reports/r.1"}
        assert (listed[KEY].size, listed["reports/r.1"].size) == (3, 0)
        assert abs(listed[KEY].modified - datetime.now(UTC)) < timedelta(minutes=1)
        assert not listed[KEY].is_unfinished
        assert names(storage, LONG_AGO) == set()

    def test_a_finished_upload_leaves_only_its_file(self, storage: Storage, soon: datetime) -> None:
        put(storage, LARGE)
        assert names(storage, soon) == {KEY}
        assert storage.sweep_unfinished(soon) == 0

    def test_a_discarded_upload_leaves_nothing(self, storage: Storage, soon: datetime) -> None:
        upload = storage.create(KEY)
        upload.write(LARGE)
        upload.discard()
        upload.discard()
        assert names(storage, soon) == set()
        assert storage.sweep_unfinished(soon) == 0

    def test_leaving_the_block_without_finish_discards(self, storage: Storage, soon: datetime) -> None:
        def interrupted() -> None:
            with storage.create(KEY) as upload:
                upload.write(LARGE)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert names(storage, soon) == set()
        assert storage.sweep_unfinished(soon) == 0

    def test_a_forgotten_upload_is_discarded_by_the_collector(self, storage: Storage, soon: datetime) -> None:
        upload = storage.create(KEY)
        upload.write(LARGE)
        del upload
        gc.collect()
        assert names(storage, soon) == set()
        eventually(lambda: unfinished_parts(storage) == 0)

    def test_discard_after_finish_does_nothing(self, storage: Storage) -> None:
        upload = put(storage, b"kept")
        upload.discard()
        assert storage.size(KEY) == 4

    def test_a_closed_upload_takes_no_more(self, storage: Storage) -> None:
        finished = put(storage, b"x")
        discarded = storage.create("files/other")
        discarded.discard()
        for upload in (finished, discarded):
            with pytest.raises(ValueError, match="finished or discarded"):
                upload.write(b"y")
            with pytest.raises(ValueError, match="finished or discarded"):
                upload.finish()

    def test_the_sweep_spares_what_is_young(self, storage: Storage) -> None:
        upload = storage.create(KEY)
        upload.write(LARGE)
        assert storage.sweep_unfinished(LONG_AGO) == 0
        upload.finish()
        assert storage.sha256(KEY) == upload.sha256

    def test_finishing_what_was_swept_meanwhile_fails(self, storage: Storage, soon: datetime) -> None:
        upload = storage.create(KEY)
        upload.write(LARGE)
        assert storage.sweep_unfinished(soon) == 1
        with pytest.raises(StorageUnavailable):
            upload.finish()
        assert names(storage, soon) == set()

    def test_a_local_path_holds_the_content(self, storage: Storage) -> None:
        put(storage, LARGE)
        with storage.local_path(KEY) as path:
            assert path.read_bytes() == LARGE
            assert path.stat().st_mode & 0o077 == 0
        assert path.exists() == isinstance(storage, DiskStorage)

    def test_errors_of_whoever_uses_a_local_path_pass_unchanged(self, storage: Storage) -> None:
        put(storage, b"x")
        with pytest.raises(FileNotFoundError, match="mine"), storage.local_path(KEY):
            raise FileNotFoundError("mine")

    def test_many_threads_share_one_store(self, storage: Storage) -> None:
        contents = {f"files/{n}": bytes([n]) * (MIB * n) for n in range(5, 11)}
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda item: put(storage, item[1], item[0]), contents.items()))
            hashes = dict(zip(contents, pool.map(storage.sha256, contents), strict=True))
        assert hashes == {key: hashlib.sha256(content).hexdigest() for key, content in contents.items()}

    def test_a_healthy_store_passes_its_check_and_keeps_nothing_of_it(
        self, storage: Storage, soon: datetime
    ) -> None:
        storage.check()
        assert names(storage, soon) == set()

    def test_room_is_a_number_on_a_disk_only(self, storage: Storage) -> None:
        free = storage.free_bytes()
        assert (free is not None and free > 0) if isinstance(storage, DiskStorage) else free is None


class TestUploadAsStream:
    def test_a_form_parser_writes_a_file_part_into_it(self, storage: Storage, soon: datetime) -> None:
        upload = storage.create(KEY)
        builder = EnvironBuilder(method="POST", data={"note": "x", "file": (io.BytesIO(LARGE), "../ç.csv")})
        parser = FormDataParser(stream_factory=lambda *_, **__: upload, silent=False)
        _, form, files = parse(builder, parser)
        assert form["note"] == "x"
        assert files["file"].filename == "../ç.csv"
        upload.finish()
        files["file"].close()
        assert names(storage, soon) == {KEY}
        assert storage.sha256(KEY) == upload.sha256 == hashlib.sha256(LARGE).hexdigest()

    def test_an_empty_file_part_is_an_empty_file(self, storage: Storage) -> None:
        upload = storage.create(KEY)
        builder = EnvironBuilder(method="POST", data={"file": (io.BytesIO(), "a.csv")})
        parse(builder, FormDataParser(stream_factory=lambda *_, **__: upload))
        upload.finish()
        assert storage.size(KEY) == 0

    def test_a_request_that_closes_its_files_discards_the_unfinished(
        self, storage: Storage, soon: datetime
    ) -> None:
        upload = storage.create(KEY)
        builder = EnvironBuilder(method="POST", data={"file": (io.BytesIO(LARGE), "a.csv")})
        parser = FormDataParser(stream_factory=lambda *_, **__: upload)
        _, _, files = parse(builder, parser)
        files["file"].close()
        assert names(storage, soon) == set()
        assert storage.sweep_unfinished(soon) == 0

    def test_a_zip_is_written_into_it_without_going_back(self, storage: Storage) -> None:
        with storage.create(KEY) as upload:
            with zipfile.ZipFile(upload, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("a.csv", b"1;2\n" * 1000)
                archive.writestr("b.csv", b"3")
            upload.finish()
        with storage.open(KEY) as stream, zipfile.ZipFile(stream) as archive:
            assert archive.testzip() is None
            assert archive.read("a.csv") == b"1;2\n" * 1000

    def test_text_is_written_through_a_wrapper(self, storage: Storage) -> None:
        with storage.create(KEY) as upload:
            text = io.TextIOWrapper(upload, encoding="utf-8", newline="")
            text.write("José\n")
            text.detach()
            upload.finish()
        with storage.open(KEY) as stream:
            assert stream.read() == "José\n".encode()

    def test_it_is_neither_read_nor_changed_afterwards(self, storage: Storage) -> None:
        with storage.create(KEY) as upload:
            assert (upload.writable(), upload.readable(), upload.seekable()) == (True, False, False)
            upload.write(b"x")
            for use in (
                upload.read,
                upload.tell,
                lambda: upload.seek(1),
                lambda: upload.seek(0, io.SEEK_END),
            ):
                with pytest.raises(io.UnsupportedOperation):
                    use()
            assert upload.seek(0) == 0
            with pytest.raises(io.UnsupportedOperation, match="after the end"):
                upload.write(b"y")


class TestOpenStorage:
    @pytest.mark.parametrize("form", ["{}", "file://{}"])
    def test_a_folder_is_named_by_path_or_url(self, tmp_path: Path, form: str) -> None:
        folder = tmp_path / "a b"
        url = form.format(str(folder).replace(" ", "%20") if "file" in form else folder)
        storage = open_storage(url, reserve_bytes=7)
        assert isinstance(storage, DiskStorage)
        assert (storage.root, storage.reserve_bytes) == (folder, 7)
        assert not folder.exists()
        storage.check()
        assert folder.is_dir()

    def test_a_relative_folder_stays_where_it_was_when_the_process_moves(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        storage = open_storage("var/files", reserve_bytes=0)
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        put(storage, b"x")
        assert (tmp_path / "var/files" / KEY).read_bytes() == b"x"

    def test_other_urls_are_other_stores(self) -> None:
        assert isinstance(open_storage("s3://bucket/prefix/", reserve_bytes=0), S3Storage)
        assert type(open_storage("memory://x", reserve_bytes=0)) is RemoteStorage

    def test_an_unknown_kind_of_store_is_refused_at_once(self) -> None:
        with pytest.raises(ValueError, match="nonsense"):
            open_storage("nonsense://x", reserve_bytes=0)

    @pytest.mark.parametrize("url", ["memory://", "memory://a/b/"])
    def test_a_prefix_may_be_missing_deep_or_end_with_a_slash(self, url: str, soon: datetime) -> None:
        storage = open_storage(url, reserve_bytes=0)
        put(storage, b"x", "files/prefix-test")
        try:
            assert "files/prefix-test" in names(storage, soon)
        finally:
            storage.delete("files/prefix-test")


class TestProcesses:
    @pytest.mark.parametrize("store", ["disk", "s3"], indirect=True)
    def test_an_upload_killed_in_the_middle_is_invisible_and_swept(
        self, store: Store, child: Callable[..., subprocess.Popen[str]], soon: datetime
    ) -> None:
        process = child("upload_and_wait", store.url, store.endpoint_url, KEY, 9)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
        process.wait()
        storage = store.open()
        with pytest.raises(MissingContent):
            storage.size(KEY)
        assert all(stored.is_unfinished for stored in storage.keys(soon))
        assert storage.sweep_unfinished(LONG_AGO) == 0
        assert storage.sweep_unfinished(soon) == 1
        assert names(storage, soon) == set()
        assert storage.sweep_unfinished(soon) == 0

    @pytest.mark.parametrize("store", ["disk", "s3"], indirect=True)
    def test_one_store_serves_before_and_after_a_fork(
        self, store: Store, child: Callable[..., subprocess.Popen[str]], soon: datetime
    ) -> None:
        process = child("fork_and_use", store.url, store.endpoint_url)
        printed, errors = process.communicate(timeout=60)
        assert (printed, process.returncode) == ("done\n", 0), errors
        expected = {f"files/{name}" for name in ("parent-before", "inherited", "child", "parent-after")}
        assert names(store.open(), soon) == expected

    @pytest.mark.parametrize("store", ["disk", "s3"], indirect=True)
    def test_a_process_that_ends_with_an_open_upload_ends_quietly(
        self, store: Store, child: Callable[..., subprocess.Popen[str]], soon: datetime
    ) -> None:
        process = child("leave_open", store.url, store.endpoint_url, 9)
        printed, errors = process.communicate(timeout=60)
        assert (printed, errors, process.returncode) == ("leaving\n", "", 0)
        storage = store.open()
        storage.sweep_unfinished(soon)
        assert names(storage, soon) == set()

    @pytest.mark.parametrize(("store", "megabytes"), [("disk", 512), ("s3", 128)], indirect=["store"])
    def test_a_large_upload_does_not_fill_the_memory(
        self, store: Store, megabytes: int, child: Callable[..., subprocess.Popen[str]]
    ) -> None:
        process = child("measure", store.url, store.endpoint_url, megabytes)
        printed, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert int(printed) < 64 * 1024
        store.open().delete("files/large")


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def unfinished_parts(storage: Storage) -> int:
    """Multipart uploads that an S3 server still keeps for this store; elsewhere there are none."""
    if not isinstance(storage, S3Storage):
        return 0
    bucket, _, prefix = storage.root.partition("/")
    answer = storage.fs.call_s3("list_multipart_uploads", Bucket=bucket)
    return sum(upload["Key"].startswith(prefix) for upload in answer.get("Uploads", []))
