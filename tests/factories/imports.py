"""Imports for tests: started as a request starts them, and run as a worker runs them."""

from pathlib import Path
from typing import Any
from uuid import UUID

from flask import Flask
from sqlalchemy import text

from src.domain.jobs import JobState
from src.domain.roles import Actor, Role
from src.engine.export import csv_lines
from src.engine.imports.rejects import RejectedRow, rejected_rows, table_columns
from src.engine.imports.returned import read_as_table
from src.engine.values import Detected
from src.models import Import, Job
from src.services.import_terms import Terms, dataset_of
from src.services.looks import Look, look_at
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import adapters, services
from tests.factories.files import Files


class Imports:
    def __init__(self, app: Flask, role: Role = Role.OPERATOR) -> None:
        self.app = app
        self.files = Files(app)
        self.owner: Actor = self.files.owner(role)

    def another(self, role: Role) -> "Imports":
        """Those of another account."""
        return Imports(self.app, role)

    def start(self, dataset: str, content: bytes | str, *, is_forced: bool = False, **terms: Any) -> Import:
        """An import in line."""
        file = self.files.add(self.owner, content=content.encode() if isinstance(content, str) else content)
        wanted = Terms(**terms)
        look = self.look(dataset, file, wanted)
        with services() as s:
            imported, _ = s.imports.start(
                file, dataset_of(dataset), look, wanted, self.owner, is_forced=is_forced
            )
            return imported

    def draft(self, dataset: str, content: str) -> Import:
        """An import that waits for its owner."""
        file = self.files.add(self.owner, content=content.encode())
        look = self.look(dataset, file, Terms())
        with services() as s:
            return s.imports.draft(file, dataset_of(dataset), look, Terms(), self.owner)

    def look(self, dataset: str, file: Any, terms: Terms) -> Look:
        mine = adapters()
        return look_at(
            mine.storage,
            mine.readers,
            file.storage_key,
            file.detected,
            dataset_of(dataset),
            terms.options,
        )

    def run(self, imported: Import) -> Import:
        """Do the import's job, however it ends."""
        assert imported.job_id
        run_job(imported.job_id, HANDLERS)
        return self.read(imported.id)

    def load(self, dataset: str, content: bytes | str, **terms: Any) -> Import:
        """An import that was run."""
        return self.run(self.start(dataset, content, **terms))

    def send_back(self, imported: Import, content: bytes, by: Actor | None = None, **options: str) -> Import:
        """A correction in line."""
        file = self.files.add(self.owner, content=content)
        mine = adapters()
        with mine.storage.local_path(file.storage_key) as path:
            read = Detected.from_json(file.detected)
            table = read_as_table(Path(path), read, limits=mine.readers.limits, **self._ways(options))
        with services() as s:
            return s.corrections.start(self.read(imported.id), file, table, options, by or self.owner)

    def correct(self, imported: Import, table: list[list[str]], **options: str) -> Import:
        """A correction that was run."""
        return self.run(self.send_back(imported, as_csv(table), **options))

    def table_of_rejects(self, imported: Import) -> list[list[str]]:
        """What a clerk gets to mend."""
        headers = [column["name"] for column in imported.detected["columns"]]
        rows = [row.as_cells(len(headers), has_rest=False) for row in self.rejects(self.read(imported.id))]
        return [table_columns(headers, has_rest=False), *([str(cell) for cell in row] for row in rows)]

    def _ways(self, options: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in options.items() if name in ("encoding", "delimiter", "sheet")}

    def undo(self, imported: Import, *, is_dry_run: bool = False) -> dict[str, Any]:
        with services() as s:
            job = s.imports.undo(imported, self.owner, is_dry_run=is_dry_run)
        assert run_job(job.id, HANDLERS) is JobState.DONE
        with services() as s:
            result = s.job_rows.get(job.id).result
        assert result is not None
        return result

    def read(self, import_id: UUID) -> Import:
        with services() as s:
            return s.import_rows.get_own(import_id, None)

    def rejects(self, imported: Import) -> list[RejectedRow]:
        """The rows that were not loaded."""
        if imported.rejects_file_id is None:
            return []
        with services() as s:
            file = s.file_rows.get(imported.rejects_file_id)
        with adapters().storage.local_path(file.storage_key) as path:
            return list(rejected_rows(path))


def counts(imported: Import) -> dict[str, int]:
    """The counts that are not 0."""
    names = ("rows_read", "inserted", "updated", "unchanged", "duplicate", "rejected")
    return {name: getattr(imported, name) for name in names if getattr(imported, name)}


def as_csv(table: list[list[str]]) -> bytes:
    return "".join(csv_lines(table[0], list(table[1:]))).encode()


def codes(rows: list[RejectedRow]) -> list[tuple[int, str, str]]:
    """What is wrong where: line, column and code."""
    return [(row.line, fault.column, fault.code) for row in rows for fault in row.faults]


def table(query: str) -> list[tuple[Any, ...]]:
    """What the database has."""
    with services() as s:
        return [tuple(row) for row in s.session.execute(text(query))]


def job_of(imported: Import) -> Job:
    with services() as s:
        return s.job_rows.get(imported.job_id)
