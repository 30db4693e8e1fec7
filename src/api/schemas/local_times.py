"""Times of the business in requests and answers: wall-clock times, without an offset."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import request
from marshmallow import fields, validate

from src.api.schemas.base import Schema
from src.domain.local_times import DATE_ORDERS, read_day, read_local
from src.wiring import adapters

ORDER = {"description": "How to read 03/04/2021; 2021-04-03 is understood in every order."}
LOCAL = "A wall-clock time in BUSINESS_TIME_ZONE; a value with an offset is converted to it."
WRITTEN = f"{LOCAL} 2021-06-30T15:30, 2021-06-30 15:30, 2021-06-30, or as `date_order` says."


class DateOrderQuery(Schema):
    """For requests with dates: beside them in the body, or in the address."""

    date_order = fields.String(validate=validate.OneOf(DATE_ORDERS), metadata=ORDER)


class LocalTime(fields.Field[datetime]):
    """A date and time of the wall clock; a day alone is its beginning, or, as an end, its last moment."""

    default_error_messages = {"invalid": "Not a date that exists, as 2021-06-30 or 2021-06-30 15:30."}

    def __init__(self, *, is_end: bool = False, **options: Any) -> None:
        options.setdefault("metadata", {"type": "string", "description": WRITTEN})
        super().__init__(**options)
        self.is_end = is_end

    def _serialize(self, value: datetime | None, *_: Any, **__: Any) -> str | None:
        return None if value is None else value.isoformat()

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> datetime:
        zone = ZoneInfo(adapters().settings.business_time_zone)
        try:
            return read_local(_text(value), zone, _order(data), is_end=self.is_end)
        except (ValueError, OverflowError) as error:
            raise self.make_error("invalid") from error


class LocalDay(fields.Field[date]):
    """A day of the business."""

    default_error_messages = {"invalid": "Not a day that exists, as 2021-06-30."}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.metadata = {"type": "string", "format": "date", **self.metadata}

    def _serialize(self, value: date | None, *_: Any, **__: Any) -> str | None:
        return None if value is None else value.isoformat()

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> date:
        try:
            day, rest = read_day(_text(value), _order(data))
        except ValueError as error:
            raise self.make_error("invalid") from error
        if rest:
            raise self.make_error("invalid")
        return day


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004  # one of many things that are no date
    return value


def _order(data: Any) -> Any:
    """What stands beside the date, or in the address; a word that is no order is refused as such."""
    order = data.get("date_order") or request.args.get("date_order")
    return order if order in DATE_ORDERS else "ymd"
