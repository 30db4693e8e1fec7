"""Keep-alive load for one URL over loopback: `wrk` where it is installed, a loop over sockets elsewhere."""

import re
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from urllib.parse import urlsplit

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
GRACE_SECONDS = 10
MOST_READ = 256 * 1024
LENGTH = re.compile(rb"(?i)\ncontent-length: *(\d+)")


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
    return "wrk" if shutil.which("wrk") else "the client of bench/loadgen.py"


def load(url: str, headers: Mapping[str, str], clients: int, seconds: int) -> Sample:
    """Ask for `url` over `clients` connections; any answer but 200 is an error."""
    if shutil.which("wrk"):
        return _wrk(url, headers, clients, seconds)
    return _Load(url, headers).run(clients, seconds)


def post(
    url: str, headers: Mapping[str, str], clients: int, seconds: float, bodies: Iterator[bytes]
) -> Sample:
    """Send one body after the other over `clients` connections. An answer of 4xx counts as refused, not as
    done; its time counts."""
    return _Load(url, headers, bodies).run(clients, seconds)


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


@dataclass(eq=False, slots=True)
class _Client:
    """One connection that asks again as soon as it has the whole answer."""

    sock: socket.socket
    came: bytes = b""
    asked: float = 0.0

    def ask(self, request: bytes) -> None:
        self.asked = time.perf_counter()
        self.sock.sendall(request)

    def answer(self) -> bytes:
        """The head of the answer, once all of it is there."""
        data = self.sock.recv(MOST_READ)
        if not data:
            raise LoadError("connection lost")
        self.came += data
        end = self.came.find(b"\r\n\r\n")
        if end < 0:
            return b""
        head = self.came[:end]
        length = LENGTH.search(head)
        if length is None:
            raise LoadError(head.decode(errors="replace"))
        if len(self.came) < end + 4 + int(length[1]):
            return b""
        self.came = b""
        return head


@dataclass
class _Load:
    """What the connections of one run share. One loop over sockets: what it takes, the service lacks."""

    url: str
    headers: Mapping[str, str]
    bodies: Iterator[bytes] | None = None
    head: bytes = b""
    refused: int = 0
    milliseconds: list[float] = field(default_factory=list)

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

    def run(self, clients: int, seconds: float) -> Sample:
        parts = urlsplit(self.url)
        with ExitStack() as stack:
            poll, connected = stack.enter_context(select.epoll()), {}
            for _ in range(clients):
                sock = socket.create_connection((parts.hostname, parts.port or 80), timeout=GRACE_SECONDS)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client = connected[sock.fileno()] = _Client(stack.enter_context(sock))
                poll.register(sock.fileno(), select.EPOLLIN)
                client.ask(self.request())
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                for number, _ in poll.poll(seconds):
                    self._look(connected[number])
        took = sorted(self.milliseconds)
        if len(took) < 2:
            raise LoadError(f"{self.url}: no answers")
        good = len(took) - self.refused
        p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
        return Sample(good / seconds, p50, p99, self.refused / len(took))

    def _look(self, client: _Client) -> None:
        head = client.answer()
        if not head:
            return
        is_refused = head.startswith(b"HTTP/1.1 4") and self.bodies is not None
        if not (is_refused or head.startswith(b"HTTP/1.1 200")):
            raise LoadError(f"{self.url}: {head.decode(errors='replace')}")
        self.refused += is_refused
        self.milliseconds.append((time.perf_counter() - client.asked) * 1000)
        client.ask(self.request())
