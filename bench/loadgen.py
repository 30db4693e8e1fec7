"""Keep-alive load for one URL over loopback: `wrk` where it is installed, an asyncio client elsewhere."""

import asyncio
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
GRACE_SECONDS = 10


class LoadError(RuntimeError):
    """The server answered wrongly or not at all; a figure would be a lie."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: requests per second and the latency of the middle and the slowest hundredth, in ms."""

    rps: float
    p50: float
    p99: float
    refused: float = 0.0  # of all answers


def client_name() -> str:
    """Which of the two clients `load` takes on this machine."""
    return "wrk" if shutil.which("wrk") else "the asyncio client of bench/loadgen.py"


def load(url: str, headers: Mapping[str, str], clients: int, seconds: int) -> Sample:
    """Ask for `url` over `clients` connections; any answer but 200 is an error."""
    if shutil.which("wrk"):
        return _wrk(url, headers, clients, seconds)
    return asyncio.run(_Load(url, headers).run(clients, seconds))


def post(
    url: str, headers: Mapping[str, str], clients: int, seconds: float, bodies: Iterator[bytes]
) -> Sample:
    """Send one body after the other over `clients` connections. An answer of 4xx counts as refused, not as
    done; its time counts."""
    return asyncio.run(_Load(url, headers, bodies).run(clients, seconds))


def _wrk(url: str, headers: Mapping[str, str], clients: int, seconds: int) -> Sample:
    command = ["wrk", "--latency", "--timeout", f"{GRACE_SECONDS}s", "-t1", f"-c{clients}", f"-d{seconds}s"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    limit = seconds + 2 * GRACE_SECONDS
    text = subprocess.run([*command, url], capture_output=True, text=True, check=True, timeout=limit).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise LoadError(f"{url}: {text}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if rate is None:
        raise LoadError(f"{url}: {text}")
    return Sample(float(rate[1]), _percentile(text, "50%"), _percentile(text, "99%"))


def _percentile(text: str, name: str) -> float:
    """One line of wrk's latency table, in milliseconds."""
    found = re.search(rf"\s{name}\s+([\d.]+)(us|ms|s|m)\b", text)
    if found is None:
        raise LoadError(text)
    return float(found[1]) * UNITS[found[2]]


class _Client(asyncio.Protocol):
    """One connection that asks again as soon as it has the whole answer."""

    def __init__(self, load: "_Load") -> None:
        self._load = load
        self._buffer = b""
        self._asked = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._ask(transport)

    def _ask(self, transport: asyncio.Transport) -> None:
        self._asked = time.perf_counter()
        transport.write(self._load.request())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator or self._transport is None:
            return
        length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
        is_refused = head.startswith(b"HTTP/1.1 4") and self._load.bodies is not None
        if length is None or not (is_refused or head.startswith(b"HTTP/1.1 200")):
            self._load.fail(head)
            self._transport.close()
        elif len(body) >= int(length[1]):
            self._buffer = b""
            self._load.refused += is_refused
            self._load.milliseconds.append((time.perf_counter() - self._asked) * 1000)
            self._ask(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._load.is_over:
            self._load.fail(f"connection lost: {exc}".encode())

    def stop(self) -> None:
        """Hang up, whatever is still under way."""
        if self._transport is not None:
            self._transport.abort()


@dataclass
class _Load:
    """What the connections of one run share."""

    url: str
    headers: Mapping[str, str]
    bodies: Iterator[bytes] | None = None
    head: bytes = b""
    refused: int = 0
    is_over: bool = False
    milliseconds: list[float] = field(default_factory=list)
    problem: bytes = b""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [f"{'GET' if self.bodies is None else 'POST'} {path} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        self.head = "\r\n".join(lines).encode()

    def request(self) -> bytes:
        if self.bodies is None:
            return self.head + b"\r\n\r\n"
        body = next(self.bodies)
        return b"%s\r\nContent-Length: %d\r\n\r\n%s" % (self.head, len(body), body)

    def fail(self, why: bytes) -> None:
        self.problem = self.problem or why

    async def run(self, clients: int, seconds: float) -> Sample:
        parts = urlsplit(self.url)
        loop = asyncio.get_running_loop()
        connections = [
            (await loop.create_connection(lambda: _Client(self), parts.hostname or "", parts.port or 80))[1]
            for _ in range(clients)
        ]
        await asyncio.sleep(seconds)
        self.is_over = True
        for connection in connections:
            connection.stop()
        if self.problem or len(self.milliseconds) < 2:
            raise LoadError(f"{self.url}: {self.problem.decode(errors='replace') or 'no answers'}")
        took = sorted(self.milliseconds)
        good = len(took) - self.refused
        p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
        return Sample(good / seconds, p50, p99, self.refused / len(took))
