"""Signed links: whoever has one may download that one file, until it expires."""

import time
from typing import NamedTuple
from uuid import UUID

from itsdangerous import BadSignature, URLSafeSerializer

from src.config import Settings
from src.domain.errors import Forbidden


class BadLink(Forbidden):
    slug = "bad-link"
    title = "This link is not good, or not any more"


class Link(NamedTuple):
    """Which file, and to whom the link was given."""

    file_id: UUID
    account_id: UUID


def sign(link: Link, settings: Settings, *, minutes: int | None = None) -> tuple[str, int]:
    """The token of a link, and the second when it expires; `minutes` in place of those of the settings."""
    until = int(time.time()) + (minutes or settings.download_link_minutes) * 60
    return _serializer(settings).dumps([link.file_id.hex, link.account_id.hex, until]), until


def verify(token: str, settings: Settings) -> Link:
    """What a good token is for."""
    try:
        file_id, account_id, until = _serializer(settings).loads(token)
    except (BadSignature, ValueError) as error:  # a value less: signed by the release before this one
        raise BadLink("It was changed on its way. Ask for a new one.") from error
    if until < time.time():
        raise BadLink("It has expired. Ask for a new one.")
    return Link(UUID(hex=file_id), UUID(hex=account_id))


def _serializer(settings: Settings) -> URLSafeSerializer:
    """Links that were signed with the secret before this one are good for the rest of their life."""
    secrets = [secret for secret in (settings.jwt_secret_previous, settings.jwt_secret) if secret]
    return URLSafeSerializer(secrets, salt="download")
