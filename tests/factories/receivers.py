"""Receivers on loopback for tests: an HTTPS server that keeps what it is sent, and a mail server."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope

NAME = "localhost"


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """An HTTPS server. `answers` are its statuses in turn, the last one for ever."""

    port: int
    ca_file: str
    requests: list[Request] = field(default_factory=list)
    answers: list[int] = field(default_factory=lambda: [204])
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    dribbles: float = 0
    hesitates: float = 0

    @property
    def host(self) -> str:
        return f"{NAME}:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self.host}/hook"


@contextmanager
def https_receiver(folder: Path) -> Iterator[Receiver]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME).configure_cert(context)
    server = QuietServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.receiver = Receiver(server.server_address[1], str(folder / "ca.pem"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


class QuietServer(ThreadingHTTPServer):
    receiver: Receiver

    def get_request(self) -> Any:
        """The handshake is part of accepting."""
        time.sleep(self.receiver.hesitates)
        return super().get_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust us, or goes away, is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    server: QuietServer

    def do_POST(self) -> None:
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.requests.append(Request(self.path, dict(self.headers.items()), body))
        status = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
        self.send_response(status)
        for name, value in receiver.headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.flush_headers()
        for number in range(int(receiver.dribbles * 20)):  # header after header, for as long as asked
            self.wfile.write(f"X-{number}: x\r\n".encode())
            time.sleep(0.05)
        self.end_headers()
        self.wfile.write(receiver.body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass
class MailBox:
    """A mail server that asks for a name and a password over TLS, and keeps what it takes."""

    port: int
    ca_file: str
    user: str = "indicators"
    password: str = "a password of this test"
    letters: list[Envelope] = field(default_factory=list)
    refuses: str = ""

    async def handle_RCPT(  # noqa: N802  its name
        self, _server: Any, _session: Any, envelope: Envelope, address: str, *_: Any
    ) -> str:
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802  the server's own word
        self.letters.append(envelope)
        return "250 kept"

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, _how: str, given: Any) -> AuthResult:
        is_right = (given.login.decode(), given.password.decode()) == (self.user, self.password)
        return AuthResult(success=is_right)


@contextmanager
def mail_server(folder: Path) -> Iterator[MailBox]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "mail-ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME).configure_cert(context)
    box = MailBox(free_port(), str(folder / "mail-ca.pem"))
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=box.port,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=box.authenticate,
    )
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
