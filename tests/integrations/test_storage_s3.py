"""What only an S3 server does: lost answers, pages, abandoned parts, refusals, absence."""

import gc
import http.client
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from src.domain.errors import StorageFull
from src.integrations.storage import Storage
from src.integrations.storage_choice import open_storage
from src.integrations.storage_faults import MissingContent, StorageUnavailable
from src.integrations.storage_s3 import S3Storage
from tests.integrations.conftest import Store, free_port
from tests.integrations.test_storage import eventually, unfinished_parts

pytestmark = pytest.mark.xdist_group("s3")  # what they share takes a while to make

MIB = 1024 * 1024
KEY = "files/ab/cd/one"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
LARGE = b"0123456789abcdef" * (9 * MIB // 16)
Answer = tuple[int, bytes] | None
Rule = Callable[[str, str], Answer]


class Front(ThreadingHTTPServer):
    """Stands before the real server and changes what a rule says: an answer, a path, or no answer at all."""

    daemon_threads = True

    def __init__(self, backend: str) -> None:
        super().__init__(("127.0.0.1", 0), FrontHandler)
        self.backend = urlsplit(backend)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.behave()

    def behave(self) -> None:
        self.answer: Rule = lambda _method, _path: None
        self.forwarded_path: Callable[[str, str], str] = lambda _method, path: path
        self.is_answer_lost: Callable[[str, str], bool] = lambda _method, _path: False


class FrontHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = self.server.answer(self.command, self.path)
        if answer:
            self.reply(answer[0], answer[1], {"Content-Type": "application/xml"})
            return
        connection = http.client.HTTPConnection(self.server.backend.netloc, timeout=30)
        path = self.server.forwarded_path(self.command, self.path)
        connection.request(self.command, path, body, dict(self.headers.items()))
        response = connection.getresponse()
        content = response.read()
        connection.close()
        if self.server.is_answer_lost(self.command, self.path):
            self.close_connection = True
            return
        skipped = {"content-length", "transfer-encoding", "connection", "server", "date"}
        kept = {name: value for name, value in response.getheaders() if name.lower() not in skipped}
        length = response.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        self.reply(response.status, content, {**kept, "Content-Length": length})

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - names that http.server asks for

    def reply(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def running_front(s3_endpoint: str) -> Iterator[Front]:
    with Front(s3_endpoint) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def front(running_front: Front) -> Iterator[Front]:
    yield running_front
    running_front.behave()


@pytest.fixture
def prefix() -> str:
    return uuid4().hex


@pytest.fixture
def storage(front: Front, prefix: str) -> S3Storage:
    return S3Storage(f"s3://bucket/{prefix}", endpoint_url=front.url)


def error_xml(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>refused</Message></Error>".encode()


def put(storage: Storage, content: bytes, key: str = KEY) -> None:
    with storage.create(key) as upload:
        upload.write(content)
        upload.finish()


def names(storage: Storage, older_than: datetime) -> list[str]:
    return sorted(stored.key for stored in storage.keys(older_than))


class TestFaults:
    def test_a_file_whose_last_answer_was_lost_is_finished(self, front: Front, storage: S3Storage) -> None:
        lost: list[str] = []

        def once(method: str, path: str) -> bool:
            if method == "POST" and "uploadId=" in path and not lost:
                lost.append(path)
                front.answer = gone
                return True
            return False

        def gone(method: str, path: str) -> Answer:
            is_repeated = method == "POST" and "uploadId=" in path
            return (HTTPStatus.NOT_FOUND, error_xml("NoSuchUpload")) if is_repeated else None

        front.is_answer_lost = once
        put(storage, LARGE)
        assert len(lost) == 1
        assert storage.size(KEY) == len(LARGE)
        assert unfinished_parts(storage) == 0

    def test_an_upload_that_is_gone_is_not_taken_for_the_file_that_was_there_before(
        self, front: Front, storage: S3Storage
    ) -> None:
        put(storage, b"before")
        front.answer = lambda method, path: (
            (HTTPStatus.NOT_FOUND, error_xml("NoSuchUpload"))
            if method == "POST" and "uploadId=" in path
            else None
        )
        with pytest.raises(StorageUnavailable):
            put(storage, LARGE)
        assert storage.size(KEY) == len(b"before")

    def test_a_refused_completion_fails_and_leaves_no_parts(self, front: Front, storage: S3Storage) -> None:
        front.answer = lambda method, path: (
            (HTTPStatus.BAD_REQUEST, error_xml("InvalidPart"))
            if method == "POST" and "uploadId=" in path
            else None
        )
        with pytest.raises(StorageUnavailable):
            put(storage, LARGE)
        assert unfinished_parts(storage) == 0
        with pytest.raises(MissingContent):
            storage.size(KEY)

    @pytest.mark.parametrize("content", [b"small", LARGE], ids=["one request", "parts"])
    def test_a_server_without_room_is_a_full_store(
        self, front: Front, storage: S3Storage, content: bytes
    ) -> None:
        front.answer = lambda method, _: (
            (HTTPStatus.INSUFFICIENT_STORAGE, error_xml("XMinioStorageFull")) if method == "PUT" else None
        )
        with pytest.raises(StorageFull):
            put(storage, content)
        assert unfinished_parts(storage) == 0

    def test_a_server_that_is_away_is_an_unavailable_store(self, s3_endpoint: str, soon: datetime) -> None:
        assert s3_endpoint  # for its credentials
        storage = open_storage(
            "s3://bucket/away", reserve_bytes=0, s3_endpoint_url=f"http://127.0.0.1:{free_port()}"
        )
        upload = storage.create(KEY)
        for use in (upload.finish, lambda: list(storage.keys(soon))):
            with pytest.raises(StorageUnavailable):
                use()

    def test_the_check_does_not_wait_for_a_server_that_hangs(self, front: Front, storage: S3Storage) -> None:
        hung = threading.Event()

        def hang(_method: str, _path: str) -> Answer:
            hung.wait(10)
            return None

        front.answer = hang
        with pytest.raises(StorageUnavailable):
            storage.check()
        hung.set()

    def test_a_missing_bucket_is_an_unavailable_store(self, s3_endpoint: str, soon: datetime) -> None:
        storage = open_storage("s3://no-such-bucket/x", reserve_bytes=0, s3_endpoint_url=s3_endpoint)
        for use in (storage.check, lambda: list(storage.keys(soon)), lambda: storage.sweep_unfinished(soon)):
            with pytest.raises(StorageUnavailable, match="bucket"):
                use()
        with pytest.raises(StorageUnavailable):
            put(storage, b"x")

    def test_missing_credentials_are_an_unavailable_store(
        self, front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            monkeypatch.setenv(name, str(tmp_path / "none"))
        storage = S3Storage("s3://bucket/x", endpoint_url=f"{front.url}/")  # not the driver that has them
        for use in (storage.check, lambda: put(storage, b"x")):
            with pytest.raises(StorageUnavailable):
                use()

    def test_a_read_that_is_refused_midway_is_an_unavailable_store(
        self, front: Front, storage: S3Storage
    ) -> None:
        put(storage, LARGE)
        with storage.open(KEY) as stream:
            assert stream.read(16) == LARGE[:16]
            front.answer = lambda method, _: (
                (HTTPStatus.FORBIDDEN, error_xml("AccessDenied")) if method == "GET" else None
            )
            with pytest.raises(StorageUnavailable):
                stream.read()

    def test_a_local_copy_that_came_short_is_refused(self, front: Front, storage: S3Storage) -> None:
        put(storage, b"0123456789")
        front.answer = lambda method, _: (HTTPStatus.OK, b"01234") if method == "GET" else None
        with pytest.raises(StorageUnavailable), storage.local_path(KEY):
            pass

    def test_a_discard_that_is_refused_is_logged_and_left_for_the_sweep(
        self, front: Front, storage: S3Storage, soon: datetime, caplog: pytest.LogCaptureFixture
    ) -> None:
        upload = storage.create(KEY)
        upload.write(LARGE)
        front.answer = lambda method, _: (
            (HTTPStatus.FORBIDDEN, error_xml("AccessDenied")) if method == "DELETE" else None
        )
        upload.discard()
        assert "left for the sweep" in caplog.text
        front.answer = lambda _method, _path: None
        assert storage.sweep_unfinished(soon) == 1
        assert unfinished_parts(storage) == 0


class TestListings:
    def test_keys_come_from_every_page(
        self, front: Front, storage: S3Storage, prefix: str, soon: datetime
    ) -> None:
        pages: list[str] = []

        def one_per_page(method: str, path: str) -> str:
            if method == "GET" and "list-type=2" in path:
                pages.append(path)
                return f"{path}&max-keys=1"
            return path

        for number in range(3):
            put(storage, b"x", f"files/{number}")
        front.forwarded_path = one_per_page
        assert names(storage, soon) == ["files/0", "files/1", "files/2"]
        assert len(pages) == 3
        assert all(prefix in page for page in pages)

    def test_abandoned_parts_come_from_every_page(
        self, front: Front, storage: S3Storage, prefix: str, soon: datetime
    ) -> None:
        aborted: list[str] = []

        def answer(method: str, path: str) -> Answer:
            if method == "DELETE":
                aborted.append(path.partition("?")[0].removeprefix(f"/bucket/{prefix}/"))
                return HTTPStatus.NO_CONTENT, b""
            if method == "GET" and "uploads" in path:
                return HTTPStatus.OK, uploads_xml(prefix, 2 if "key-marker=" in path else 1)
            return None

        front.answer = answer
        assert storage.sweep_unfinished(soon) == 2
        assert aborted == ["files/1", "files/2"]

    def test_leftovers_among_the_incoming_are_swept(
        self, storage: S3Storage, prefix: str, soon: datetime
    ) -> None:
        storage.fs.pipe_file(f"bucket/{prefix}/incoming/left", b"x")
        assert storage.sweep_unfinished(LONG_AGO) == 0
        assert storage.sweep_unfinished(soon) == 1
        assert names(storage, soon) == []

    def test_neighbours_in_the_bucket_are_left_alone(
        self, storage: S3Storage, front: Front, prefix: str, soon: datetime
    ) -> None:
        neighbour = S3Storage(f"s3://bucket/{prefix}-too", endpoint_url=front.url)
        put(neighbour, b"x", "files/theirs")
        put(storage, b"x", "files/ours")
        theirs = neighbour.create(KEY)
        theirs.write(LARGE)
        storage.fs.pipe_file(f"bucket/{prefix}/READ ME.TXT", b"not ours")
        assert names(storage, soon) == ["files/ours"]
        assert storage.sweep_unfinished(soon) == 0
        theirs.finish()
        assert names(neighbour, soon) == [KEY, "files/theirs"]

    def test_a_bucket_without_a_prefix_serves_too(self, s3_endpoint: str, soon: datetime) -> None:
        whole = S3Storage("s3://bucket", endpoint_url=s3_endpoint)
        key = f"files/{uuid4()}"
        put(whole, LARGE, key)
        whole.check()
        assert key in names(whole, soon)
        whole.delete(key)


class TestCollector:
    def test_an_upload_dropped_in_the_drivers_own_thread_does_not_block_it(self, storage: S3Storage) -> None:
        upload = storage.create(KEY)
        upload.write(LARGE)
        held = [upload]
        del upload
        gc.collect()
        assert unfinished_parts(storage) == 1
        storage.fs.loop.call_soon_threadsafe(held.clear)
        eventually(lambda: unfinished_parts(storage) == 0)


class TestLocalCopies:
    def test_the_copy_of_a_killed_process_is_swept_and_that_of_a_living_one_is_not(
        self,
        s3: Store,
        child: Callable[..., subprocess.Popen[str]],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        soon: datetime,
    ) -> None:
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        storage = s3.open()
        put(storage, b"content")
        process = child("download_and_wait", s3.url, s3.endpoint_url, KEY)
        assert process.stdout is not None
        copy = Path(process.stdout.readline().strip())
        assert copy.read_bytes() == b"content"
        assert storage.sweep_unfinished(soon) == 0
        process.kill()
        process.wait()
        assert storage.sweep_unfinished(LONG_AGO) == 0
        assert copy.exists()
        assert storage.sweep_unfinished(soon) == 1
        assert not copy.exists()


def uploads_xml(prefix: str, page: int) -> bytes:
    """A page with one abandoned upload and one of somebody else; the first page promises a second."""
    more = "true" if page == 1 else "false"
    uploads = "".join(
        f"<Upload><Key>{name}</Key><UploadId>id{page}</UploadId>"
        "<Initiated>2020-01-01T00:00:00.000Z</Initiated></Upload>"
        for name in (f"{prefix}/files/{page}", f"elsewhere/files/{page}")
    )
    return (
        '<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Bucket>bucket</Bucket><IsTruncated>{more}</IsTruncated>"
        f"<NextKeyMarker>m</NextKeyMarker><NextUploadIdMarker>i</NextUploadIdMarker>{uploads}"
        "</ListMultipartUploadsResult>"
    ).encode()
