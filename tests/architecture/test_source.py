"""Rules about the text of the sources: transactions, sizes, silenced tools, skipped tests, warnings."""

import importlib
import importlib.metadata
from collections.abc import Callable

import pytest

from src.tasks.handlers import HANDLERS
from tests.architecture import rules
from tests.architecture.tree import ROOT, SRC, TESTS, sources, violations

Rule = Callable[[str], list[str]]
LONG = "def much() -> None:\n" + "    print()\n" * rules.LONGEST_FUNCTION
PYTEST = "[tool.pytest.ini_options]\n"
ONLY_STANDARD = frozenset(
    ("src", "zxcvbn", "rapidfuzz", "cronsim", "re2", "yaml")
)  # they compute, and touch nothing


def domain_imports(source: str) -> list[str]:
    return rules.foreign_imports(source, ONLY_STANDARD)


@pytest.mark.parametrize(
    ("rule", "planted"),
    [
        (rules.transaction_endings, "def f(session):\n    session.commit()"),
        (
            rules.transaction_endings,
            "def f(connection):\n    with connection.begin() as t:\n        t.rollback()",
        ),
        (rules.returned_queries, "def search(self) -> Select[tuple[Account]]: ..."),
        (rules.returned_queries, "class R:\n    def all(self) -> 'ScalarResult[Account]': ..."),
        (rules.long_functions, LONG),
        (rules.long_functions, LONG.replace("def", "async def")),
        (rules.long_file, "\n" * (rules.LONGEST_FILE + 1)),
        (rules.forbidden_comments, "x = 1  # pragma: no cover"),
        (rules.forbidden_comments, "# mypy: ignore-errors"),
        (rules.groundless_skips, "@pytest.mark.skip\ndef test_it(): ..."),
        (rules.groundless_skips, "@pytest.mark.skip(reason='later')\ndef test_it(): ..."),
        (rules.groundless_skips, "def test_it():\n    pytest.skip('not today')"),
        (rules.groundless_skips, "@pytest.mark.skipif(slow, reason='slow')\ndef test_it(): ..."),
        (rules.groundless_skips, "@pytest.mark.skipif(sys.platform == 'win32')\ndef test_it(): ..."),
        (rules.groundless_skips, "@pytest.mark.xfail\ndef test_it(): ..."),
        (rules.groundless_skips, "yaml = pytest.importorskip('yaml')"),
        (rules.unexplained_filters, PYTEST + 'filterwarnings = ["error", "ignore::UserWarning:celery"]'),
        (rules.unexplained_filters, PYTEST + 'filterwarnings = ["default"]'),
        (rules.unexplained_filters, PYTEST),
        (domain_imports, "from sqlalchemy import select"),
        (domain_imports, "def f():\n    import flask.json"),
    ],
)
def test_a_planted_violation_is_found(rule: Rule, planted: str) -> None:
    assert len(rule(planted)) == 1


@pytest.mark.parametrize(
    ("rule", "fine"),
    [
        (rules.transaction_endings, "def commit(): ...\ncommit()\nafter_commit(session, action)"),
        (
            rules.returned_queries,
            "def _statement(self) -> Select[Account]: ...\ndef all(self) -> list[Account]: ...",
        ),
        (rules.long_functions, LONG.rsplit("    print()\n", 1)[0]),
        (rules.groundless_skips, "@pytest.mark.skipif(is_mac, reason='macOS has no /proc')\ndef f(): ..."),
        (
            rules.unexplained_filters,
            PYTEST + 'filterwarnings = [\n"error",\n"ignore:x",  # celery does it\n]',
        ),
        (
            domain_imports,
            "import json\nfrom zxcvbn.frequency_lists import X\nfrom src.domain.errors import Invalid",
        ),
    ],
)
def test_what_is_allowed_is_not_complained_about(rule: Rule, fine: str) -> None:
    assert rule(fine) == []


def test_only_the_unit_of_work_ends_transactions() -> None:
    found = {fault.partition(":")[0] for fault in violations(rules.transaction_endings)}
    assert found == {"src/database.py"}


@pytest.mark.parametrize("rule", [rules.long_functions, rules.long_file, rules.forbidden_comments])
def test_the_sources_keep_the_rule(rule: Rule) -> None:
    assert violations(rule) == []


def test_repositories_hand_out_rows_and_no_queries() -> None:
    assert violations(rules.returned_queries, SRC / "repositories") == []


def test_the_domain_imports_the_standard_library_and_what_computes_only() -> None:
    assert violations(domain_imports, SRC / "domain") == []


def test_no_test_is_skipped_without_a_platform_reason() -> None:
    assert violations(rules.groundless_skips, TESTS) == []


def test_tests_hide_nothing_from_the_tools() -> None:
    found = violations(rules.forbidden_comments, TESTS)
    assert [fault for fault in found if "tests/architecture/" not in fault] == []


def test_warnings_are_errors_and_exceptions_have_reasons() -> None:
    assert rules.unexplained_filters((ROOT / "pyproject.toml").read_text()) == []


def test_a_kind_is_found_wherever_a_job_is_enqueued() -> None:
    source = "self.jobs.enqueue(KIND, {})\ns.jobs.enqueue('other', {}, owner_id=None)"
    assert set(rules.enqueued_kinds(source, {"KIND": "planted"})) == {"planted", "other"}


def test_every_enqueued_kind_has_a_handler_and_every_handler_a_kind() -> None:
    enqueued = set()
    for name, text in sources():
        if ".enqueue(" in text:
            module = importlib.import_module(name.removesuffix(".py").replace("/", "."))
            enqueued |= set(rules.enqueued_kinds(text, vars(module)))
    assert enqueued == set(HANDLERS)
    assert enqueued >= {"profile", "housekeeping"}
