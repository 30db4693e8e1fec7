"""Imports that begin with a recipe: its steps run over the file that was sent, and the result is imported."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal
from uuid import UUID

from sqlalchemy.orm import Session

from src.config import Settings
from src.domain.datasets import DATASETS, Dataset
from src.domain.errors import Conflict
from src.domain.jobs import JobState
from src.domain.mapping import check_mapping, propose
from src.engine.values import Column, Detected
from src.integrations.storage import Storage
from src.models import File, Import, Operation
from src.repositories.files import FileRepository
from src.repositories.operations import OperationRepository
from src.repositories.recipes import RecipeRepository
from src.services.looks import Look, described, look_at
from src.services.operations import Steps, Wish, joined_files
from src.services.reading import Readers
from src.services.trials import try_out

OUTPUT: Literal["parquet"] = (
    "parquet"  # there, texts are as they are: CSV puts an apostrophe before what looks like a formula
)


class RecipeFailed(Conflict):
    slug = "recipe-failed"
    title = "The steps before the import did not succeed"


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """The steps, and the files that they join to the one that was sent."""

    wish: Wish
    others: Mapping[str, File] = field(repr=False)

    def look(
        self, file: File, dataset: Dataset, storage: Storage, readers: Readers, settings: Settings
    ) -> Look:
        """What the head of the result will show, as far as the head of the file tells."""
        trial = try_out(file, self.others, self.wish, storage, readers, settings)
        detected = Detected(
            format=OUTPUT,
            packing="none",
            media_type="application/vnd.apache.parquet",
            columns=tuple(Column(name=name) for name in trial.columns),
        )
        rows = tuple(tuple("" if cell is None else str(cell) for cell in row) for row in trial.rows)
        return Look(detected=detected, rows=rows, proposals=propose(dataset, trial.columns))


def look_into(
    file: File,
    dataset: Dataset,
    options: Mapping[str, str],
    preparation: Preparation | None,
    storage: Storage,
    readers: Readers,
    settings: Settings,
) -> Look:
    """A look at a stored file before its import, or at what comes out of the steps before that."""
    if preparation:
        return preparation.look(file, dataset, storage, readers, settings)
    return look_at(storage, readers, file.storage_key, file.detected, dataset, options)


class PreparingService:
    def __init__(self, session: Session) -> None:
        self.files = FileRepository(session)
        self.operations = OperationRepository(session)
        self.recipes = RecipeRepository(session)

    def by_recipe(self, recipe_id: UUID, version: int | None, owner_id: UUID | None) -> Preparation:
        """The steps of a recipe, with the files that they join; None stands for anyone's, for admins."""
        found = self.recipes.get_version(self.recipes.get_own(recipe_id, owner_id), version)
        wish = Wish(steps=found.steps, output=OUTPUT, recipe_id=found.recipe_id, recipe_version=found.version)
        return Preparation(wish=wish, others=self._joined(found.steps, owner_id))

    def source_of(self, imported: Import) -> tuple[File, Preparation | None]:
        """The file that is imported, or while it is being made, the one that was sent and the steps."""
        if imported.operation_id is None:
            return self.files.get(imported.file_id), None
        operation = self.operations.get_own(imported.operation_id, None)
        if operation.result_file_id is not None:
            return self.files.get(operation.result_file_id), None
        others = self._joined(operation.steps, None)  # who started it may see them
        preparation = Preparation(wish=Wish(steps=operation.steps, output=OUTPUT), others=others)
        return self.files.get(operation.file_id), preparation

    def result(self, operation_id: UUID) -> File | None:
        """What the steps made of the file; None while they run."""
        operation = self.operations.get_own(operation_id, None)
        if operation.finished_at is not None:
            return self.files.get(operation.result_file_id)
        if operation.job is None or JobState(operation.job.state).is_over:
            raise _failed(operation)
        return None

    def adopt(self, imported: Import, result: File, look: Look) -> None:
        """From here on it is the import of that file."""
        dataset = DATASETS[imported.dataset]
        check_mapping(dataset, imported.mapping, look.headers)
        imported.file_id, imported.detected = result.id, asdict(look.detected)
        imported.report = described(dataset, look, imported.mapping, imported.options)

    def _joined(self, steps: Steps, owner_id: UUID | None) -> dict[str, File]:
        return {id_: self.files.get_own(UUID(id_), owner_id) for id_ in joined_files(steps)}


def _failed(operation: Operation) -> RecipeFailed:
    error = (operation.job and operation.job.error) or {}
    reason = error.get("detail") or "They were cancelled, or given up."
    return RecipeFailed(
        f"{reason} See /api/v1/operations/{operation.id}; when its job is done, retry that of the import.",
        operation_id=str(operation.id),
    )
