"""Making a report: keys checked, rows written, and what was not found or not computed told beside them."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.domain.formulas import Type
from src.domain.rules import Lookup
from src.engine.queries.rows import Rows
from src.engine.queries.running import Query, Question, Ran
from src.engine.queries.statements import OutputFormat
from src.engine.reports.lookups import duplicates, unmatched
from src.engine.reports.planning import Output, Plan
from src.engine.reports.values import DuplicateKey, Made, Table, UnmatchedKeys

Run = Callable[[Sequence[Question]], list[Ran]]
NAMED = 5  # keys in an error
TYPE_NAMES: Mapping[str, str] = {"number": "decimal", "double": "decimal", "nothing": "text"}


@dataclass(frozen=True)
class Making:
    """One report: its plan, its files, a folder for what comes of it, and a way to run queries."""

    plan: Plan
    table: Table
    reference: Table | None
    folder: Path
    run: Run

    def make(self) -> Made:
        """The report as CSV. What was not found is counted while its rows are written."""
        report = self.folder / "report.csv"
        twice, missed, failing = self.twice(), self.missed(), self.failing()
        rows = Question(self.query(self.plan.rows, "csv"), report)
        answers = self.run([*twice, rows, *missed, *failing])
        self.refuse_twice(twice[: len(answers)])
        ran = answers[len(twice)]
        misses = [
            self.miss(lookup, found(question))
            for lookup, question in zip(self.plan.lookups, missed, strict=True)
        ]
        self.refuse_misses(misses)
        figures: dict[str, Any] = {
            "rows_in": ran.rows_in["input"],
            "rows_out": ran.rows_out,
            "unmatched": [{name: miss[name] for name in ("lookup", "keys", "rows")} for miss in misses],
            "uncomputable": 0,
        }
        uncomputable = None
        for question in failing:
            figures["uncomputable"], uncomputable = self.uncomputable(found(question))
        columns = [described(output) for output in self.plan.outputs]
        return Made(report, figures, self.sample(misses), uncomputable, columns)

    def query(self, rows: Rows, form: OutputFormat) -> Query:
        files = {"input": self.table.file}
        if self.reference is not None and self.plan.lookups:
            files["reference"] = self.reference.file
        names = {rows.source} if rows.source == "reference" else set(files)
        return Query(rows, {name: files[name] for name in sorted(names)}, form)

    def small(self, rows: Rows, name: str, *, must_be_empty: bool = False) -> Question:
        """A question whose answer is short."""
        target = self.folder / f"{name}.jsonl"
        return Question(self.query(rows, "jsonl"), target, must_be_empty=must_be_empty)

    def twice(self) -> list[Question]:
        """Keys that are in the reference twice: they would double rows in silence."""
        reference = self.plan.reference
        return [
            self.small(duplicates(reference, lookup), f"twice{place}", must_be_empty=True)
            for place, lookup in enumerate(self.plan.lookups)
            if reference is not None
        ]

    def missed(self) -> list[Question]:
        """Keys of the input that the reference lacks."""
        if self.plan.reference is None or not self.plan.lookups:
            return []
        every = unmatched(self.plan.input, self.plan.reference, self.plan.lookups)
        return [self.small(rows, f"missed{place}") for place, rows in enumerate(every)]

    def failing(self) -> list[Question]:
        """Cells that have no value, if there can be any."""
        return [] if self.plan.failing is None else [self.small(self.plan.failing, "uncomputable")]

    def refuse_twice(self, asked: Sequence[Question]) -> None:
        for lookup, question in zip(self.plan.lookups, asked, strict=False):
            if twice := found(question):
                keys = "; ".join(f"«{_key(lookup, one)}» in {one['n']} rows" for one in twice[:NAMED])
                raise DuplicateKey(
                    f"Of {', '.join(lookup.on)}, the reference has {keys}. Each key may be there once.",
                    columns=list(lookup.on),
                )

    def miss(self, lookup: Lookup, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        first = rows[0] if rows else {"keys": 0, "total": 0}
        return {
            "lookup": ", ".join(lookup.on),
            "keys": int(first["keys"]),
            "rows": int(first["total"]),
            "sample": [(row["key"], int(row["n"])) for row in rows],
            "fails": lookup.missing == "fail",
        }

    def refuse_misses(self, misses: list[dict[str, Any]]) -> None:
        for miss in misses:
            if miss["fails"] and miss["keys"]:
                keys = ", ".join(f"«{key}»" for key, _ in miss["sample"][:NAMED])
                raise UnmatchedKeys(
                    f"Of {miss['lookup']}, the reference lacks {miss['keys']:,} keys: {keys}."
                )

    def sample(self, misses: list[dict[str, Any]]) -> Path | None:
        """Up to a thousand keys of each lookup that were not found, in the order of the input."""
        if not any(miss["keys"] for miss in misses):
            return None
        target = self.folder / "unmatched.csv"
        with target.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(["lookup", "key", "rows"])
            for miss in misses:
                writer.writerows([miss["lookup"], key, rows] for key, rows in miss["sample"])
        return target

    def uncomputable(self, rows: Sequence[Mapping[str, Any]]) -> tuple[int, Path | None]:
        """How many cells have no value, and which, with the reasons."""
        if not rows:
            return 0, None
        target = self.folder / "uncomputable.csv"
        names = {f"r{place}": output.name for place, output in enumerate(self.plan.outputs)}
        with target.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(["row", "output", "reason"])
            for row in rows:
                writer.writerows(
                    [row["place"], name, row[key]] for key, name in names.items() if row.get(key)
                )
        return int(rows[0]["total"]), target


def found(question: Question) -> list[dict[str, Any]]:
    """The short answer to a question."""
    with question.target.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def described(output: Output) -> dict[str, Any]:
    """A column as the manifest has it: its type, and how its texts are read."""
    column: dict[str, Any] = {"name": output.name, "type": type_name(output.type)}
    if output.type.kind == "number":
        column |= {"digits": output.type.digits, "places": output.type.places}
    if output.reading is not None:
        marks = {"decimal": output.reading.decimal, "date_order": output.reading.date_order}
        column |= {name: mark for name, mark in marks.items() if mark is not None}
    return column


def type_name(type_: Type) -> str:
    return TYPE_NAMES.get(type_.kind, type_.kind)


def _key(lookup: Lookup, row: Mapping[str, Any]) -> str:
    return ", ".join(str(row[f"k{place}"]) for place in range(len(lookup.on)))
