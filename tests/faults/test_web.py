"""A web process killed while it works on a request: the whole of it or nothing, and a key brings it back."""

import http.client
import os
import random
import signal
import socket
import threading
import time
from contextlib import suppress

from sqlalchemy import select

from src.models import File
from tests.faults.books import Books, warm_up
from tests.live import Answer, Caller, Live, Program, eventually

ROUNDS = 6


def names(live: Live) -> list[str]:
    with live.workshop.database.unit_of_work() as session:
        return list(session.scalars(select(File.name)))


def kill_a_process(web: Program) -> None:
    """Any of those that answer requests; the main process makes a new one."""
    for pid in web.children():
        os.kill(pid, signal.SIGKILL)


def send_half(caller: Caller, path: str, content: bytes) -> socket.socket:
    """Begin an upload, and leave it there."""
    head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(content)}"]
    head += [f"{name}: {value}" for name, value in caller.headers.items()]
    connection = socket.create_connection(("127.0.0.1", caller.port))
    connection.sendall("\r\n".join([*head, "", ""]).encode() + content[: len(content) // 2])
    return connection


def test_23_a_web_process_is_killed_in_the_middle_of_an_upload(
    live: Live, books: Books, rng: random.Random, large: bytes, small: bytes
) -> None:
    web = live.start_web(wait=False)
    live.start_scheduler(wait=False)
    live.start_worker()
    caller = warm_up(live, books, [small, small])
    with send_half(caller, "/api/v1/files?filename=half.csv", large) as connection:
        incoming = live.workshop.settings.var_dir / "files" / "incoming"
        eventually("half of it is there", lambda: list(incoming.glob("*")), within=10)
        kill_a_process(web)
        eventually("there is another process", live.is_web_up, within=30)
        with suppress(ConnectionResetError):
            assert connection.recv(100) == b"", "half an upload was answered"
    assert "half.csv" not in names(live)
    books.check()


def test_23_a_web_process_is_killed_at_any_moment_of_a_request(
    live: Live, books: Books, rng: random.Random, large: bytes, small: bytes
) -> None:
    web = live.start_web(wait=False)
    live.start_scheduler(wait=False)
    live.start_worker()
    caller = warm_up(live, books, [small, small])
    content = large[: 4 * 1024 * 1024]
    usual = caller.upload(content, name="usual.csv").seconds
    lost = 0
    for number in range(ROUNDS):
        key, name = f"key {rng.random()}", f"round-{number}.csv"
        first = upload_while_killed(books, caller, web, content, name, key, rng.uniform(0.0, 1.5 * usual))
        lost += first is None
        eventually("there is another process", live.is_web_up, within=30)
        again = books.upload(caller, content, name=name, Idempotency_Key=key)
        assert again.status == 201, again
        assert first is None or again.json == first.json
        assert names(live).count(name) == 1
    print(f"{ROUNDS} kills, {lost} answers lost; the retries found or made one file each")
    books.check()


def upload_while_killed(
    books: Books, caller: Caller, web: Program, content: bytes, name: str, key: str, after: float
) -> Answer | None:
    """The answer, if it came before the process was killed."""
    answers: list[Answer] = []

    def upload() -> None:
        try:
            answers.append(books.upload(caller, content, name=name, Idempotency_Key=key))
        except (OSError, http.client.HTTPException):
            return

    thread = threading.Thread(target=upload)
    thread.start()
    time.sleep(after)
    kill_a_process(web)
    thread.join(timeout=60)
    assert not answers or answers[0].status == 201, answers[0]
    return answers[0] if answers else None
