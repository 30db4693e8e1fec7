"""Imports: how a file is loaded into a dataset, and what became of its rows."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask_smorest.fields import Upload
from marshmallow import ValidationError, fields, pre_load, validate, validates_schema

from src.api.schemas.base import Schema, decoded
from src.api.schemas.jobs import JobErrorSchema
from src.api.schemas.lists import ListQuery, list_schema
from src.domain.datasets import DATASETS
from src.domain.imports import ImportState, state_of
from src.models import Import

DATASET = validate.OneOf(list(DATASETS))
MODE = validate.OneOf(["insert", "upsert"])
ENCODINGS = ["utf-8", "cp1252", "utf-16-le", "utf-16-be"]


LINES = "Lines are rows of what the recipe made of the file: /api/v1/operations/{} shows it."
BLOCKS = "While its rows are written, nobody else reads or writes {}; whoever tries, waits or is told to."


def _is_a_share(value: Decimal) -> None:
    """By hand: the documentation would get the bounds as decimals, which no JSON has."""
    if not 0 <= value <= 1:
        raise ValidationError("Must be between 0 and 1.")


class OptionsSchema(Schema):
    """How the file is written, where the service should not find that out by itself."""

    encoding = fields.String(validate=validate.OneOf(ENCODINGS))
    delimiter = fields.String(validate=validate.Length(equal=1))
    decimal = fields.String(validate=validate.OneOf([".", ","]))
    date_order = fields.String(validate=validate.OneOf(["ymd", "dmy", "mdy"]))
    sheet = fields.String(validate=validate.Length(min=1, max=100))


class TermsSchema(Schema):
    """How the rows are loaded."""

    mapping = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata={"description": "Field of the dataset to column of the file. Left out, it is proposed."},
    )
    mode = fields.String(validate=MODE, metadata={"description": "Left out: the dataset's own."})
    on_error = fields.String(load_default="skip_rows", validate=validate.OneOf(["skip_rows", "reject_file"]))
    max_errors = fields.Integer(validate=validate.Range(min=0, max=2**31 - 1))
    max_error_rate = fields.Decimal(validate=_is_a_share, metadata={"minimum": 0, "maximum": 1})
    options = fields.Nested(OptionsSchema, load_default=dict)

    @pre_load
    def decode(self, data: Any, **_: Any) -> Any:
        return decoded(data, "mapping", "options")


class ImportStartSchema(TermsSchema):
    dataset = fields.String(required=True, validate=DATASET)
    file_id = fields.UUID(
        metadata={"description": "An uploaded file; or send the file itself, as multipart."}
    )
    recipe_id = fields.UUID(
        metadata={
            "description": "Steps that run over the file first; what comes out is imported. Lines are then "
            "those of that result."
        }
    )
    recipe_version = fields.Integer(validate=validate.Range(min=1, max=2**31 - 1))
    dry_run = fields.Boolean(load_default=False)
    bulk = fields.Boolean(
        load_default=False,
        metadata={
            "description": "For administrators: the table's indexes are dropped and made again, and nobody "
            "else reads or writes it meanwhile."
        },
    )

    @validates_schema
    def check_recipe(self, data: Mapping[str, Any], **_: Any) -> None:
        if "recipe_version" in data and "recipe_id" not in data:
            raise ValidationError({"recipe_version": ["Of which recipe? Give its recipe_id."]})


class WrittenFileSchema(Schema):
    """A file, and how it is written, where the service should not find that out by itself."""

    file = Upload()
    options = fields.Nested(OptionsSchema, load_default=dict)

    @pre_load
    def decode(self, data: Any, **_: Any) -> Any:
        return decoded(data, "options")


class CorrectionSchema(WrittenFileSchema):
    """The table of rejects, mended; and how it is written, where a program has changed that."""


class ImportFormSchema(ImportStartSchema):
    file = Upload(metadata={"description": "The file itself, in place of `file_id`."})


class CommitQuery(Schema):
    force = fields.Boolean(load_default=False, metadata={"description": "Load the same file once more."})


class ImportStartQuery(CommitQuery):
    draft = fields.Boolean(load_default=False, metadata={"description": "Only look, and propose a mapping."})


class UndoQuery(Schema):
    dry_run = fields.Boolean(load_default=False)


class ImportSchema(Schema):
    id = fields.UUID(required=True)
    owner_id = fields.UUID(required=True)
    parent_id = fields.UUID(required=True, allow_none=True)
    dataset = fields.String(required=True)
    state = fields.Function(
        lambda row: str(state(row)),
        required=True,
        metadata={"type": "string", "enum": [state.value for state in ImportState]},
    )
    file_id = fields.UUID(required=True, allow_none=True)
    file_name = fields.String(required=True)
    operation_id = fields.UUID(required=True, allow_none=True)
    lines_of = fields.Function(
        lambda row: LINES.format(row.operation_id) if row.operation_id else None,
        required=True,
        metadata={
            "type": ["string", "null"],
            "description": "Which file its line numbers count in, where it is not the one that was sent.",
        },
    )
    mode = fields.String(required=True)
    on_error = fields.String(required=True)
    max_errors = fields.Integer(required=True, allow_none=True)
    max_error_rate = fields.Float(required=True, allow_none=True)
    is_dry_run = fields.Boolean(required=True)
    is_bulk = fields.Boolean(required=True)
    blocks = fields.Function(
        lambda row: BLOCKS.format(row.dataset) if row.is_bulk and not row.is_dry_run else None,
        required=True,
        metadata={"type": ["string", "null"], "description": "Who has to wait while its rows are written."},
    )
    mapping = fields.Dict(required=True)
    options = fields.Dict(required=True)
    rows_read = fields.Integer(required=True)
    inserted = fields.Integer(required=True)
    updated = fields.Integer(required=True)
    unchanged = fields.Integer(required=True)
    duplicate = fields.Integer(required=True)
    rejected = fields.Integer(required=True)
    report = fields.Dict(
        required=True,
        metadata={
            "description": "Proposals, sample and readings; then faults by column and code, and times."
        },
    )
    job_id = fields.UUID(required=True, allow_none=True)
    error = fields.Method("error_of", required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    committed_at = fields.AwareDateTime(required=True, allow_none=True)
    undone_at = fields.AwareDateTime(required=True, allow_none=True)

    def error_of(self, row: Import) -> dict[str, Any] | None:
        """Why its job ended badly."""
        return JobErrorSchema().dump(row.job.error) if row.job and row.job.error else None


class OneImportSchema(ImportSchema):
    """One import, with its corrections, and its like if it was there before."""

    corrections = fields.List(
        fields.Nested(ImportSchema),
        required=True,
        metadata={"description": "In their order. The counts above are those of the file after all of them."},
    )
    duplicate_of = fields.UUID(required=True, allow_none=True)


class ImportQuery(ListQuery):
    dataset = fields.String(validate=DATASET)
    parent_id = fields.UUID()


class RejectsQuery(Schema):
    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=1_000_000))
    per_page = fields.Integer(load_default=50, validate=validate.Range(min=1, max=500))
    format = fields.String(load_default="json", validate=validate.OneOf(["json", "csv", "xlsx"]))


class FaultSchema(Schema):
    line = fields.Integer(required=True)
    column = fields.String(required=True)
    code = fields.String(required=True)
    value = fields.String(required=True)
    detail = fields.String(required=True)
    message = fields.String(required=True)


class RejectSchema(Schema):
    line = fields.Integer(required=True)
    errors = fields.List(fields.Nested(FaultSchema), required=True)
    row = fields.List(fields.String(), required=True, metadata={"description": "As it stands in the file."})


def state(row: Import) -> ImportState:
    return state_of(row.undone_at, row.committed_at, row.job.state if row.job else None)


IMPORT = ImportSchema()
IMPORTS = ImportSchema(many=True)
ONE_IMPORT = OneImportSchema()
ImportList = list_schema(ImportSchema)
RejectList = list_schema(RejectSchema)
