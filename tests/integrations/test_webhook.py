"""Webhooks against a real HTTPS server: signed, pinned to what was checked, never redirected, bounded."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from src.domain.deliveries import Channel, NotDelivered, Parcel, Target, Undeliverable
from src.domain.ids import uuid7
from src.integrations.webhook import send_webhook
from tests.factories.receivers import Receiver, https_receiver

SECRETS = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_bXkgZm9ybWVyIHNlY3JldCBvZiB0aGlz")
MESSAGE = {"type": "job.done", "timestamp": "2026-01-31T00:00:00+00:00", "data": {"text": "São Paulo"}}
RELAY = socket.getaddrinfo


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with https_receiver(tmp_path) as running:
        yield running


def parcel(url: str) -> Parcel:
    return Parcel(uuid7(), Target(Channel.WEBHOOK, url), "job.done", MESSAGE, SECRETS)


def send(receiver: Receiver, url: str | None = None, **changes: Any) -> str:
    options = {"hosts": {receiver.host}, "ca_file": receiver.ca_file, "seconds": 5} | changes
    return send_webhook(parcel(url or receiver.url), **options)


def leads_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Every name leads to these addresses; the names that are asked for are noted."""
    asked: list[str] = []

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [RELAY(address, port, type=socket.SOCK_STREAM)[0] for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def test_it_arrives_signed_and_the_receivers_library_says_so(receiver: Receiver) -> None:
    assert send(receiver) == "204"
    (request,) = receiver.requests
    assert request.path == "/hook"
    assert request.headers["Host"] == receiver.host
    for secret in SECRETS:  # a receiver may hold the new or the former one
        assert Webhook(secret).verify(request.body, request.headers) == MESSAGE
    assert json.loads(request.body) == MESSAGE


def test_a_changed_body_does_not_fit_its_signature(receiver: Receiver) -> None:
    send(receiver)
    (request,) = receiver.requests
    with pytest.raises(Exception, match="signature"):
        Webhook(SECRETS[0]).verify(request.body + b" ", request.headers)


def test_without_permission_loopback_is_never_reached(receiver: Receiver) -> None:
    with pytest.raises(Undeliverable):
        send(receiver, hosts=frozenset())
    assert receiver.requests == []


@pytest.mark.parametrize("private", ["127.0.0.1", "10.0.0.7", "::1", "::ffff:127.0.0.1", "169.254.169.254"])
def test_a_public_name_that_leads_to_a_private_address_is_refused(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, private: str
) -> None:
    leads_to(monkeypatch, "8.8.8.8", private)
    with pytest.raises(Undeliverable, match="not on the open internet"):
        send(receiver, "https://rebinding.example.org/", hosts=frozenset())
    assert receiver.requests == []


def test_a_name_is_resolved_once_and_the_connection_goes_where_was_looked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = leads_to(monkeypatch, "127.0.0.1")
    connected: list[str] = []
    connect = socket.create_connection

    def noted(address: tuple[str, int], *rest: Any) -> socket.socket:
        connected.append(address[0])
        monkeypatch.setattr(socket, "getaddrinfo", RELAY)  # the name leads elsewhere from now on
        return connect(address, *rest)

    monkeypatch.setattr(socket, "create_connection", noted)
    assert send(receiver) == "204"
    assert (asked[:1], connected) == (["localhost"], ["127.0.0.1"])


def test_the_certificate_has_to_be_the_names_own(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    leads_to(monkeypatch, "127.0.0.1")
    url = f"https://other.example.org:{receiver.port}/"
    with pytest.raises(NotDelivered, match="certificate"):
        send(receiver, url, hosts={f"other.example.org:{receiver.port}"})
    with pytest.raises(NotDelivered, match="certificate"):
        send(receiver, ca_file="")
    assert receiver.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.answers, receiver.headers = [status, 200], {"Location": receiver.url}
    with pytest.raises(Undeliverable, match="redirects are not followed"):
        send(receiver)
    assert len(receiver.requests) == 1


def test_gone_is_for_good_and_other_refusals_are_not(receiver: Receiver) -> None:
    receiver.answers = [410, 404, 500, 429]
    with pytest.raises(Undeliverable):
        send(receiver)
    for _ in range(3):
        with pytest.raises(NotDelivered):
            send(receiver)


def test_a_receiver_that_dribbles_is_cut_off(receiver: Receiver) -> None:
    receiver.dribbles = 5
    with pytest.raises(NotDelivered, match="in time"):
        send(receiver, seconds=1)


def test_the_handshake_gets_only_the_time_that_is_left(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise what ends the connection in time comes before there is one, and an answer may dribble on."""

    def resolve(*question: Any, **options: Any) -> Any:
        time.sleep(0.7)
        return RELAY(*question, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    receiver.hesitates, receiver.dribbles = 0.7, 5
    with pytest.raises(NotDelivered, match="in time"):
        send(receiver, seconds=1)
    assert receiver.requests == []


def test_an_endless_answer_is_not_read(receiver: Receiver) -> None:
    receiver.answers, receiver.body = [200], b"x" * 20_000_000
    assert send(receiver) == "200"


def test_where_nobody_listens_it_is_told(receiver: Receiver) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(NotDelivered, match="refused"):
            send(receiver, f"https://localhost:{port}/", hosts={f"localhost:{port}"})


def test_a_name_that_nobody_has_is_told(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: Any, **__: Any) -> Any:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(NotDelivered, match="was not found"):
        send(receiver, "https://nobody.example.org/")


def test_a_resolver_that_hangs_costs_only_the_time_allowed(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_over = threading.Event()

    def resolve(*_: Any, **__: Any) -> Any:
        is_over.wait(30)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(NotDelivered, match="within"):
        send(receiver, "https://slow.example.org/", seconds=1)
    is_over.set()


def test_the_query_goes_along(receiver: Receiver) -> None:
    send(receiver, f"{receiver.url}//x?a=b&c=d")
    assert receiver.requests[0].path == "/hook//x?a=b&c=d"


def test_two_attempts_have_one_id(receiver: Receiver) -> None:
    one = replace(parcel(receiver.url))
    for _ in range(2):
        send_webhook(one, hosts={receiver.host}, ca_file=receiver.ca_file, seconds=5)
    assert {request.headers["webhook-id"] for request in receiver.requests} == {str(one.id)}
