"""Sends one parcel over its channel: a webhook, a mail, or a file that appears in a folder."""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime

import orjson

from src.config import Settings
from src.domain.deliveries import Channel, FileOfParcel, NotDelivered, Parcel, Undeliverable
from src.domain.errors import DomainError
from src.integrations.mail import Attachment, MailServer, send_mail
from src.integrations.storage import Storage
from src.integrations.storage_choice import open_storage
from src.integrations.webhook import send_webhook
from src.services.links import Link, sign

PIECE = 1024 * 1024
DAY = 24 * 60  # minutes
Look = Callable[[], None]


class Sender:
    def __init__(self, settings: Settings, storage: Storage, look: Look) -> None:
        self.settings = settings
        self.storage = storage
        self.look = look

    def send(self, parcel: Parcel) -> str:
        """Send it; answers what the receiver said, or raises NotDelivered or Undeliverable."""
        ways = {Channel.WEBHOOK: self._post, Channel.EMAIL: self._mail, Channel.FOLDER: self._publish}
        return ways[parcel.target.channel](parcel)

    def _post(self, parcel: Parcel) -> str:
        if not parcel.secrets:
            raise Undeliverable("There is no secret any more to sign it with.")
        return send_webhook(
            parcel,
            hosts=frozenset(self.settings.webhook_hosts),
            ca_file=self.settings.webhook_ca_file,
            seconds=self.settings.delivery_seconds,
        )

    def _mail(self, parcel: Parcel) -> str:
        settings, attachment = self.settings, self._attachment(parcel.file)
        if not settings.smtp_host:
            raise Undeliverable("This service sends no mail any more: SMTP_HOST is not set.")
        server = MailServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            security=settings.smtp_security,
            user=settings.smtp_user,
            password=settings.smtp_password,
            sender=settings.mail_from,
            ca_file=settings.smtp_ca_file,
            seconds=settings.delivery_seconds,
        )
        send_mail(
            server,
            to=parcel.target.address,
            subject=f"Indicators: {_subject(parcel)}",
            text=_text(parcel, settings, is_attached=attachment is not None),
            id_=str(parcel.id),
            attachment=attachment,
        )
        return "accepted"

    def _attachment(self, file: FileOfParcel | None) -> Attachment | None:
        """The file, if it is small enough to travel by mail."""
        if file is None or file.size > self.settings.mail_attachment_bytes:
            return None
        with self.storage.open(file.key) as content:
            return Attachment(file.name, file.media_type, content.read())

    def _publish(self, parcel: Parcel) -> str:
        """The file first, then the message beside it: who sees the message finds the file."""
        root, _, folder = parcel.target.address.partition("/")
        store = delivery_store(self.settings, root)
        if store is None:
            raise Undeliverable(f"«{root}» is not a configured folder any more.")
        name = "/".join(part for part in (folder, published_name(parcel)) if part)
        try:
            if parcel.file is not None:
                self._copy(parcel.file, store, name)
            with store.create(f"{name}.message.json") as upload:
                upload.write(orjson.dumps(parcel.message, option=orjson.OPT_INDENT_2))
                upload.finish()
        except DomainError as error:
            raise NotDelivered(error.detail) from error
        return f"{root}/{name}"

    def _copy(self, file: FileOfParcel, store: Storage, name: str) -> None:
        with self.storage.open(file.key) as content, store.create(name) as upload:
            while piece := content.read(PIECE):
                upload.write(piece)
                self.look()
            upload.finish()


def delivery_store(settings: Settings, name: str) -> Storage | None:
    """The configured folder of this name, as a store; None when there is none."""
    place = settings.delivery_roots.get(name)
    if place is None:
        return None
    reserve, endpoint = settings.disk_reserve_bytes, settings.s3_endpoint_url
    return open_storage(place, reserve_bytes=reserve, s3_endpoint_url=endpoint, is_shared=True)


def published_name(parcel: Parcel) -> str:
    """Like the file's, in letters that every store takes; the end of the id keeps it apart from others."""
    name = parcel.file.name if parcel.file else parcel.what
    stem, dot, ending = name.rpartition(".") if parcel.file else (name, "", "")
    plain = unicodedata.normalize("NFKD", stem or ending).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:80] or "delivery"
    ending = re.sub(r"[^a-z0-9]", "", ending.lower())[:10] if dot and stem else ""
    return f"{plain}-{parcel.id.hex[-12:]}" + (f".{ending}" if ending else "")


def _subject(parcel: Parcel) -> str:
    data = parcel.message["data"]
    if "items" in data:
        return f"{data['count']} x {parcel.what}" if data["count"] > 1 else parcel.what
    return f"{data['kind']} {data['state']}" if "kind" in data else parcel.what


def _text(parcel: Parcel, settings: Settings, *, is_attached: bool) -> str:
    """The message as it is, which is readable, and where to look on."""
    data = parcel.message["data"]
    lines = [orjson.dumps(parcel.message, option=orjson.OPT_INDENT_2).decode()]
    if settings.public_url and "job" in data:
        lines.append(f"Follow it: {settings.public_url.rstrip('/')}{data['job']}")
    if parcel.file is not None and not is_attached:
        lines.append(_place_of(parcel.file, settings))
    return "\n\n".join(lines) + "\n"


def _place_of(file: FileOfParcel, settings: Settings) -> str:
    """Where a file is to be had that is too large for a mail: like an attachment, by whoever has the mail."""
    told = f"The file {file.name} has {file.size:,} bytes, which is too much for a mail."
    if not settings.public_url:
        return f"{told} It is kept here: /api/v1/files/{file.id}/content"
    token, until = sign(Link(file.id, file.owner_id), settings, minutes=settings.mail_link_days * DAY)
    link = f"{settings.public_url.rstrip('/')}/api/v1/downloads/{token}"
    return f"{told} Until {datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M} UTC it is here:\n{link}"
