"""`notify`: who is told when the job of a request is over. Any request that starts a job may carry it."""

from functools import cache
from typing import Any

import marshmallow as ma
from marshmallow import fields, post_load, validate, validates_schema

from src.api.schemas.base import Schema
from src.domain.deliveries import MOST_TARGETS, Channel, On, Target, Wish

NOTIFY = "notify"


class TargetsSchema(Schema):
    """Where to: at least one of the three."""

    webhook = fields.String(
        validate=validate.Length(min=1, max=2_000),
        metadata={
            "description": "A public https address; signed as Standard Webhooks say.",
            "example": "https://example.com/indicators",
        },
    )
    email = fields.List(
        fields.String(validate=validate.Length(min=3, max=320)),
        validate=validate.Length(min=1, max=MOST_TARGETS),
        metadata={"description": "One mail to each of these addresses."},
    )
    folder = fields.String(
        validate=validate.Length(min=1, max=400),
        metadata={"description": "A configured folder, and folders below it: `reports/daily`."},
    )

    @validates_schema
    def must_name_one(self, data: dict[str, Any], **_: Any) -> None:
        if not any(channel in data for channel in Channel):
            raise ma.ValidationError(f"Name at least one of: {', '.join(Channel)}.")


class NotifySchema(TargetsSchema):
    on = fields.String(load_default=On.ALWAYS.value, validate=validate.OneOf([on.value for on in On]))

    @post_load
    def to_wish(self, data: dict[str, Any], **_: Any) -> Wish:
        return Wish(targets_of(data), On(data.get("on", On.ALWAYS)))  # a change may leave it out


class AskingSchema(Schema):
    notify = fields.Nested(
        NotifySchema, metadata={"description": "Who is told when the job is over. In a form, as JSON."}
    )


def targets_of(data: dict[str, Any]) -> tuple[Target, ...]:
    """What a loaded TargetsSchema names."""
    mails = [Target(Channel.EMAIL, address) for address in dict.fromkeys(data.get("email", ()))]
    others = [Target(c, data[c]) for c in (Channel.WEBHOOK, Channel.FOLDER) if c in data]
    return (*others, *mails)


def as_given(wish: Wish) -> dict[str, Any]:
    """The `notify` that asks for this."""
    by_channel: dict[str, list[str]] = {}
    for target in wish.targets:
        by_channel.setdefault(target.channel, []).append(target.address)
    return {
        channel: addresses if channel == Channel.EMAIL else addresses[0]
        for channel, addresses in by_channel.items()
    } | {"on": wish.on}


def asking(body: Any) -> type[Schema]:
    """The documented shape of a body with `notify` in it."""
    return _asking(body if isinstance(body, type) else type(body)) if body else AskingSchema


@cache
def _asking(body: type[Schema]) -> type[Schema]:
    name = f"{body.__name__.removesuffix('Schema')}AndNotifySchema"
    return type(name, (AskingSchema, body), {"__doc__": body.__doc__})


NOTIFY_SCHEMA = NotifySchema()
