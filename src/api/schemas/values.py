"""Values that several records have: amounts, moments, and texts as the datasets declare them."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, validate

from src.domain.datasets import Dataset

MOMENT = {"description": "A day, 2026-01-31, of UTC, or a time with its offset. It is included."}


class Money(fields.Decimal):
    """A decimal that goes out as a string, so that no reader rounds it."""

    def __init__(self, *, metadata: Mapping[str, Any] | None = None, **options: Any) -> None:
        told = {"type": "string"} | dict(metadata or {})
        super().__init__(as_string=True, allow_nan=False, metadata=told, **options)


class Amount(Money):
    """One that comes in, as a string or a number; more places than are kept are refused, never rounded."""

    def __init__(self, *, digits: int = 15, places: int = 2, **options: Any) -> None:
        text = f"Up to {digits - places} digits and {places} decimals."
        super().__init__(metadata={"type": ["string", "number"], "description": text}, **options)
        self.digits, self.kept = digits, places

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Decimal:
        if isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        amount = super()._deserialize(value, attr, data, **options)
        if amount:
            self._check(amount)
        return amount.quantize(Decimal(1).scaleb(-self.kept))

    def _check(self, amount: Decimal) -> None:
        """By its digits: arithmetic would round long ones, and fail on 1e2000000."""
        _, digits, exponent = amount.as_tuple()
        decimals = -int(exponent) - (len(digits) - len(bytes(digits).rstrip(b"\0")))
        if decimals > self.kept:
            raise ValidationError(f"At most {self.kept} decimals are kept.")
        if amount.adjusted() >= self.digits - self.kept:
            raise ValidationError(f"At most {self.digits - self.kept} digits before the decimal point.")


class Moment(fields.Field[datetime]):
    """A time with its offset, or a day of UTC: its beginning, or, as an end, its last microsecond."""

    default_error_messages = {"invalid": "Not a day and not a time with its offset."}

    def __init__(self, *, is_end: bool = False, **options: Any) -> None:
        options.setdefault("metadata", MOMENT | {"type": "string"})
        super().__init__(**options)
        self.is_end = is_end

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> datetime:
        try:
            text = str(value)
            if len(text) == len("2026-01-31"):
                return day_bounds(date.fromisoformat(text))[self.is_end]
            # In a query a plus that was not escaped arrives as a space.
            return fields.AwareDateTime(format="iso").deserialize(text.replace(" ", "+")).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise self.make_error("invalid") from error


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """The first and the last microsecond of a day of UTC."""
    first = datetime.combine(day, time.min, UTC)
    return first, first + timedelta(days=1, microseconds=-1) if day < date.max else datetime.max.replace(
        tzinfo=UTC
    )


def within_bounds(dataset: Dataset, name: str) -> Callable[[date], None]:
    """The check of a day, or of a time on the wall clock, that the dataset's files have to pass as well."""
    field = dataset.field(name)

    def check(value: date) -> None:
        day = value.date() if isinstance(value, datetime) else value
        if not field.on(datetime.now(UTC).date()).allows(day):
            last = "today" if field.ends_today else field.last
            raise ValidationError(f"It must lie between {field.first} and {last}.")

    return check


class Trimmed(fields.String):
    """A text without the space around it, as imports read it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        return str(super()._deserialize(value, attr, data, **options)).strip()


def text_of(dataset: Dataset, name: str, **options: Any) -> Trimmed:
    """A text of the length that the dataset's files may bring."""
    length = validate.Length(min=1, max=dataset.field(name).max_length)
    return Trimmed(validate=length, **options)
