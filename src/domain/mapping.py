"""Which column of a file means which field: exactly, by a known other name, or nearly."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rapidfuzz import fuzz

from src.domain.datasets import Dataset, Field
from src.domain.errors import FieldError, Invalid

Match = Literal["exact", "alias", "fuzzy", "proposed"]
TAKEN = 90.0  # a likeness from which a header is taken for the field without asking
PROPOSED = 70.0


class MissingColumns(Invalid):
    slug = "missing-columns"
    title = "The file lacks columns that this dataset needs"


class BadMapping(Invalid):
    slug = "bad-mapping"
    title = "The mapping does not fit the file or the dataset"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A field and the header that it was matched with, and how sure that is (100 is certain)."""

    field: str
    column: str
    confidence: float
    match: Match


def normalised(name: str) -> str:
    """Without case, accents and the marks between words."""
    signs = unicodedata.normalize("NFKD", name).lower()
    plain = "".join(sign for sign in signs if not unicodedata.combining(sign))
    return " ".join("".join(sign if sign.isalnum() else " " for sign in plain).split())


def propose(dataset: Dataset, headers: Sequence[str]) -> list[Proposal]:
    """The surest match for each field, of equal ones the header that is its very name; none is used twice."""
    found = sorted(
        (match for field in dataset.fields for header in headers if (match := _match(field, header))),
        key=lambda proposal: (-proposal.confidence, proposal.column != proposal.field),
    )
    fields: set[str] = set()
    columns: set[str] = set()
    chosen = []
    for proposal in found:
        if proposal.field not in fields and proposal.column not in columns:
            chosen.append(proposal)
            fields.add(proposal.field)
            columns.add(proposal.column)
    return chosen


def mapping_of(proposals: Iterable[Proposal]) -> dict[str, str]:
    """The mapping that needs no question: field name to header."""
    return {proposal.field: proposal.column for proposal in proposals if proposal.match != "proposed"}


def check_mapping(dataset: Dataset, mapping: Mapping[str, str], headers: Sequence[str]) -> None:
    """Raise what is wrong: unknown fields and headers, headers used twice, required fields left out."""
    known = {field.name for field in dataset.fields}
    errors = [
        FieldError(f"/mapping/{field}", "unknown_field", f"The dataset has no field «{field}».")
        for field in mapping
        if field not in known
    ]
    errors += [
        FieldError(f"/mapping/{field}", "unknown_column", f"The file has no column «{column}».")
        for field, column in mapping.items()
        if column not in headers
    ]
    columns = list(mapping.values())
    errors += [
        FieldError(f"/mapping/{field}", "ambiguous_column", f"The file has the column «{column}» twice.")
        for field, column in mapping.items()
        if headers.count(column) > 1
    ]
    errors += [
        FieldError(f"/mapping/{field}", "used_twice", f"The column «{column}» is mapped twice.")
        for field, column in mapping.items()
        if columns.count(column) > 1
    ]
    if errors:
        raise BadMapping("Map each field to one column of the file.", errors=errors)
    missing = [name for name in dataset.required if name not in mapping]
    if missing:
        raise _missing(dataset, missing, headers)


def _missing(dataset: Dataset, missing: Sequence[str], headers: Sequence[str]) -> MissingColumns:
    errors = []
    for name in missing:
        accepted = ", ".join((name, *dataset.field(name).aliases))
        errors.append(
            FieldError(
                f"/mapping/{name}", "missing_column", f"No column for {name}. Accepted are: {accepted}."
            )
        )
    return MissingColumns(
        f"Missing: {', '.join(missing)}. Found: {', '.join(headers) or 'nothing'}.",
        errors=errors,
        missing=list(missing),
        found=list(headers),
    )


def _match(field: Field, header: str) -> Proposal | None:
    here = normalised(header)
    if here == normalised(field.name):
        return Proposal(field.name, header, 100.0, "exact")
    names = [normalised(name) for name in (field.name, *field.aliases)]
    if here in names:
        return Proposal(field.name, header, 99.0 - names.index(here) / 100, "alias")
    likeness = max(fuzz.ratio(here, name) for name in names)
    if likeness < PROPOSED:
        return None
    return Proposal(
        field.name, header, round(min(likeness, 98.0), 1), "fuzzy" if likeness >= TAKEN else "proposed"
    )
