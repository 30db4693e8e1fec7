"""Operations: checked against the columns of their file, put in line, and kept with where they come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Session

from src.domain.formulas import BadFormula
from src.domain.roles import Actor
from src.engine.operations.faults import UnreadableValue, unknown_columns
from src.engine.queries.statements import OutputFormat
from src.engine.queries.values import Ran
from src.engine.values import ColumnType, Detected, Profile, Regular
from src.models import File, Operation
from src.repositories.operations import OperationRepository
from src.services.audit import AuditTrail
from src.services.jobs import JobService

if TYPE_CHECKING:
    from src.engine.queries.rows import Rows

KIND = "operation"
INPUT = "input"

Steps = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be done with a file. `types` are the caller's own, where the profile should not decide."""

    steps: Steps
    output: OutputFormat = "csv"
    types: dict[str, ColumnType] = field(default_factory=dict)
    recipe_id: UUID | None = None
    recipe_version: int | None = None


class OperationService:
    def __init__(self, session: Session, jobs: JobService) -> None:
        self.session = session
        self.operations = OperationRepository(session)
        self.audit = AuditTrail(session)
        self.jobs = jobs

    def start(self, file: File, others: Mapping[str, File], wish: Wish, by: Actor) -> Operation:
        """Put the operation in line, unless it cannot be done with this file."""
        check(file, others, wish)
        operation = self.operations.add(
            Operation(
                owner_id=by.account_id,
                file_id=file.id,
                file_name=file.name,
                file_sha256=file.sha256,
                recipe_id=wish.recipe_id,
                recipe_version=wish.recipe_version,
                steps=wish.steps,
                types=wish.types,
                output=wish.output,
            )
        )
        args = {"operation_id": str(operation.id)}
        operation.job_id = self.jobs.enqueue(KIND, args, owner_id=by.account_id).id
        self.session.flush()
        self.audit.note(by, "operation.started", "operation", operation.id, file=str(file.id))
        return self.operations.get_own(operation.id, None)

    def finish(self, id_: UUID, result: File, ran: Ran, lineage: dict[str, Any]) -> None:
        """Note the result, how many rows it has, and what it was made of."""
        operation = self.operations.get_own(id_, None)
        operation.result_file_id = result.id
        operation.original_rows, operation.processed_rows = ran.rows_in[INPUT], ran.rows_out
        operation.lineage = lineage
        operation.finished_at = func.clock_timestamp()
        self.session.flush()


def joined_files(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """The files that steps join, each once, in the order in which they do."""
    return list(dict.fromkeys(step["file_id"] for step in steps if step["operation"] == "join"))


def name_of(place: int) -> str:
    """What a joined file is called in a query."""
    return f"joined_{place}"


def check(file: File, others: Mapping[str, File], wish: Wish) -> None:
    """Raise what is wrong with the steps. Before its profile, only the head of a file tells types: then what
    depends on them is left to the job."""
    is_known = all(one.profile is not None for one in (file, *others.values()))
    try:
        plan(wish, reading_of(file)[0], {id_: reading_of(other)[0] for id_, other in others.items()})
    except (UnreadableValue, BadFormula) as error:
        if is_known or getattr(error, "code", "type") != "type":
            raise


def plan(wish: Wish, detected: Detected, others: Mapping[str, Detected]) -> "Rows":
    """The rows that come out of the steps, as an expression that can be run."""
    from src.engine.operations.applying import apply
    from src.engine.queries.rows import scan

    typed = with_types(detected, wish.types)
    tables = {
        id_: scan(name_of(place), other.columns, is_proven=False)
        for place, (id_, other) in enumerate(others.items())
    }
    return apply(wish.steps, scan(INPUT, typed.columns, is_proven=not wish.types), tables)


def profile_of(file: File) -> Profile | None:
    """What its profile found, if it has one."""
    return None if file.profile is None else Profile.from_json({"detected": file.detected, **file.profile})


def reading_of(file: File) -> tuple[Detected, Regular | None]:
    """How the file is read: as its profile found, else as its head looks."""
    found = profile_of(file)
    return (found.detected, found.regular) if found else (Detected.from_json(file.detected), None)


def with_types(detected: Detected, types: Mapping[str, ColumnType]) -> Detected:
    """The same file with other types for some columns."""
    names = [column.name for column in detected.columns]
    missing = [(f"/types/{name}", name) for name in types if name not in names]
    if missing:
        raise unknown_columns(missing, names)
    columns = []
    for column in detected.columns:
        kind = types.get(column.name, column.type)
        if kind != column.type:
            column = replace(  # noqa: PLW2901 # the same column, read otherwise
                column,
                type=kind,
                decimal=(column.decimal or detected.decimal or ".")
                if kind in ("integer", "decimal")
                else None,
                date_order=(column.date_order or "ymd") if kind in ("date", "datetime") else None,
            )
        columns.append(column)
    return replace(detected, columns=tuple(columns))
