"""Files in S3 or a server that speaks its API: multipart uploads, listings page by page."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from threading import Thread
from typing import Any

from src.integrations.storage import KEY, StoredKey, checked_new_key
from src.integrations.storage_faults import MissingContent, StorageUnavailable, reading
from src.integrations.storage_remote import PART_BYTES, RemoteStorage
from src.integrations.storage_upload import Upload

# botocore repeats a request, and s3fs repeats that: with their defaults a dead server costs minutes
ATTEMPTS = 2
CONFIG = {
    "connect_timeout": 3,
    "read_timeout": 20,
    "max_pool_connections": 32,
    "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
}
CHECK_SECONDS = 2


class S3Storage(RemoteStorage):
    """Credentials and region come from the usual AWS_* variables, which the library reads itself."""

    def __init__(self, url: str, *, endpoint_url: str = "") -> None:
        # more than one range at a time would hold 50 MB for each of them
        super().__init__(url, endpoint_url=endpoint_url or None, config_kwargs=CONFIG, max_concurrency=1)

    def create(self, key: str) -> Upload:
        return S3Upload(self, checked_new_key(key))

    def check(self) -> None:
        with self._listing():
            self._call("list_objects_v2", Prefix=self._prefix, MaxKeys=1, timeout=CHECK_SECONDS)

    def keys(self, older_than: datetime) -> Iterator[StoredKey]:
        with self._listing():
            for item in self._pages("list_objects_v2", "Contents", Prefix=self._prefix):
                key = item["Key"].removeprefix(self._prefix)
                modified = item["LastModified"].astimezone(UTC)
                if KEY.fullmatch(key) and modified < older_than:
                    yield StoredKey(key, int(item["Size"]), modified)

    def sweep_unfinished(self, older_than: datetime) -> int:
        removed = super().sweep_unfinished(older_than)
        with self._listing():
            # not asked for by prefix: MinIO then takes it for one whole name, and finds nothing
            for item in self._pages("list_multipart_uploads", "Uploads"):
                if item["Key"].startswith(self._prefix) and item["Initiated"] < older_than:
                    with suppress(FileNotFoundError):
                        self.fs.abort_mpu(self._bucket, item["Key"], item["UploadId"])
                        removed += 1
        return removed

    @contextmanager
    def _listing(self) -> Iterator[None]:
        try:
            with reading(Exception):
                yield
        except MissingContent as error:
            raise StorageUnavailable("The bucket for stored files does not exist.") from error

    def _new_driver(self) -> tuple[Any, str]:
        fs, root = super()._new_driver()
        fs.retries = ATTEMPTS
        return fs, root

    @property
    def _bucket(self) -> str:
        return self.root.partition("/")[0]

    @property
    def _prefix(self) -> str:
        prefix = self.root.partition("/")[2]
        return f"{prefix}/" if prefix else ""

    def _call(self, operation: str, **arguments: object) -> Any:
        return self.fs.call_s3(operation, Bucket=self._bucket, **arguments)

    def _pages(self, operation: str, field: str, **arguments: object) -> Iterator[dict[str, Any]]:
        """All items of a listing, a thousand in memory at a time."""
        marker: dict[str, object] = {}
        while True:
            page = self._call(operation, **arguments, **marker)
            yield from page.get(field, [])
            if not page.get("IsTruncated"):
                return
            if field == "Uploads":
                marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
            else:
                marker = {"ContinuationToken": page["NextContinuationToken"]}


class S3Upload(Upload):
    """Small files in one request, larger ones in parts that nobody sees until the upload is completed.

    Parts have one size, which some servers demand; 10,000 of them are allowed, so a file may have 80 GB.
    """

    chunk_bytes = PART_BYTES

    def __init__(self, storage: S3Storage, key: str) -> None:
        super().__init__(key)
        self._fs = storage.fs
        self._path = storage.path(key)
        bucket, _, name = self._path.partition("/")
        self._target = {"Bucket": bucket, "Key": name}
        self._upload_id = ""
        self._parts: list[dict[str, object]] = []

    def __del__(self) -> None:
        # a collector may run in the driver's own I/O thread, which must not wait for itself
        if not self.closed and self._upload_id:
            with suppress(RuntimeError):  # the interpreter is going down; the sweep will find it
                Thread(target=self.discard, daemon=True).start()

    def _send(self, chunk: bytes) -> None:
        if not self._upload_id:
            self._upload_id = self._fs.call_s3("create_multipart_upload", **self._target)["UploadId"]
        number = len(self._parts) + 1
        answer = self._fs.call_s3(
            "upload_part", **self._target, UploadId=self._upload_id, PartNumber=number, Body=chunk
        )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    def _complete(self, rest: bytes) -> None:
        if not self._upload_id:
            self._fs.call_s3("put_object", **self._target, Body=rest)
            return
        if rest:
            self._send(rest)
        try:
            self._fs.call_s3(
                "complete_multipart_upload",
                **self._target,
                UploadId=self._upload_id,
                MultipartUpload={"Parts": self._parts},
            )
        except FileNotFoundError:
            # the answer was lost and the request repeated: the upload is gone because it is complete
            if self._fs.info(self._path)["size"] != self.size:
                raise

    def _abort(self) -> None:
        if self._upload_id:
            with suppress(FileNotFoundError):
                self._fs.abort_mpu(self._target["Bucket"], self._target["Key"], self._upload_id)
