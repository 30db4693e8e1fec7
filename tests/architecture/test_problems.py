"""The catalogue of problems: one entry per kind, and every answer of 400 and more is one of them."""

import importlib
import json
import pkgutil
from collections import defaultdict

import pytest

import src
from src.api.problems import STATUSES
from src.domain.errors import DomainError
from tests.architecture import rules
from tests.architecture.tree import ROOT

# Not ours, but of HTTP: what the framework answers by itself.
PLAIN = frozenset(
    (
        "bad-request",
        "method-not-allowed",
        "range-not-satisfiable",
        "request-entity-too-large",
        "unsupported-media-type",
    )
)
NOT_IMPORTABLE = ("src.worker", "src.embedded.__main__", "src.embedded.keeper")
GOOD_HEADERS = {name.title(): "set" for name in rules.ALWAYS} | {"Content-Type": "application/problem+json"}
GOOD_BODY = {
    "type": "/problems/not-found",
    "title": "t",
    "status": 404,
    "detail": "d",
    "instance": "urn:request:1",
}


def every_error() -> dict[str, list[type[DomainError]]]:
    """The slugs of all errors in the sources, with the classes that bear them."""
    for module in pkgutil.walk_packages(src.__path__, "src."):
        if module.name not in NOT_IMPORTABLE:
            importlib.import_module(module.name)
    found: dict[str, list[type[DomainError]]] = defaultdict(list)
    waiting = list(DomainError.__subclasses__())
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        if error.__module__.startswith("src.") and error not in found[error.slug]:
            found[error.slug].append(error)
    return {slug: errors for slug, errors in found.items() if errors}


def entries() -> dict[str, str]:
    text = (ROOT / "docs" / "problems.md").read_text(encoding="utf-8")
    return dict(entry.split("\n", 1) for entry in text.split("\n## ")[1:])


def test_every_problem_has_one_slug_and_one_entry_in_the_catalogue() -> None:
    problems = {slug: [error.__qualname__ for error in errors] for slug, errors in every_error().items()}
    assert len(problems) > 40
    catalogue = (ROOT / "docs" / "problems.md").read_text(encoding="utf-8")
    assert rules.catalogue_faults(problems | {slug: ["HTTP"] for slug in PLAIN}, catalogue) == []


def test_every_entry_tells_the_status_what_happened_and_what_to_do() -> None:
    errors = every_error()
    for slug, text in entries().items():
        status, happened, to_do = text.strip().split("\n\n")
        assert happened.startswith("**What happened.** "), slug
        assert to_do.startswith("**What to do.** "), slug
        if slug not in PLAIN | {"internal-error", "job-died"}:
            kinds = errors[slug][0].__mro__
            wanted = next(STATUSES[kind] for kind in kinds if kind in STATUSES)
            assert status == f"**Status.** {wanted}.", slug


def test_planted_faults_of_the_catalogue_are_found() -> None:
    problems = {"a": ["A"], "b": ["B", "C"], "c": ["D"]}
    found = rules.catalogue_faults(problems, "# Problems\n\n## a\n\n## b\n\n## unknown\n\n## a\n")
    assert found == [
        "b is shared by B, C",
        "c has no entry",
        "unknown is not a problem of ours",
        "a has several entries",
    ]


def test_every_category_has_a_status_of_its_own_kind() -> None:
    assert all(400 <= status < 600 for status in STATUSES.values())
    assert len(set(STATUSES.values())) == len(STATUSES)


def test_a_good_answer_has_no_faults() -> None:
    assert rules.answer_faults(404, GOOD_HEADERS, GOOD_BODY) == []
    assert rules.answer_faults(200, GOOD_HEADERS | {"Content-Type": "text/csv"}, None) == []


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (404, {"Content-Type": "text/html"}, None),
        (404, {"Content-Type": "application/json"}, GOOD_BODY),
        (500, {}, GOOD_BODY),
        (404, {}, {"status": 404}),
        (404, {}, [json.dumps(GOOD_BODY)]),
    ],
)
def test_a_planted_answer_that_is_no_problem_document_is_found(
    status: int, headers: dict[str, str], body: object
) -> None:
    assert rules.answer_faults(status, GOOD_HEADERS | headers, body) != []


def test_a_planted_answer_without_a_security_header_is_found() -> None:
    headers = {name: value for name, value in GOOD_HEADERS.items() if name != "Content-Security-Policy"}
    assert rules.answer_faults(200, headers, None) == ["no content-security-policy"]
