"""What can go wrong, as values with a stable slug; the API alone knows the statuses.

A concrete error is three lines beside its rule. The category decides the HTTP status, the
slug names it in `docs/problems.md`, the detail is a sentence that the reader can act on.
"""

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault in a request: where (a JSON pointer), which kind, and what to do about it."""

    pointer: str
    code: str
    message: str


class DomainError(Exception):
    """Base of every expected error."""

    slug: ClassVar[str] = "error"
    title: ClassVar[str] = "The request could not be carried out"

    def __init__(
        self,
        detail: str = "",
        *,
        errors: list[FieldError] | None = None,
        retry_after: int | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = errors or []
        self.retry_after = retry_after
        self.members = members


class Invalid(DomainError):
    slug = "invalid"
    title = "The request is not valid"


class Unauthenticated(DomainError):
    slug = "unauthenticated"
    title = "Log in first"


class Forbidden(DomainError):
    slug = "forbidden"
    title = "Your account may not do this"


class NotFound(DomainError):
    slug = "not-found"
    title = "There is no such thing, or it is not yours"


class Gone(DomainError):
    slug = "gone"
    title = "This was here, and is deleted"


class Conflict(DomainError):
    slug = "conflict"
    title = "This clashes with the present state"


class Unavailable(DomainError):
    slug = "unavailable"
    title = "Not possible at the moment; try again"


class TooLarge(Invalid):
    slug = "too-large"
    title = "This is larger than allowed"


class UnsupportedMedia(Invalid):
    slug = "unsupported-media"
    title = "This kind of content is not accepted"


class PreconditionFailed(Conflict):
    slug = "precondition-failed"
    title = "Someone changed this since you read it"


class TooManyRequests(Unavailable):
    slug = "too-many-requests"
    title = "Too many requests"


class StorageFull(Unavailable):
    slug = "storage-full"
    title = "There is no room to store this"


class Unprocessable(Invalid):
    slug = "unprocessable"
    title = "The request is well formed but makes no sense here"
