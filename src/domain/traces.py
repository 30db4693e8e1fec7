"""By what a person can be found in rows that were refused, without saying who it is."""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

BETWEEN_CELLS = re.compile('[,;|\\t"]')


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A client's id and e-mail addresses, each only as a digest: a job's arguments are kept for months."""

    client_id: str
    emails: tuple[str, ...]

    @classmethod
    def of(cls, client_id: str, emails: Iterable[str]) -> Self:
        return cls(client_id=_digest(client_id), emails=tuple(_digest(email.lower()) for email in emails))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(client_id=data["client_id"], emails=tuple(data["emails"]))

    def is_in(self, cells: Sequence[str], ids: Collection[int], *, is_shapeless: bool) -> bool:
        """Whether the row is about the client: by the id in a column of ids, or by an address anywhere."""
        if is_shapeless:  # nobody knows which column is which
            cells = [part for cell in cells for part in BETWEEN_CELLS.split(cell)]
            ids = range(len(cells))
        return any(self._fits(cell, is_id=place in ids) for place, cell in enumerate(cells) if cell)

    def _fits(self, cell: str, *, is_id: bool) -> bool:
        if is_id and _digest(cell) == self.client_id:
            return True
        return "@" in cell and _digest(cell.lower()) in self.emails


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()
