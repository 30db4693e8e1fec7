"""Mail through a real SMTP server that wants TLS and a password."""

from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from src.domain.deliveries import NotDelivered, Undeliverable
from src.integrations.mail import Attachment, MailServer, send_mail
from tests.factories.receivers import MailBox, mail_server


@pytest.fixture
def box(tmp_path: Path) -> Iterator[MailBox]:
    with mail_server(tmp_path) as running:
        yield running


def server_of(box: MailBox, **changes: Any) -> MailServer:
    server = MailServer(
        host="localhost",
        port=box.port,
        security="starttls",
        user=box.user,
        password=box.password,
        sender="indicators@example.org",
        ca_file=box.ca_file,
        seconds=5,
    )
    return replace(server, **changes)


def send(server: MailServer, **changes: Any) -> None:
    letter = {"to": "ana@example.org", "subject": "A report", "text": "Olá, São Paulo\n", "id_": "1-2-3"}
    send_mail(server, **letter | {"attachment": None} | changes)


def received(box: MailBox) -> EmailMessage:
    (letter,) = box.letters
    return message_from_bytes(letter.content, policy=default)


def test_a_mail_arrives_over_tls_with_its_attachment(box: MailBox) -> None:
    send(server_of(box), attachment=Attachment("vendas março.csv", "text/csv", b"a,b\r\n1,2\r\n"))
    mail = received(box)
    assert box.letters[0].rcpt_tos == ["ana@example.org"]
    assert (mail["From"], mail["To"]) == ("indicators@example.org", "ana@example.org")
    assert mail["Message-ID"] == "<1-2-3@example.org>"
    body = mail.get_body()
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == "Olá, São Paulo\n"
    (attachment,) = mail.iter_attachments()
    assert attachment.get_filename() == "vendas março.csv"
    assert attachment.get_content() in (b"a,b\r\n1,2\r\n", "a,b\n1,2\n", "a,b\r\n1,2\r\n")


def test_a_subject_cannot_smuggle_headers_in(box: MailBox) -> None:
    send(server_of(box), subject="Hello\r\nBcc: eve@example.org\r\n\r\nbody")
    mail = received(box)
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Hello Bcc: eve@example.org body"
    assert box.letters[0].rcpt_tos == ["ana@example.org"]


def test_a_wrong_password_is_told_and_so_is_a_server_that_is_not_trusted(box: MailBox) -> None:
    with pytest.raises((NotDelivered, Undeliverable), match="mail server"):
        send(server_of(box, password="wrong"))
    with pytest.raises(NotDelivered, match="SSLCertVerificationError"):
        send(server_of(box, ca_file=""))
    assert box.letters == []


def test_a_refusal_for_now_is_tried_again_and_one_for_good_is_not(box: MailBox) -> None:
    box.refuses = "450 try later"
    with pytest.raises(NotDelivered, match="450: try later"):
        send(server_of(box))
    box.refuses = "550 no such person"
    with pytest.raises(Undeliverable, match="550: no such person"):
        send(server_of(box))


def test_a_server_that_is_away_is_told(box: MailBox) -> None:
    with pytest.raises(NotDelivered, match="could not be used"):
        send(server_of(box, port=1))
