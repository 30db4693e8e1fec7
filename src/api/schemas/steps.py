"""The steps that operations and recipes are made of, each with the arguments that it takes."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from src.api.schemas.base import Schema

MOST_STEPS, MOST_NAMES, MOST_FILTERS, LONGEST_TEXT = 50, 1_000, 100, 10_000
MOST_IN_ALL = 3_000  # names, filters and figures of all steps: each makes the expression dearer to build
TYPES = ["text", "integer", "decimal", "date", "datetime", "boolean"]
OPERATORS = [
    *(">", ">=", "<", "<=", "==", "!=", "in", "between"),
    *("contains", "not_contains", "starts_with", "ends_with", "regex", "is_empty", "not_empty"),
]


def name_field(**options: Any) -> fields.String:
    return fields.String(**{"required": True, **options}, validate=validate.Length(min=1, max=1_000))


def names_field(**options: Any) -> fields.List[Any]:
    return fields.List(
        name_field(), **{"required": True, "validate": validate.Length(min=1, max=MOST_NAMES), **options}
    )


def text_field(least: int = 0, **options: Any) -> fields.String:
    return fields.String(**options, validate=validate.Length(min=least, max=LONGEST_TEXT))


class ScalarField(fields.Raw):
    """A text, a number or a truth value."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, str | int | float | bool) or len(str(value)) > LONGEST_TEXT:
            raise ValidationError("Must be a text, a number, or true or false.")
        return value


class StepSchema(Schema):
    operation = fields.String(required=True)


class FilterSchema(Schema):
    column = name_field()
    operator = fields.String(required=True, validate=validate.OneOf(OPERATORS))
    value = fields.Raw(
        metadata={"description": "A text, number or truth value; a list for in, two for between."}
    )

    @validates_schema
    def check_value(self, data: Mapping[str, Any], **_: Any) -> None:
        operator, value = data["operator"], data.get("value")
        if operator in ("is_empty", "not_empty"):
            if value is not None:
                raise ValidationError({"value": [f"{operator} takes no value."]})
        elif operator in ("in", "between"):
            if not isinstance(value, list) or not 1 <= len(value) <= MOST_NAMES:
                raise ValidationError({"value": [f"{operator} takes a list of values."]})
            if operator == "between" and len(value) != 2:
                raise ValidationError({"value": ["between takes two values, the lower one first."]})
            for one in value:
                _check_scalar(one)
        else:
            _check_scalar(value)


def _check_scalar(value: Any) -> None:
    try:
        ScalarField().deserialize(value)
    except ValidationError as error:
        raise ValidationError({"value": error.messages}) from error


class DedupSchema(StepSchema):
    columns = names_field(required=False)
    keep = fields.String(load_default="first", validate=validate.OneOf(["first", "last"]))


class UniqueSchema(StepSchema):
    column = name_field()


class FilterStepSchema(StepSchema):
    filters = fields.List(
        fields.Nested(FilterSchema), required=True, validate=validate.Length(min=1, max=MOST_FILTERS)
    )
    match = fields.String(load_default="all", validate=validate.OneOf(["all", "any"]))


class SelectSchema(StepSchema):
    columns = names_field()


class RenameSchema(StepSchema):
    columns = fields.Dict(
        keys=name_field(), values=name_field(), required=True, validate=validate.Length(min=1)
    )


class SortKeySchema(Schema):
    column = name_field()
    descending = fields.Boolean(load_default=False)


class SortSchema(StepSchema):
    by = fields.List(fields.Nested(SortKeySchema), required=True, validate=validate.Length(min=1, max=20))


class DeriveSchema(StepSchema):
    column = name_field()
    formula = text_field(1, required=True)


class ReplaceSchema(StepSchema):
    column = name_field()
    old = text_field(required=True)
    new = text_field(required=True)
    match = fields.String(load_default="text", validate=validate.OneOf(["text", "cell", "regex"]))


class FillSchema(StepSchema):
    columns = names_field()
    value = ScalarField(required=True)


class CastSchema(StepSchema):
    column = name_field()
    type = fields.String(required=True, validate=validate.OneOf(TYPES))
    decimal = fields.String(validate=validate.OneOf([".", ","]))
    date_order = fields.String(validate=validate.OneOf(["ymd", "dmy", "mdy"]))
    on_error = fields.String(load_default="fail", validate=validate.OneOf(["fail", "empty"]))


