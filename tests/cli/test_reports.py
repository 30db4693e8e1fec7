"""flask reports run: a report from files at hand into a file at hand."""

import json
from pathlib import Path

import pytest
from click.testing import Result

from tests.committing import Workshop
from tests.factories.accounts import Caller
from tests.factories.workers import working


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """An input, a reference and rules; as the options of the command."""
    for name, text in {
        "input.csv": "customer,amount\nc1,2\nc9,3\n",
        "reference.csv": "customer,country\nc1,PT\n",
        "rules.yaml": "outputs:\n- {output: o, formula: country}\n- {output: n, formula: amount * rate}\n"
        "parameters: {rate: {type: decimal}}\n",
    }.items():
        (tmp_path / name).write_text(text)
    names = {"--input": "input.csv", "--reference": "reference.csv", "--rules": "rules.yaml"}
    return [word for option, name in names.items() for word in (option, str(tmp_path / name))]


@pytest.fixture
def admin_there(workshop: Workshop) -> Caller:
    return workshop.accounts.caller("admin")


def invoke(workshop: Workshop, *words: str, code: int = 0) -> Result:
    result = workshop.app.test_cli_runner().invoke(args=["reports", "run", *words])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.usefixtures("admin_there")
def test_a_report_is_made_and_written(workshop: Workshop, files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "report.csv"
    with working(workshop):
        result = invoke(workshop, *files, "--parameter", "rate=1.5", "--out", str(out), "--json")
    assert json.loads(result.stdout)["manifest"]["rows_out"] == 2
    assert out.read_text() == "o,n\nPT,3\n,4.5\n"


@pytest.mark.usefixtures("admin_there")
def test_what_is_wrong_is_told_before_anything_is_stored(
    workshop: Workshop, files: list[str], tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text("- {output: o, formula: 'mox(1, 2)'}\n")
    with working(workshop):
        result = invoke(workshop, *files, code=1)
    assert "«max»" in result.output
