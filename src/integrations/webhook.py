"""Webhooks: one signed POST over TLS to an address that was checked, and to no other (ADR 0020)."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Set
from datetime import UTC, datetime
from functools import cache
from queue import Empty, SimpleQueue
from urllib.parse import SplitResult

import orjson
from standardwebhooks import Webhook

from src.domain.addresses import BadTarget, is_public, split_webhook
from src.domain.deliveries import NotDelivered, Parcel, Undeliverable

AGENT = "Indicators-Webhook/1"
LONGEST_ANSWER = 64 * 1024
GONE = 410


class PinnedConnection(http.client.HTTPSConnection):
    """Connects to one IP address, while the name in the URL is what TLS asks for and verifies."""

    def __init__(self, address: str, parts: SplitResult, *, context: ssl.SSLContext, deadline: float) -> None:
        super().__init__(parts.hostname or "", parts.port or 443, context=context)
        self._address = address
        self._tls = context
        self._deadline = deadline

    def connect(self) -> None:
        """Whoever cuts the connection off finds its socket here before the handshake has begun."""
        self.sock = socket.create_connection((self._address, self.port), self._left())
        self.sock = wrapped = self._tls.wrap_socket(
            self.sock, server_hostname=self.host, do_handshake_on_connect=False
        )
        wrapped.settimeout(self._left())
        wrapped.do_handshake()
        wrapped.settimeout(self._left())

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def send_webhook(parcel: Parcel, *, hosts: Set[str], ca_file: str, seconds: int) -> str:
    """POST the parcel; answers the status. Whatever is not 2xx is an error, redirects included."""
    parts = _checked(parcel.target.address, hosts)
    deadline = time.monotonic() + seconds
    address = _address_of(parts, hosts, seconds)
    body = orjson.dumps(parcel.message)
    connection = PinnedConnection(address, parts, context=_context(ca_file), deadline=deadline)
    watchdog = threading.Timer(deadline - time.monotonic(), _cut, [connection])
    watchdog.daemon = True
    watchdog.start()  # a receiver that dribbles keeps every single read within its limit
    try:
        place = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", place, body, _headers(parcel, body))
        answer = connection.getresponse()
        answer.read(LONGEST_ANSWER)
        if time.monotonic() > deadline:  # an answer that was cut looks like one that has ended
            raise TimeoutError
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotDelivered(_reason(error, late=time.monotonic() > deadline)) from error
    finally:
        watchdog.cancel()
        connection.close()
    return _told(answer.status)


def _told(status: int) -> str:
    if 200 <= status < 300:
        return str(status)
    if 300 <= status < 400:
        raise Undeliverable(f"The receiver answered {status}: redirects are not followed.")
    if status == GONE:
        raise Undeliverable("The receiver answered 410: it wants no more.")
    raise NotDelivered(f"The receiver answered {status}.")


def _checked(url: str, hosts: Set[str]) -> SplitResult:
    """Once more: what is allowed may have changed since the address was saved."""
    try:
        return split_webhook(url, hosts)
    except BadTarget as error:
        raise Undeliverable(error.detail) from error


def _address_of(parts: SplitResult, hosts: Set[str], seconds: float) -> str:
    """Where the name leads, resolved once; with one address that is not public, the name is refused."""
    host, port = parts.hostname or "", parts.port or 443
    addresses = _resolved(host, port, seconds)
    if f"{host}:{port}" not in hosts:
        private = [address for address in addresses if not is_public(address)]
        if private:
            raise Undeliverable(f"{host} leads to {private[0]}, which is not on the open internet.")
    return addresses[0]


def _resolved(host: str, port: int, seconds: float) -> list[str]:
    """In a thread of its own: the system's resolver knows no time limit."""
    found: SimpleQueue[list[str] | OSError] = SimpleQueue()

    def resolve() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.put([str(info[4][0]) for info in infos])
        except OSError as error:
            found.put(error)
        except UnicodeError:
            found.put(OSError("not a name"))

    threading.Thread(target=resolve, daemon=True).start()
    try:
        answer = found.get(timeout=seconds)
    except Empty:
        raise NotDelivered(f"The address of {host} was not found within {seconds:g} s.") from None
    if isinstance(answer, OSError):
        raise NotDelivered(f"The address of {host} was not found.") from answer
    return answer


def _headers(parcel: Parcel, body: bytes) -> dict[str, str]:
    """Signed anew in each attempt, under the same id: by that a receiver knows what it has seen."""
    now, id_ = datetime.now(UTC), str(parcel.id)
    signatures = [Webhook(secret).sign(id_, now, body.decode()) for secret in parcel.secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": AGENT,
        "webhook-id": id_,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


@cache
def _context(ca_file: str) -> ssl.SSLContext:
    """The system's authorities, and an own one beside them if there is one."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def _cut(connection: PinnedConnection) -> None:
    sock = connection.sock
    if sock is not None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _reason(error: Exception, *, late: bool) -> str:
    if late or isinstance(error, TimeoutError):
        return "The receiver did not answer in time."
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The receiver's certificate is not good: {error.verify_message}."
    if isinstance(error, ConnectionRefusedError):
        return "The receiver refused the connection."
    return f"The receiver could not be reached: {type(error).__name__}."
