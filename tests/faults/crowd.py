"""Crowds of clients, each from a loopback address of its own: `python -m tests.faults.crowd slow|flood …`."""

import asyncio
import itertools
import json
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PATIENCE = 10.0
LITTLE = 1024
EVENTS = "/event"
USERS = 20_000  # so many that hardly one has two events under way at once


def addresses(network: int) -> Iterator[str]:
    """All of 127.network/16, again and again."""
    hosts = (f"127.{network}.{one}.{two}" for one in range(256) for two in range(1, 255))
    return itertools.cycle(hosts)


async def connect(port: int, source: str, *, receives: int | None = None) -> Streams:
    """A connection from this address, perhaps one that takes only so many bytes at a time."""
    sock = socket.socket()
    if receives:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    sock.setblocking(False)
    sock.bind((source, 0))
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return await asyncio.open_connection(sock=sock, limit=LITTLE if receives else 2**16)


def head(method: str, path: str, token: str, *more: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", *more]
    return "\r\n".join(lines).encode() + b"\r\n"


class Slow:
    """Clients that send their header, send their body or read their answer so that it never ends."""

    def __init__(self, port: int, token: str, file_id: str) -> None:
        self.port = port
        self.open = 0
        self.heads = {
            0: head("GET", "/api/v1/files", token),
            1: head("POST", "/api/v1/files?filename=a.csv", token, "Content-Length: 1000000", ""),
            2: head("GET", f"/api/v1/files/{file_id}/content", token, ""),
        }
        self.sources = addresses(1)

    async def run(self, count: int) -> None:
        async with asyncio.TaskGroup() as clients:
            for number in range(count):
                clients.create_task(self.live(number % 3))
                await asyncio.sleep(0.005)
            while True:
                print(self.open, flush=True)
                await asyncio.sleep(0.5)

    async def live(self, kind: int) -> None:
        """Whoever is thrown out comes back."""
        source = next(self.sources)
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await connect(self.port, source, receives=4096 if kind == 2 else None)
                writer.write(self.heads[kind])
                if kind == 2:
                    await reader.readexactly(1)
                self.open += 1
                try:
                    await self.dawdle(kind, reader, writer)
                finally:
                    self.open -= 1
                    writer.close()
            await asyncio.sleep(0.5)

    async def dawdle(self, kind: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not (reader.at_eof() or writer.is_closing()):
            if kind == 2:
                await reader.read(LITTLE)
            else:
                writer.write(b"X-Slow: 1\r\n" if kind == 0 else b"a")
                await writer.drain()
            await asyncio.sleep(1)


def events(token: str) -> Iterator[bytes]:
    """One event after the other, of each user in turn, at times that rise."""
    for user in itertools.cycle(range(1, USERS + 1)):
        body = b'{"type":"deposit","amount":"1.00","user_id":%d,"t":%d}' % (user, time.time_ns())
        more = ("Connection: close", "Content-Type: application/json", f"Content-Length: {len(body)}")
        yield head("POST", EVENTS, token, *more, "") + body


class Flood:
    """Requests at a rate that does not ask whether they are answered; or as many clients as there are."""

    def __init__(self, port: int, token: str, path: str) -> None:
        self.port = port
        get = head("GET", path, token, "Connection: close", "")
        self.requests = events(token) if path == EVENTS else itertools.repeat(get)
        self.sources = addresses(2)
        self.statuses: Counter[str] = Counter()
        self.without_retry_after = 0
        self.good: list[float] = []

    async def ask(self) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await connect(self.port, next(self.sources))
                writer.write(next(self.requests))
                answer = await reader.read()
                writer.close()
        except (OSError, TimeoutError) as error:
            self.statuses[type(error).__name__] += 1
            return
        status = answer[9:12].decode()
        self.statuses[status] += 1
        if status == "200":
            self.good.append(time.monotonic() - began)
        elif b"\r\nRetry-After: " not in answer:
            self.without_retry_after += 1

    async def at_rate(self, rate: float, seconds: float) -> None:
        began, tasks = time.monotonic(), set()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            tasks.add(task := asyncio.ensure_future(self.ask()))
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)

    async def by_clients(self, clients: int, seconds: float) -> None:
        end = time.monotonic() + seconds

        async def keep_asking() -> None:
            while time.monotonic() < end:
                await self.ask()

        await asyncio.gather(*(keep_asking() for _ in range(clients)))

    def tell(self, seconds: float) -> None:
        latencies = sorted(self.good) or [0.0]
        told = {
            "goodput": len(self.good) / seconds,
            "p99": latencies[int(len(latencies) * 0.99)],
            "statuses": self.statuses,
            "without_retry_after": self.without_retry_after,
        }
        print(json.dumps(told), flush=True)


def main(kind: str, port: str, token: str, target: str, *numbers: str) -> None:
    if kind == "slow":
        asyncio.run(Slow(int(port), token, target).run(int(numbers[0])))
        return
    flood, (size, seconds) = Flood(int(port), token, target), map(float, numbers)
    began = time.monotonic()
    asyncio.run(flood.at_rate(size, seconds) if kind == "flood" else flood.by_clients(int(size), seconds))
    flood.tell(time.monotonic() - began)


if __name__ == "__main__":
    main(*sys.argv[1:])
