"""What its sender says of how a file is imported, and what of that is not possible."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import orjson

from src.domain.datasets import DATASETS, Dataset, Mode
from src.domain.errors import FieldError, Invalid
from src.domain.roles import Actor, Role, RoleTooLow
from src.services.operations import Steps
from src.services.preparing import Preparation


class UnknownDataset(Invalid):
    slug = "unknown-dataset"
    title = "There is no such dataset"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How a file is to be imported, as far as its sender says so."""

    mapping: dict[str, str] | None = None
    mode: Mode | None = None
    on_error: str = "skip_rows"
    max_errors: int | None = None
    max_error_rate: Decimal | None = None
    is_dry_run: bool = False
    is_bulk: bool = False
    options: dict[str, str] = field(default_factory=dict)
    preparation: Preparation | None = None


def dataset_of(name: str) -> Dataset:
    if name not in DATASETS:
        raise UnknownDataset(
            f"There are: {', '.join(DATASETS)}.",
            errors=[FieldError("/dataset", "unknown_dataset", f"«{name}» is none of {', '.join(DATASETS)}.")],
        )
    return DATASETS[name]


def check_mode(dataset: Dataset, mode: str, mapping: Mapping[str, str]) -> None:
    if mode not in dataset.modes:
        raise Invalid(
            f"{dataset.title} can only be inserted.",
            errors=[FieldError("/mode", "mode_not_possible", f"Use one of: {', '.join(dataset.modes)}.")],
        )
    if mode == "upsert" and dataset.key not in mapping:
        raise Invalid(
            f"An upsert finds rows by {dataset.key}, and no column is mapped to it.",
            errors=[FieldError("/mode", "no_key", f"Map a column to {dataset.key}, or insert.")],
        )


def check_bulk(dataset: Dataset, mode: str, by: Actor) -> None:
    if not by.role.covers(Role.ADMIN):
        raise RoleTooLow("The bulk way locks a whole table; an administrator may choose it.")
    if dataset.is_appended:
        message = f"{dataset.title} are appended in their order, beside live ones; there is no bulk way."
        raise Invalid(message, errors=[FieldError("/bulk", "not_when_appended", "Leave it out.")])
    if mode != "insert":
        raise Invalid(
            "The bulk way is for inserting: an upsert finds rows by the indexes that it would drop.",
            errors=[FieldError("/bulk", "not_with_upsert", "Leave it out, or insert.")],
        )


def check_options(options: Mapping[str, str]) -> None:
    """Steps read a file as it was recognised, and write their result in one way."""
    given = [name for name in ("encoding", "delimiter", "sheet") if name in options]
    if given:
        message = f"With a recipe, {' and '.join(given)} cannot be given: its steps read the file."
        raise Invalid(
            message, errors=[FieldError(f"/options/{name}", "not_with_recipe", message) for name in given]
        )


def fingerprint_of(
    sha256: str, steps: Steps, dataset: Dataset, mapping: Mapping[str, str], mode: str, terms: Terms
) -> str:
    """Same bytes, same steps, same dataset, same options: the same import."""
    parts = [sha256, dataset.name, dict(mapping), mode, terms.options, terms.on_error, *steps]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()
