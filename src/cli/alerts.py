"""flask alerts: the rules there are, and what one would have found."""

from pathlib import Path
from typing import Any
from uuid import UUID

import click
import orjson
from flask.cli import AppGroup

from src.api.schemas.alert_rules import RULE, AlertRuleDocumentSchema
from src.api.schemas.jobs import JOB
from src.cli.acting import account_of, as_option, job_at_its_end, must_be_done, need_worker
from src.cli.output import checked, domain_errors_as_messages, json_option, show, show_one
from src.domain.paging import MOST_PER_PAGE, PageQuery
from src.models import AlertRule
from src.services.accounts import actor_of
from src.services.backtests import Wanted
from src.wiring import Services, services

group = AppGroup("alerts", help="What is watched in events.")
T = click.IntRange(0, 2**63 - 1)
SHOWN = ("code", "state", "version", "kind", "asked_on", "parameters", "name")
TOLD = (
    *("code", "version", "live_version", "from", "to"),
    *("events", "hits", "clients", "added", "removed", "kept", "file"),
)


@group.command("rules")
@json_option
@domain_errors_as_messages
def list_rules(*, as_json: bool) -> None:
    """The alert rules, by code, each as it is asked now."""
    with services() as s:
        page = s.alert_rule_rows.search(PageQuery("code", per_page=MOST_PER_PAGE), state=None, kind=None)
    rows: list[dict[str, Any]] = RULE.dump(page.rows, many=True)
    show(rows if as_json else [{name: row[name] for name in SHOWN} for row in rows], as_json=as_json)


@group.command("backtest")
@click.argument("rule", metavar="RULE")
@click.option("--from", "first", type=T, help="The first t; left out, the beginning.")
@click.option("--to", "last", type=T, help="The last t; left out, the latest event.")
@click.option("--version", type=click.IntRange(1), help="Left out: the one that is asked now.")
@click.option("--draft", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A JSON file with kind, asked_on and parameters: a version that is not made yet.")  # fmt: skip
@as_option
@json_option
@domain_errors_as_messages
def backtest(
    rule: str,
    first: int | None,
    last: int | None,
    version: int | None,
    draft: Path | None,
    login_name: str | None,
    *,
    as_json: bool,
) -> None:
    """Find what RULE, a code or an id, would have found, and what it would add or remove."""
    wanted = Wanted(first, last, version, _document(draft) if draft else None)
    need_worker()
    by = actor_of(account_of(login_name))
    with services() as s:
        job_id = s.backtests.start(_rule(s, rule), wanted, by).id
    job = job_at_its_end(job_id, "backtest", is_quiet=as_json)
    told = job.result or {}
    show_one(JOB.dump(job) if as_json else {name: told.get(name) for name in TOLD}, as_json=as_json)
    must_be_done(job)


def _rule(s: Services, text: str) -> AlertRule:
    if text.isdecimal():
        return s.alert_rule_rows.get_by_code(int(text))
    try:
        return s.alert_rule_rows.get(UUID(text))
    except ValueError as error:
        raise click.BadParameter("Give a code, or an id.", param_hint="RULE") from error


def _document(path: Path) -> dict[str, Any]:
    try:
        members = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise click.BadParameter(f"It is not JSON: {error}.", param_hint="--draft") from error
    if not isinstance(members, dict):
        raise click.BadParameter("It is no JSON object.", param_hint="--draft")
    return checked(AlertRuleDocumentSchema(), members)
