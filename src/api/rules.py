"""Rules: how reports are made; versions that never change."""

from pathlib import PurePath
from typing import Any
from uuid import UUID

from flask import Response

from src.api.authentication import actor, owner_filter
from src.api.blueprint import OPERATOR, VIEWER, Blueprint
from src.api.conditional import check_if_match, with_etag
from src.api.documents import received_document
from src.api.lists import listing
from src.api.schemas.files import UploadSchema
from src.api.schemas.lists import ListQuery
from src.api.schemas.rules import (
    RULES,
    VERSION,
    DiffQuery,
    DiffSchema,
    OneRulesSchema,
    RulesCreateQuery,
    RulesList,
    RulesQuery,
    RulesVersionList,
    RulesVersionSchema,
)
from src.domain.files import clean_name
from src.domain.paging import Page, PageQuery
from src.models import RuleSet
from src.wiring import Services, services

blp = Blueprint("rules", url_prefix="/api/v1/rules", description="How reports are made.", for_keys=True)
ANY_DOCUMENT = {"schema": {"type": ["array", "object"]}}
BODY = {
    "content": {
        "application/json": ANY_DOCUMENT,
        "application/yaml": ANY_DOCUMENT,
        "multipart/form-data": {"schema": UploadSchema},
    },
    "required": True,
}


@blp.get("", needs=VIEWER)
@blp.arguments(RulesQuery, location="query")
@blp.lists(RulesList)
def list_rules(query: dict[str, Any]) -> Response:
    """My rules, newest first; for administrators, everybody's."""
    owner_id, name = owner_filter(), query.get("name")

    def fetch(s: Services, page: PageQuery) -> Page[RuleSet]:
        return s.rules_rows.search(page, owner_id=owner_id, name=name)

    return listing(query, RULES, fetch, "rules")


@blp.post("", needs=OPERATOR)
@blp.arguments(RulesCreateQuery, location="query")
@blp.doc(requestBody=BODY)
@blp.response(201, OneRulesSchema)
def create_rules(query: dict[str, Any]) -> Response:
    """Make rules from a document; what is wrong with it is said with its place."""
    document, file_name = received_document()
    name = query.get("name") or (PurePath(clean_name(file_name)).stem if file_name else "rules")
    with services() as s:
        return _answer(s, s.rules.create(name, document, actor()), 201)


@blp.get("/<uuid:rules_id>", needs=VIEWER)
@blp.response(200, OneRulesSchema)
def get_rules(rules_id: UUID) -> Response:
    """Rules, as their newest version has them."""
    with services() as s:
        return _answer(s, s.rules_rows.get_own(rules_id, owner_filter()), 200)


@blp.delete("/<uuid:rules_id>", needs=OPERATOR)
@blp.response(204)
def delete_rules(rules_id: UUID) -> Response:
    """Delete rules with all their versions; reports keep the document that they were made by."""
    with services() as s:
        s.rules.delete(_to_change(s, rules_id), actor())
    return Response(status=204)


@blp.get("/<uuid:rules_id>/versions", needs=VIEWER)
@blp.arguments(ListQuery, location="query")
@blp.lists(RulesVersionList)
def list_rules_versions(query: dict[str, Any], rules_id: UUID) -> Response:
    """All versions of the rules, the newest first."""
    with services() as s:
        s.rules_rows.get_own(rules_id, owner_filter())
    return listing(query, VERSION, lambda s, page: s.rules_versions.search(page, rules_id), "versions")


@blp.post("/<uuid:rules_id>/versions", needs=OPERATOR)
@blp.doc(requestBody=BODY)
@blp.response(201, OneRulesSchema)
def create_rules_version(rules_id: UUID) -> Response:
    """Make reports by another document from now on; older versions stay as they are."""
    with services() as s:
        s.rules_rows.get_own(rules_id, owner_filter())
    document, _ = received_document()
    with services() as s:
        return _answer(s, s.rules.add_version(_to_change(s, rules_id), document, actor()), 201)


@blp.get("/<uuid:rules_id>/versions/<int:version>", needs=VIEWER)
@blp.response(200, RulesVersionSchema)
def get_rules_version(rules_id: UUID, version: int) -> Any:
    """One version of the rules."""
    with services() as s:
        s.rules_rows.get_own(rules_id, owner_filter())
        return s.rules_versions.get_version(rules_id, version)


@blp.get("/<uuid:rules_id>/diff", needs=VIEWER)
@blp.arguments(DiffQuery, location="query")
@blp.response(200, DiffSchema)
def compare_rules_versions(query: dict[str, Any], rules_id: UUID) -> Any:
    """What changed from one version to another: outputs by name, other members whole."""
    with services() as s:
        rules = s.rules_rows.get_own(rules_id, owner_filter())
        new = query.get("new", rules.version)
        return {"changes": s.rules.difference(rules, query.get("old", max(1, new - 1)), new)}


def _to_change(s: Services, rules_id: UUID) -> RuleSet:
    """The rules, locked, unless the caller has seen others."""
    rules = s.rules_rows.get_own(rules_id, owner_filter(), is_locked=True)
    check_if_match(rules, RULES)
    return rules


def _answer(s: Services, rules: RuleSet, status: int) -> Response:
    document = s.rules_versions.get_version(rules.id, rules.version).document
    answer = with_etag(rules, RULES, status, more={"document": document})
    if status == 201:
        answer.headers["Location"] = f"/api/v1/rules/{rules.id}"
    return answer
