"""What all requests that start an import have in common: a file, sent or named, and how to load it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flask import g, request

from src.api.authentication import actor, owner_filter
from src.api.blueprint import Parser
from src.api.idempotency import once
from src.api.queries import names_in
from src.api.schemas.base import Schema
from src.api.schemas.imports import IMPORTS, ONE_IMPORT, ImportFormSchema, ImportStartSchema
from src.api.schemas.notify import NOTIFY
from src.api.uploads import NoFile, receive
from src.domain.errors import FieldError
from src.engine.imports.returned import read_as_table
from src.engine.values import Detected
from src.integrations.storage_upload import Upload
from src.models import File, Import
from src.services.files import deleted_unless_kept, inspect
from src.services.idempotency import Answer
from src.services.import_terms import Terms, dataset_of
from src.services.looks import Look
from src.services.preparing import look_into
from src.wiring import Services, adapters, services

parser = Parser()


@dataclass(frozen=True, kw_only=True)
class GivenFile:
    """A file that is stored already, or one that came with the request and is kept if all goes well."""

    key: str
    detected: Mapping[str, Any]
    sha256: str
    name: str
    file: File | None = None
    upload: Upload | None = None

    def look(self, dataset: str, terms: Terms) -> Look:
        """How what is imported is read, and what its columns seem to mean."""
        mine = adapters()
        file = self.file or File(name=self.name, storage_key=self.key, detected=self.detected)
        how = terms.options, terms.preparation
        return look_into(file, dataset_of(dataset), *how, mine.storage, mine.readers, mine.settings)

    def table(self, options: Mapping[str, str]) -> Detected:
        """How a table of rejects is read that came back."""
        mine = adapters()
        with mine.storage.local_path(self.key) as path:
            return read_as_table(
                Path(path),
                Detected.from_json(self.detected),
                encoding=options.get("encoding"),
                delimiter=options.get("delimiter"),
                sheet=options.get("sheet"),
                limits=mine.readers.limits,
                in_turn=mine.readers.turn,
            )

    def once(self, what: str, make: Callable[[Services, File], Answer]) -> Answer:
        """Keep the file and make the answer in one transaction; or replay the first answer."""
        fingerprint = f"{request.method} {request.full_path} {what} {self.sha256}"
        with services() as s:
            answer = once(s, fingerprint, lambda: make(s, self._kept(s)))
        if answer.is_replay and self.upload:
            adapters().storage.delete(self.key)
        return answer

    def _kept(self, s: Services) -> File:
        if self.file is not None:
            return self.file
        assert self.upload is not None  # noqa: S101  one of the two is there
        return s.files.keep(self.upload, Detected.from_json(self.detected), name=self.name, actor=actor())


@contextmanager
def given_file(
    schema: type[Schema], *, filename: str | None = None
) -> Iterator[tuple[GivenFile, dict[str, Any]]]:
    """The file that the request is about, and its form; a part that the form does not know is refused.

    What came is deleted unless it is kept.
    """
    mine = adapters()
    if request.is_json and schema is ImportFormSchema:
        form = dict(parser.parse(ImportStartSchema(), request, location="json"))
        yield _stored(form), form
        return
    known = names_in(schema()) | ({NOTIFY} if g.get("starts_job") else set())
    upload, name = receive(mine.settings.max_upload_bytes, filename, known=known)
    detected = inspect(mine.storage, mine.readers, upload, name)
    with deleted_unless_kept(mine.storage, upload):
        form = dict(parser.parse(schema(), request, location="form"))
        given = GivenFile(
            key=upload.key, detected=asdict(detected), sha256=upload.sha256, name=name, upload=upload
        )
        yield given, form


def terms_of(form: Mapping[str, Any]) -> Terms:
    """How the file is to be imported; a recipe comes with its steps."""
    preparation = None
    if "recipe_id" in form:
        with services() as s:
            version = form.get("recipe_version")
            preparation = s.preparing.by_recipe(form["recipe_id"], version, owner_filter())
    return Terms(
        preparation=preparation,
        mapping=form.get("mapping"),
        mode=form.get("mode"),
        on_error=form["on_error"],
        max_errors=form.get("max_errors"),
        max_error_rate=form.get("max_error_rate"),
        is_dry_run=form.get("dry_run", False),
        is_bulk=form.get("bulk", False),
        options=form["options"],
    )


def changed_terms(imported: Import, form: Mapping[str, Any]) -> Terms:
    """The terms of a draft, with what was sent in place of what was there."""
    names = ("mapping", "mode", "on_error", "max_errors", "max_error_rate", "options")
    return Terms(**{name: form.get(name, getattr(imported, name)) for name in names})


def begin(given: GivenFile, dataset: str, terms: Terms, *, is_draft: bool, is_forced: bool) -> Answer:
    """Start the import, or only draft it."""
    look = given.look(dataset, terms)

    def make(s: Services, file: File) -> Answer:
        if is_draft:
            imported = s.imports.draft(file, dataset_of(dataset), look, terms, actor())
            return Answer(201, described(s, imported), {"Location": f"/api/v1/imports/{imported.id}"})
        imported, is_new = s.imports.start(
            file, dataset_of(dataset), look, terms, actor(), is_forced=is_forced
        )
        if not is_new and given.upload:
            s.files.delete(file, actor())  # a second copy of bytes that are here already
        return accepted(s, imported, is_new)

    return given.once(f"{dataset} {terms}", make)


def accepted(s: Services, imported: Import, is_new: bool = True) -> Answer:
    """The import is in line; or it is another one, of the same file in the same way."""
    if not is_new:
        return Answer(200, described(s, imported) | {"duplicate_of": str(imported.id)})
    return Answer(202, described(s, imported), {"Location": f"/api/v1/imports/{imported.id}"})


def described(s: Services, imported: Import) -> dict[str, Any]:
    """The import as the API shows it, with its corrections in their order."""
    imported = s.import_rows.get_own(imported.id, None)
    members: dict[str, Any] = ONE_IMPORT.dump(imported)
    corrections = IMPORTS.dump(s.import_rows.corrections_of(imported.id))
    return members | {"corrections": corrections, "duplicate_of": None}


def _stored(form: Mapping[str, Any]) -> GivenFile:
    if "file_id" not in form:
        message = "Name an uploaded file, or send one as multipart/form-data."
        raise NoFile(message, errors=[FieldError("/file_id", "required", message)])
    with services() as s:
        file = s.file_rows.get_own(form["file_id"], owner_filter())
    return GivenFile(
        key=file.storage_key, detected=file.detected, sha256=file.sha256, name=file.name, file=file
    )
