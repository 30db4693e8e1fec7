"""E-mail: one message over SMTP, its headers made by the library, which refuses line ends in them."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime

from src.domain.deliveries import NotDelivered, Undeliverable

REFUSED_FOR_GOOD = range(500, 600)


@dataclass(frozen=True, slots=True)
class MailServer:
    """How mail leaves: `security` is `starttls`, `tls` from the first byte, or `off`."""

    host: str
    port: int
    security: str
    user: str
    password: str
    sender: str
    ca_file: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    media_type: str
    content: bytes


def send_mail(
    server: MailServer, *, to: str, subject: str, text: str, id_: str, attachment: Attachment | None
) -> None:
    """Hand the message to the server; its id is the same in every attempt."""
    message = _message(server.sender, to, subject, text, id_, attachment)
    try:
        with _connected(server) as connection:
            connection.send_message(message, from_addr=server.sender, to_addrs=[to])
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        raise _refused(code, said) from error
    except smtplib.SMTPResponseException as error:
        raise _refused(error.smtp_code, error.smtp_error) from error
    except (OSError, smtplib.SMTPException) as error:
        raise NotDelivered(f"The mail server could not be used: {type(error).__name__}.") from error


@contextmanager
def _connected(server: MailServer) -> Iterator[smtplib.SMTP]:
    context = ssl.create_default_context(cafile=server.ca_file or None)
    if server.security == "tls":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, timeout=server.seconds, context=context
        )
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=server.seconds)
    with connection:
        if server.security == "starttls":
            connection.starttls(context=context)
        if server.user:
            connection.login(server.user, server.password)
        yield connection


def _message(
    sender: str, to: str, subject: str, text: str, id_: str, attachment: Attachment | None
) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = sender, to, " ".join(subject.split())
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = f"<{id_}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    if attachment is not None:
        main, _, sub = attachment.media_type.partition("/")
        message.add_attachment(
            attachment.content,
            maintype=main,
            subtype=sub or "octet-stream",
            filename=attachment.name,
        )
    return message


def _refused(code: int, said: bytes | str) -> NotDelivered | Undeliverable:
    words = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    detail = f"The mail server answered {code}: {words[:300]}"
    return Undeliverable(detail) if code in REFUSED_FOR_GOOD else NotDelivered(detail)
