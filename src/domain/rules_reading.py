"""A document → rules; all that is wrong with it is said at once, each with its place."""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from src.domain.errors import FieldError
from src.domain.formulas import TYPE_NAMES, BadFormula, nearest, text_of, type_named
from src.domain.formulas.syntax import syntax_of
from src.domain.formulas.types import UNKNOWN
from src.domain.rules import (
    FORMATS,
    LONGEST_NAME,
    MEMBERS,
    MISSING,
    MOST_LOOKUPS,
    MOST_OUTPUTS,
    MOST_ROWS,
    BadRules,
    Lookup,
    Output,
    Rules,
)

MOST_TOLD = 100  # faults in one answer


def read_rules(document: Any) -> Rules:
    """Understand a document, or raise all that is wrong with it, each with its pointer."""
    return _Reader().rules(document)


def changes(old: Any, new: Any) -> list[dict[str, Any]]:
    """What differs between two documents: outputs by name, other members whole."""
    before, after = read_rules(old), read_rules(new)
    formulas = [{output.name: output.formula for output in rules.outputs} for rules in (before, after)]
    found = _differences(formulas[0], formulas[1], "output")
    members = [
        {name: getattr(rules, name) for name in MEMBERS if name != "outputs"} for rules in (before, after)
    ]
    return found + _differences(members[0], members[1], "member")


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], what: str) -> list[dict[str, Any]]:
    names = [*old, *(name for name in new if name not in old)]
    return [
        {what: name, "old": _plain(old.get(name)), "new": _plain(new.get(name))}
        for name in names
        if old.get(name) != new.get(name)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, Lookup):
        return {"on": list(value.on), "take": value.take and list(value.take), "missing": value.missing}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, str | int) else dict(value)


def _is_nested(value: Any) -> bool:
    return isinstance(value, list | dict)


def _written(value: Any) -> str:
    """A value of a document as a cell would hold it."""
    return str(value) if type(value) is int else text_of(value)


