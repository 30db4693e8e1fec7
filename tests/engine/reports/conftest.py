"""A report of rules, an input and a reference, with all that comes of it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from src.domain.rules_reading import read_rules
from src.engine.queries.answering import Answering
from src.engine.queries.running import Question, Ran, execute
from src.engine.queries.values import TableFile
from src.engine.reports.making import Making
from src.engine.reports.planning import plan_of
from src.engine.reports.values import Table
from src.engine.sandbox import ignore_progress
from src.services.reports import values_of
from tests.engine.making import SANDBOX
from tests.engine.queries.asking import HERE, LIMITS, cluster_in, profiled
from tests.engine.reports.asking import INPUT, REFERENCE, SHORT, Make, Result


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def table(name: str, content: str | None) -> Table | None:
        if content is None:
            return None
        path = tmp_path / name
        path.write_text(content)
        profile = profiled(path)
        return Table(TableFile(path, profile.detected, profile.regular), profile)

    def run(questions: Sequence[Question]) -> list[Ran]:
        folder = tmp_path / "work"
        folder.mkdir()

        def call(function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
            found: dict[str, Any] = json.loads(
                json.dumps(HERE[function](arguments, folder, SANDBOX, ignore_progress))
            )
            return found

        return execute(questions, Answering(folder, LIMITS, call), cluster_in(folder))

    def made(
        document: Any = SHORT, source: str = INPUT, reference: str | None = REFERENCE, **parameters: str
    ) -> Result:
        rules = read_rules(document)
        first, second = table("input.csv", source), table("reference.csv", reference)
        assert first is not None
        plan = plan_of(rules, first, second, values_of(rules, parameters), "csv")
        return Result(Making(plan, first, second, tmp_path, run).make())

    return made
