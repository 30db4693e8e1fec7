"""What the storage tests run in processes of their own, to be killed, forked or measured.

Usage: children.py FUNCTION URL ENDPOINT [ARGUMENT…]
"""

import gc
import hashlib
import os
import sys
import time
from pathlib import Path

from src.integrations.storage import Storage
from src.integrations.storage_choice import open_storage

MIB = 1024 * 1024


def upload_and_wait(storage: Storage, key: str, megabytes: str) -> None:
    """Stop in the middle of an upload and wait to be killed."""
    upload = storage.create(key)
    for _ in range(int(megabytes)):
        upload.write(os.urandom(MIB))
    print("ready", flush=True)
    time.sleep(600)


def download_and_wait(storage: Storage, key: str) -> None:
    """Hold a local copy and wait to be killed."""
    with storage.local_path(key) as path:
        print(path, flush=True)
        time.sleep(600)


def measure(storage: Storage, megabytes: str) -> None:
    """Print by how many KiB an upload raised the peak of this process's memory."""
    with storage.create("files/warm-up") as first:
        first.write(b"x" * MIB)
        first.finish()
    before = peak_kib()
    piece = os.urandom(64 * 1024)
    upload = storage.create("files/large")
    for _ in range(int(megabytes) * 16):
        upload.write(piece)
    upload.finish()
    assert storage.size("files/large") == int(megabytes) * MIB
    print(peak_kib() - before, flush=True)


def fork_and_use(storage: Storage) -> None:
    """Use one storage object before a fork, in the child, and in the parent again."""
    round_trip(storage, "files/parent-before")
    inherited = storage.create("files/inherited")
    inherited.write(b"from the parent, " * 600_000)
    child = os.fork()
    if child == 0:
        round_trip(storage, "files/child")
        del inherited
        gc.collect()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "the child failed"
    inherited.write(b"still from the parent")
    inherited.finish()
    assert storage.sha256("files/inherited") == inherited.sha256
    assert storage.sha256("files/child") == hashlib.sha256(b"files/child" * 1000).hexdigest()
    round_trip(storage, "files/parent-after")
    print("done", flush=True)


def leave_open(storage: Storage, megabytes: str) -> None:
    """End the process in good order with an upload that nobody finished."""
    upload = storage.create("files/left")
    upload.write(b"x" * (int(megabytes) * MIB))
    print("leaving", flush=True)


def round_trip(storage: Storage, key: str) -> None:
    content = key.encode() * 1000
    with storage.create(key) as upload:
        upload.write(content)
        upload.finish()
    with storage.open(key) as stream:
        assert stream.read() == content


def peak_kib() -> int:
    """The peak of this program alone; `ru_maxrss` would begin at that of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


FUNCTIONS = {
    function.__name__: function
    for function in (upload_and_wait, download_and_wait, measure, fork_and_use, leave_open)
}


if __name__ == "__main__":
    name, url, endpoint, *arguments = sys.argv[1:]
    FUNCTIONS[name](open_storage(url, reserve_bytes=0, s3_endpoint_url=endpoint), *arguments)
