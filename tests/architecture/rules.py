"""The house rules as functions: source text in, violations out; each is tried on a planted one first."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from src.domain.roles import Policy

LONGEST_FUNCTION = 40
LONGEST_FILE = 300
FORBIDDEN_COMMENTS = ("pragma: no cover", "mypy: ignore", "type: ignore-errors")
PLATFORM = re.compile(r"\b(root|Linux|macOS|Windows|kernel|on this machine)\b")
QUERY = re.compile(r"\b(Select|Query|TextClause|Result|ScalarResult)\b")
PARAMETER, BRACED = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>"), r"{\1}"
ENDINGS = ("commit", "rollback")
SKIPS = ("skip", "skipif", "xfail", "importorskip", "skipTest")


def transaction_endings(source: str) -> list[str]:
    """Calls that end a transaction: the unit of work alone may make them."""
    if not any(name in source for name in ENDINGS):  # in nearly all files, which need not be parsed then
        return []
    return [
        f"line {call.lineno}: {name}()"
        for call, name in _calls(source)
        if name in ENDINGS and isinstance(call.func, ast.Attribute)
    ]


def foreign_imports(source: str, allowed: frozenset[str]) -> list[str]:
    """Imports from outside the standard library and the packages that are allowed."""
    known = sys.stdlib_module_names | allowed
    return [
        f"line {line}: import of {name}" for line, name in _imports(source) if name.split(".")[0] not in known
    ]


def returned_queries(source: str) -> list[str]:
    """Public functions that hand out a query instead of rows: others would go on building it."""
    return [
        f"line {node.lineno}: {node.name} returns {ast.unparse(node.returns)}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.returns and not node.name.startswith("_")
        if QUERY.search(ast.unparse(node.returns))
    ]


def long_functions(source: str) -> list[str]:
    """Functions of more than forty lines, decorators and docstring aside."""
    return [
        f"line {node.lineno}: {node.name} has {_length(node)} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _length(node) > LONGEST_FUNCTION
    ]


def long_file(source: str) -> list[str]:
    lines = source.count("\n")
    return [f"{lines} lines"] if lines > LONGEST_FILE else []


def forbidden_comments(source: str) -> list[str]:
    """Comments that silence a tool for more than one line, or hide code from the coverage."""
    return [
        f"line {number}: {words}"
        for number, line in enumerate(source.splitlines(), 1)
        for words in FORBIDDEN_COMMENTS
        if words in line.partition("#")[2]
    ]


def groundless_skips(source: str) -> list[str]:
    """Tests that are skipped, unless the reason given says what the machine or its user lacks."""
    if not any(name in source for name in SKIPS):  # in nearly all files, which need not be parsed then
        return []
    return [
        f"line {call.lineno}: {name}"
        for call, name in [*_calls(source), *_bare_marks(source)]
        if name in SKIPS and not _is_about_the_platform(call)
    ]


def unexplained_filters(pyproject: str) -> list[str]:
    """Warning filters other than «error» whose line gives no reason in a comment."""
    options = tomllib.loads(pyproject).get("tool", {}).get("pytest", {}).get("ini_options", {})
    filters: list[str] = options.get("filterwarnings", [])
    if filters[:1] != ["error"]:
        return ["warnings are not errors"]
    reasons = {line.partition("#")[0]: line.partition("#")[2].strip() for line in pyproject.splitlines()}
    explained = [code for code, reason in reasons.items() if reason]
    return [f"no reason beside {one}" for one in filters[1:] if not any(one in code for code in explained)]


def enqueued_kinds(source: str, names: dict[str, object]) -> Iterator[str]:
    """The kinds of the jobs that this module enqueues; `names` is what its names stand for."""
    for call, name in _calls(source):
        if name == "enqueue":
            value: object = eval(ast.unparse(call.args[0]), dict(names))  # our own source
            yield str(value)


def routes_without_policy(app: Flask, public: frozenset[str]) -> list[str]:
    """Routes whose view neither states a policy nor is known to be for everybody."""
    return [
        f"{rule.rule} ({rule.endpoint})"
        for rule in app.url_map.iter_rules()
        if rule.rule not in public and not isinstance(policy_of(app, rule), Policy)
    ]


def policy_of(app: Flask, rule: Rule) -> Policy | None:
    return getattr(app.view_functions[rule.endpoint], "policy", None)


def undocumented(
    app: Flask, document: dict[str, Any], below: tuple[str, ...] = ("/api/v1", "/event")
) -> list[str]:
    """Operations below these addresses that are only in the url map, or only in the OpenAPI document."""
    served = {
        f"{method} {PARAMETER.sub(BRACED, rule.rule)}"
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(below)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method in operations.keys() & {"get", "post", "put", "patch", "delete"}
    }
    return sorted(served ^ documented)


def catalogue_faults(problems: dict[str, list[str]], catalogue: str) -> list[str]:
    """Slugs (with the classes that bear them) that are shared, not in the catalogue, or only there."""
    entries = re.findall(r"^## (\S+)$", catalogue, re.MULTILINE)
    shared = [f"{slug} is shared by {', '.join(names)}" for slug, names in problems.items() if len(names) > 1]
    missing = [f"{slug} has no entry" for slug in problems if slug not in entries]
    unknown = [f"{slug} is not a problem of ours" for slug in entries if slug not in problems]
    twice = [f"{slug} has several entries" for slug in set(entries) if entries.count(slug) > 1]
    return shared + missing + unknown + twice


def answer_faults(status: int, headers: dict[str, str], body: object) -> list[str]:
    """What is wrong with an answer of the service, whatever was asked."""
    names = {name.lower(): value for name, value in headers.items()}
    faults = [f"no {name}" for name in ALWAYS if name not in names]
    if status >= 400:
        if names.get("content-type") != "application/problem+json":
            faults.append(f"{status} is {names.get('content-type')}")
        if not isinstance(body, dict) or body.get("status") != status:
            faults.append(f"{status} does not state its status")
        elif not {"type", "title", "detail", "instance"} <= body.keys():
            faults.append(f"{status} has only {sorted(body)}")
    return faults


ALWAYS = (
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "permissions-policy",
    "cache-control",
    "x-request-id",
)


def _calls(source: str) -> Iterator[tuple[ast.Call, str]]:
    """Every call and the last part of the name that is called."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield node, _last_name(node.func)


def _bare_marks(source: str) -> Iterator[tuple[ast.expr, str]]:
    """Decorators without parentheses."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Attribute):
                    yield decorator, decorator.attr


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _imports(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _is_about_the_platform(node: ast.expr) -> bool:
    texts = [leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant)]
    return any(PLATFORM.search(text) for text in texts if isinstance(text, str))
