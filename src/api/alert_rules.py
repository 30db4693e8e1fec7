"""Alert rules: made, versioned, switched on, watched in the shadow, switched off."""

from typing import Any
from uuid import UUID

from flask import Response

from src.api.authentication import actor
from src.api.blueprint import OPERATOR, VIEWER, Blueprint, body_fingerprint
from src.api.conditional import check_if_match, with_etag
from src.api.idempotency import once, respond
from src.api.lists import listing
from src.api.schemas.alert_rules import (
    RULE,
    VERSION,
    AlertRuleBacktestSchema,
    AlertRuleCreateSchema,
    AlertRuleList,
    AlertRulePatchSchema,
    AlertRuleQuery,
    AlertRuleSchema,
    AlertRuleVersionCreateSchema,
    AlertRuleVersionList,
    AlertRuleVersionSchema,
)
from src.api.schemas.jobs import JOB, JobSchema
from src.api.schemas.lists import ListQuery
from src.domain.alerts import RuleState
from src.models import AlertRule
from src.services.backtests import Wanted
from src.services.idempotency import Answer
from src.wiring import Services, services

blp = Blueprint(
    "alert-rules", url_prefix="/api/v1/alert-rules", description="What is watched in events.", for_keys=True
)


@blp.get("", needs=VIEWER)
@blp.arguments(AlertRuleQuery, location="query")
@blp.lists(AlertRuleList)
def list_alert_rules(query: dict[str, Any]) -> Response:
    """The rules, newest first, each as it is asked now."""
    filters = {name: query.get(name) for name in ("state", "kind")}
    return listing(query, RULE, lambda s, page: s.alert_rule_rows.search(page, **filters), "alert-rules")


@blp.post("", needs=OPERATOR)
@blp.arguments(AlertRuleCreateSchema)
@blp.response(201, AlertRuleSchema)
def create_alert_rule(body: dict[str, Any]) -> Response:
    """Make a rule; unless it is disabled, the next event is held against it."""
    with services() as s:
        state = RuleState(body["state"])
        rule = s.alert_rules.create(body["code"], body["name"], state, body, actor())
        answer = with_etag(rule, RULE, 201)
    answer.headers["Location"] = f"/api/v1/alert-rules/{rule.id}"
    return answer


@blp.get("/<uuid:alert_rule_id>", needs=VIEWER)
@blp.response(200, AlertRuleSchema)
def get_alert_rule(alert_rule_id: UUID) -> Response:
    """One rule, as it is asked now."""
    with services() as s:
        return with_etag(s.alert_rule_rows.get_current(alert_rule_id), RULE)


@blp.patch("/<uuid:alert_rule_id>", needs=OPERATOR)
@blp.arguments(AlertRulePatchSchema)
@blp.response(200, AlertRuleSchema)
def rename_alert_rule(body: dict[str, Any], alert_rule_id: UUID) -> Response:
    """Give the rule another name. What it looks for is changed by a new version."""
    with services() as s:
        return with_etag(s.alert_rules.rename(_to_change(s, alert_rule_id), body["name"], actor()), RULE)


@blp.get("/<uuid:alert_rule_id>/versions", needs=VIEWER)
@blp.arguments(ListQuery, location="query")
@blp.lists(AlertRuleVersionList)
def list_versions(query: dict[str, Any], alert_rule_id: UUID) -> Response:
    """All versions of the rule, the newest first."""
    with services() as s:
        s.alert_rule_rows.get(alert_rule_id)
    return listing(
        query, VERSION, lambda s, page: s.alert_rule_versions.search(page, alert_rule_id), "versions"
    )


@blp.post("/<uuid:alert_rule_id>/versions", needs=OPERATOR)
@blp.arguments(AlertRuleVersionCreateSchema)
@blp.response(201, AlertRuleSchema)
def create_version(body: dict[str, Any], alert_rule_id: UUID) -> Response:
    """Ask the rule differently from now on. Older versions stay as they are, and so do their alerts."""
    with services() as s:
        rule = s.alert_rules.add_version(_to_change(s, alert_rule_id), body, actor())
        answer = with_etag(rule, RULE, 201)
    answer.headers["Location"] = f"/api/v1/alert-rules/{rule.id}/versions/{rule.version}"
    return answer


@blp.get("/<uuid:alert_rule_id>/versions/<int:version>", needs=VIEWER)
@blp.response(200, AlertRuleVersionSchema)
def get_version(alert_rule_id: UUID, version: int) -> Any:
    """One version of the rule."""
    with services() as s:
        return s.alert_rule_rows.get_version(alert_rule_id, version)


@blp.post("/<uuid:alert_rule_id>/enable", needs=OPERATOR)
@blp.response(200, AlertRuleSchema)
def enable_alert_rule(alert_rule_id: UUID) -> Response:
    """Hold events against the rule, answer with its code and notify."""
    return _switch(alert_rule_id, RuleState.ENABLED)


@blp.post("/<uuid:alert_rule_id>/shadow", needs=OPERATOR)
@blp.response(200, AlertRuleSchema)
def shadow_alert_rule(alert_rule_id: UUID) -> Response:
    """Hold events against the rule and keep what it finds, but answer nobody and notify nobody."""
    return _switch(alert_rule_id, RuleState.SHADOW)


@blp.post("/<uuid:alert_rule_id>/disable", needs=OPERATOR)
@blp.response(200, AlertRuleSchema)
def disable_alert_rule(alert_rule_id: UUID) -> Response:
    """Ask the rule no more; its alerts stay."""
    return _switch(alert_rule_id, RuleState.DISABLED)


@blp.post("/<uuid:alert_rule_id>/backtest", needs=OPERATOR, takes_key=True)
@blp.arguments(AlertRuleBacktestSchema)
@blp.response(202, JobSchema)
def backtest_alert_rule(body: dict[str, Any], alert_rule_id: UUID) -> Response:
    """Find what a version or a draft of the rule would have found, and what it would add or remove."""
    with services() as s:

        def test() -> Answer:
            rule = s.alert_rule_rows.get(alert_rule_id)
            job = s.backtests.start(rule, Wanted(**body), actor())
            return Answer(202, JOB.dump(job), {"Location": f"/api/v1/jobs/{job.id}"})

        return respond(once(s, body_fingerprint(), test))


def _switch(alert_rule_id: UUID, state: RuleState) -> Response:
    with services() as s:
        return with_etag(s.alert_rules.switch(_to_change(s, alert_rule_id), state, actor()), RULE)


def _to_change(s: Services, alert_rule_id: UUID) -> AlertRule:
    """The rule, locked, unless the caller has seen another one."""
    rule = s.alert_rule_rows.get_current(alert_rule_id, is_locked=True)
    check_if_match(rule, RULE)
    return rule