class SplitSchema(StepSchema):
    column = name_field()
    separator = text_field(1, required=True)
    into = names_field(validate=validate.Length(min=2, max=100))


class FigureSchema(Schema):
    column = name_field(required=False)
    function = fields.String(
        required=True, validate=validate.OneOf(["count", "count_distinct", "sum", "avg", "min", "max"])
    )
    name = name_field(required=False)

    @validates_schema
    def check_column(self, data: Mapping[str, Any], **_: Any) -> None:
        if "column" not in data and data["function"] != "count":
            raise ValidationError({"column": ["Which column? Only count counts rows."]})


class AggregateSchema(StepSchema):
    by = fields.List(name_field(), load_default=list, validate=validate.Length(max=100))
    values = fields.List(fields.Nested(FigureSchema), required=True, validate=validate.Length(min=1, max=100))


class JoinSchema(StepSchema):
    file_id = fields.UUID(required=True)
    on = fields.Dict(keys=name_field(), values=name_field(), required=True, validate=validate.Length(min=1))
    how = fields.String(load_default="left", validate=validate.OneOf(["left", "inner"]))


class SampleSchema(StepSchema):
    rows = fields.Integer(validate=validate.Range(min=1, max=10**12))
    share = fields.Float(validate=validate.Range(min=0, max=1))
    seed = fields.Integer(load_default=0, validate=validate.Range(min=0, max=2**31))

    @validates_schema
    def check_size(self, data: Mapping[str, Any], **_: Any) -> None:
        if ("rows" in data) == ("share" in data):
            raise ValidationError({"rows": ["Give either rows or share."]})


class LimitSchema(StepSchema):
    rows = fields.Integer(required=True, validate=validate.Range(min=0, max=10**12))
    skip = fields.Integer(load_default=0, validate=validate.Range(min=0, max=10**12))


STEP_SCHEMAS: Mapping[str, Schema] = {
    "dedup": DedupSchema(),
    "unique": UniqueSchema(),
    "filter": FilterStepSchema(),
    "select": SelectSchema(),
    "rename": RenameSchema(),
    "sort": SortSchema(),
    "derive": DeriveSchema(),
    "replace": ReplaceSchema(),
    "fill": FillSchema(),
    "cast": CastSchema(),
    "split": SplitSchema(),
    "aggregate": AggregateSchema(),
    "join": JoinSchema(),
    "sample": SampleSchema(),
    "limit": LimitSchema(),
}


class StepField(fields.Dict):
    """One step: its operation says which arguments it takes."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> dict[str, Any]:
        step: dict[str, Any] = super()._deserialize(value, attr, data, **options)  # type: ignore[no-untyped-call]
        name = step.get("operation")
        if not isinstance(name, str) or name not in STEP_SCHEMAS:
            raise ValidationError({"operation": [f"There are: {', '.join(STEP_SCHEMAS)}."]})
        return _complete(STEP_SCHEMAS[name].load(step))


def _complete(step: dict[str, Any]) -> dict[str, Any]:
    """Plain JSON, with what follows from the rest written out."""
    if step["operation"] == "join":
        step["file_id"] = str(step["file_id"])
    if step["operation"] == "aggregate":
        for figure in step["values"]:
            figure.setdefault(
                "name", "_".join([figure["function"], *([figure["column"]] if "column" in figure else [])])
            )
    return step


def _within_bounds(steps: list[dict[str, Any]]) -> None:
    parts = sum(len(part) for step in steps for part in step.values() if isinstance(part, list | dict))
    if parts > MOST_IN_ALL:
        raise ValidationError(f"At most {MOST_IN_ALL:,} columns, filters and figures in all steps together.")


def steps_field(**options: Any) -> fields.List[Any]:
    length = validate.Length(min=1, max=MOST_STEPS)
    description = (
        f"Each with its operation ({', '.join(STEP_SCHEMAS)}) and arguments; see docs/operations.md."
    )
    return fields.List(
        StepField(),
        **options,
        validate=[length, _within_bounds],
        metadata={"description": description, "example": [{"operation": "dedup"}]},
    )
