"""flask alerts: the rules, and what one would have found, watched to the end."""

import json
from pathlib import Path

import pytest
from click.testing import Result

from src.models import AlertRule
from src.wiring import services
from tests.committing import Workshop
from tests.domain.alerts.model import Past
from tests.factories.accounts import Caller
from tests.factories.alert_rules import an_alert_rule
from tests.factories.clients import a_client
from tests.factories.histories import store
from tests.factories.workers import working

DRAFT = {"kind": "threshold", "asked_on": "deposit", "parameters": {"amount": "25.00"}}


@pytest.fixture(autouse=True)
def admin_there(workshop: Workshop) -> Caller:
    return workshop.accounts.caller("admin")


@pytest.fixture
def rule(workshop: Workshop) -> AlertRule:
    """Over 10.00; five deposits of up to 50.00 are there to be asked about."""
    client = a_client("ana")
    with services() as s:
        store(s.session, {client.id: [Past(t, t, "deposit", t * 1_000) for t in range(1, 6)]})
    return an_alert_rule(workshop.files.owner())


def invoke(workshop: Workshop, *words: str, code: int = 0) -> Result:
    result = workshop.app.test_cli_runner().invoke(args=["alerts", *words])
    assert result.exit_code == code, result.output
    return result


def test_the_rules_are_listed_by_code(workshop: Workshop) -> None:
    lines = invoke(workshop, "rules").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["30", "123", "300", "1100"]
    assert [one["code"] for one in json.loads(invoke(workshop, "rules", "--json").stdout)] == [
        30,
        123,
        300,
        1100,
    ]


def test_a_draft_is_tested_to_the_end(workshop: Workshop, rule: AlertRule, tmp_path: Path) -> None:
    draft = tmp_path / "draft.json"
    draft.write_text(json.dumps(DRAFT))
    with working(workshop):
        tested = invoke(workshop, "backtest", str(rule.code), "--draft", str(draft), "--to", "4")
        by_id = invoke(workshop, "backtest", str(rule.id), "--json")
    assert {"hits=2", "added=0", "removed=1", "kept=2", "to=4", "version="} < set(tested.stdout.splitlines())
    assert tested.stderr.splitlines()[-1] == "backtest\tdone"
    assert json.loads(by_id.stdout)["result"]["hits"] == 4


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nobody",), 2, "Give a code, or an id."),
        (("77",), 1, "There is no such alert rule"),
        (("1" * 30,), 1, "There is no such alert rule"),
        (("1100", "--version", "7"), 1, "The alert rule has no such version"),
        (("1100", "--from", "5", "--to", "4"), 1, "It lies before `from`."),
        (("1100", "--draft", "."), 2, "is a directory"),
    ],
)
def test_what_cannot_be_tested_is_told(
    workshop: Workshop, words: tuple[str, ...], code: int, said: str
) -> None:
    with working(workshop):
        assert said in invoke(workshop, "backtest", *words, code=code).stderr


@pytest.mark.parametrize(
    ("text", "said"), [("{", "It is not JSON"), ("[]", "no JSON object"), ("{}", "kind")]
)
def test_a_draft_that_is_none_is_a_wrong_use(
    workshop: Workshop, tmp_path: Path, text: str, said: str
) -> None:
    draft = tmp_path / "draft.json"
    draft.write_text(text)
    assert said in invoke(workshop, "backtest", "1100", "--draft", str(draft), code=2).stderr


def test_without_a_worker_nobody_waits(workshop: Workshop) -> None:
    assert "No worker is running" in invoke(workshop, "backtest", "1100", code=1).stderr