class _Reader:
    """Collects what is wrong, so that one answer says all of it."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def rules(self, document: Any) -> Rules:
        if isinstance(document, list):
            document, start = {"outputs": document}, ""
        elif isinstance(document, dict):
            start = "/outputs"
        else:
            raise BadRules("Expected a list of {output, formula}, or an object with «outputs».")
        for name in document:
            if name not in MEMBERS:
                near = nearest(str(name), MEMBERS)
                hint = f" Did you mean «{near[0]}»?" if near else f" There are: {', '.join(MEMBERS)}."
                self.wrong(f"/{name}", "unknown_member", f"There is no member «{name}».{hint}")
        rules = Rules(
            outputs=self.outputs(document.get("outputs"), start),
            types=self.types(document.get("types", {}), "/types"),
            lookups=self.lookups(document.get("lookups")),
            where=self.text(document.get("where"), "/where", 2_000),
            group_by=self.names(document.get("group_by"), "/group_by"),
            order_by=self.order(document.get("order_by")),
            limit=self.limit(document.get("limit")),
            format=self.one_of(document.get("format", "csv"), FORMATS, "/format"),
            parameters=self.parameters(document.get("parameters", {})),
            title=self.text(document.get("title"), "/title", LONGEST_NAME),
        )
        self.raise_errors()
        self.check(rules)
        self.raise_errors()
        return rules

    def raise_errors(self) -> None:
        if self.errors:
            raise BadRules(
                f"{len(self.errors)} things are wrong with these rules."
                if len(self.errors) > 1
                else self.errors[0].message,
                errors=self.errors[:MOST_TOLD],
            )

    def wrong(self, pointer: str, code: str, message: str) -> None:
        self.errors.append(FieldError(pointer, code, message))

    def outputs(self, given: Any, start: str) -> tuple[Output, ...]:
        if not isinstance(given, list) or not 1 <= len(given) <= MOST_OUTPUTS:
            self.wrong(
                start or "/", "outputs", f"Expected a list of 1 to {MOST_OUTPUTS} of {{output, formula}}."
            )
            return ()
        found: list[Output] = []
        for place, one in enumerate(given):
            pointer = f"{start}/{place}"
            if not isinstance(one, dict) or set(one) != {"output", "formula"}:
                self.wrong(pointer, "output", "Expected an object with «output» and «formula», and no more.")
                continue
            name = self.text(one["output"], f"{pointer}/output", LONGEST_NAME)
            formula = self.text(one["formula"], f"{pointer}/formula", 2_000)
            if name is None or formula is None:
                self.wrong(pointer, "output", "Both must be texts, and not empty.")
                continue
            if any(name == other.name for other in found):
                self.wrong(f"{pointer}/output", "duplicate", f"There are two outputs «{name}».")
            found.append(Output(name=name, formula=formula, pointer=f"{pointer}/formula"))
        return tuple(found)

    def types(self, given: Any, pointer: str) -> dict[str, str]:
        if not isinstance(given, dict):
            self.wrong(pointer, "types", "Expected an object: column to type.")
            return {}
        for name, kind in given.items():
            if not isinstance(kind, str) or type_named(kind) is None:
                self.wrong(f"{pointer}/{name}", "type", f"Expected one of {', '.join(TYPE_NAMES)}.")
        return {name: kind for name, kind in given.items() if isinstance(kind, str)}

    def lookups(self, given: Any) -> tuple[Lookup, ...] | None:
        if given is None:
            return None
        if not isinstance(given, list) or len(given) > MOST_LOOKUPS:
            self.wrong("/lookups", "lookups", f"Expected a list of at most {MOST_LOOKUPS} lookups.")
            return None
        found = [self.lookup(one, f"/lookups/{place}") for place, one in enumerate(given)]
        return tuple(one for one in found if one is not None)

    def lookup(self, given: Any, pointer: str) -> Lookup | None:
        if not isinstance(given, dict) or not {"on"} <= set(given) <= {"on", "take", "missing"}:
            self.wrong(pointer, "lookup", "Expected an object with «on», and perhaps «take» and «missing».")
            return None
        on = given["on"] if isinstance(given["on"], list) else [given["on"]]
        keys, take = self.names(on, f"{pointer}/on"), self.names(given.get("take"), f"{pointer}/take")
        missing, defaults = self.missing(given.get("missing"), f"{pointer}/missing")
        return Lookup(on=keys, take=take, missing=missing, defaults=defaults) if keys else None

    def missing(self, given: Any, pointer: str) -> tuple[str, dict[str, str]]:
        """What is done where there is no such row: a word, and with `default` the values by column."""
        if given is None:
            return "null", {}
        if isinstance(given, str) and given in MISSING and given != "default":
            return given, {}
        values = given["default"] if isinstance(given, dict) and set(given) == {"default"} else None
        if isinstance(values, dict) and values and not any(map(_is_nested, values.values())):
            return "default", {name: _written(value) for name, value in values.items()}
        self.wrong(pointer, "missing", "Expected null, drop, fail, or {default: {column: value}}.")
        return "null", {}

    def names(self, given: Any, pointer: str) -> tuple[str, ...] | None:
        if given is None:
            return None
        if isinstance(given, list) and all(isinstance(one, str) and one for one in given):
            if len(set(given)) < len(given):
                self.wrong(pointer, "duplicate", "A name is there twice.")
            return tuple(given)
        self.wrong(pointer, "names", "Expected a list of names.")
        return None

    def order(self, given: Any) -> tuple[tuple[str, bool], ...]:
        """Names of outputs; with `-` in front, descending."""
        names = self.names(given, "/order_by") or ()
        return tuple((name.removeprefix("-"), name.startswith("-")) for name in names)

    def limit(self, given: Any) -> int | None:
        if given is None or (
            isinstance(given, int) and not isinstance(given, bool) and 0 < given <= MOST_ROWS
        ):
            return given
        self.wrong("/limit", "limit", f"Expected a whole number from 1 to {MOST_ROWS:,}.")
        return None

    def one_of(self, given: Any, choices: Sequence[str], pointer: str) -> str:
        if given not in choices:
            self.wrong(pointer, "choice", f"Expected one of {', '.join(choices)}.")
        return str(given)

    def text(self, given: Any, pointer: str, longest: int) -> str | None:
        if given is None or (isinstance(given, str) and 0 < len(given) <= longest and "\0" not in given):
            return given
        self.wrong(pointer, "text", f"Expected a text of 1 to {longest:,} characters.")
        return None

    def parameters(self, given: Any) -> dict[str, tuple[str, str | None]]:
        if not isinstance(given, dict):
            self.wrong("/parameters", "parameters", "Expected an object: name to {type, default}.")
            return {}
        found = {}
        for name, one in given.items():
            pointer = f"/parameters/{name}"
            if not isinstance(one, dict) or not {"type"} <= set(one) <= {"type", "default"}:
                self.wrong(pointer, "parameter", "Expected an object with «type», and perhaps «default».")
                continue
            self.types({"type": one["type"]}, pointer)
            default = one.get("default")
            found[name] = (str(one["type"]), None if default is None else str(default))
        return found

    def check(self, rules: Rules) -> None:
        """What can be known without the files: the language, the declared types, and the names of outputs."""
        formulas = [output.formula for output in rules.outputs] + [rules.where or "True"]
        used = {name for formula in formulas for name in _names_in(formula)}
        known = {name: type_named(rules.types.get(name, "")) or UNKNOWN for name in used}
        for look in (rules.formulas, rules.condition):
            try:
                look(known)
            except BadRules as error:
                self.errors += error.errors
        names = [output.name for output in rules.outputs]
        for place, (name, _) in enumerate(rules.order_by):
            if name not in names:
                hint = ", ".join(f"«{one}»" for one in nearest(name, names) or names[:5])
                self.wrong(
                    f"/order_by/{place}", "unknown_output", f"There is no output «{name}». Perhaps: {hint}."
                )


def _names_in(formula: str) -> set[str]:
    """What may be columns; nothing, if the formula can't be read at all, which is said elsewhere."""
    try:
        parts = list(ast.walk(syntax_of(formula)))
    except BadFormula:
        return set()
    texts = {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}
    return texts | {part.id for part in parts if isinstance(part, ast.Name)}
