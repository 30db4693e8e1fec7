"""A look at what rules would give: the first rows of the input beside the whole reference, nothing kept."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.config import Settings
from src.domain.errors import FieldError, TooLarge
from src.domain.rules_reading import read_rules
from src.engine.profile import profile
from src.engine.queries.running import Question, Ran, run_queries
from src.engine.queries.values import TableFile
from src.engine.reports.sheet import Sheet
from src.engine.reports.values import Table
from src.engine.values import Profile
from src.integrations.storage import Storage
from src.models import File
from src.services.operations import reading_of
from src.services.reading import Readers
from src.services.reports import Order, values_of
from src.services.scratch import trial_folder
from src.services.trials import head_of

MOST_REFERENCE = 64 * 1024 * 1024  # bytes; a longer one is not read while someone waits
SECONDS = 20


class ReferenceTooLong(TooLarge):
    slug = "reference-too-long"
    title = "The reference is too long for a preview"


@dataclass(frozen=True, kw_only=True)
class ReportTrial:
    """What the rules make of the first rows. `is_whole`: the input has no more than these."""

    columns: list[dict[str, Any]]
    rows: Sequence[Sequence[str]]
    rows_in: int
    unmatched: list[dict[str, Any]]
    uncomputable: int
    is_whole: bool


def try_report(
    order: Order, document: Any, storage: Storage, readers: Readers, settings: Settings
) -> ReportTrial:
    """Make the report of the first rows; what is wrong is raised as the job would tell it."""
    from src.engine.reports.making import Making
    from src.engine.reports.planning import plan_of

    rules = read_rules(document)
    values = values_of(rules, order.parameters)
    if order.reference is not None and order.reference.size > MOST_REFERENCE:
        message = f"A preview reads references of up to {MOST_REFERENCE >> 20} MiB. Make the report."
        raise ReferenceTooLong(message, errors=[FieldError("/reference_file_id", "too_long", message)])
    with ExitStack() as stack:
        folder = stack.enter_context(trial_folder(settings))
        head, is_whole = head_of(order.input, folder / "input.csv", storage, readers)
        stack.enter_context(readers.turn())
        trying = _Trying(folder, readers)
        table = trying.table(order.input, head)
        reference = None
        if order.reference is not None:
            path = Path(stack.enter_context(storage.local_path(order.reference.storage_key)))
            reference = trying.table(order.reference, TableFile(path, *reading_of(order.reference)))
        made = Making(
            plan_of(rules, table, reference, values, "csv"), table, reference, folder, trying.answers
        ).make()
        rows = list(Sheet(made.report, "", made.columns).rows())
    figures = {name: made.figures[name] for name in ("rows_in", "unmatched", "uncomputable")}
    return ReportTrial(columns=made.columns, rows=rows, is_whole=is_whole, **figures)


@dataclass(frozen=True)
class _Trying:
    """A folder for what comes of it, and the limits of the engine's children."""

    folder: Path
    readers: Readers

    def table(self, file: File, content: TableFile) -> Table:
        """The content with the facts about the whole file, if they are known, else with its own."""
        if file.profile is not None:
            return Table(content, Profile.from_json({"detected": file.detected, **file.profile}))
        found = profile(
            content.path,
            content.detected,
            work_dir=self.folder,
            seconds=SECONDS,
            limits=self.readers.limits,
        )
        return Table(TableFile(content.path, found.detected, found.regular), found)

    def answers(self, questions: Sequence[Question]) -> list[Ran]:
        return run_queries(questions, work_dir=self.folder, seconds=SECONDS, limits=self.readers.limits)
