"""Rules over the API: read strictly, versioned, private, and told what is wrong with them."""

from io import BytesIO
from typing import Any

import pytest

from tests.api.nouns import a_rules
from tests.factories.accounts import Caller

RULES = "/api/v1/rules"
SHORT = [{"output": "a", "formula": "x + y"}, {"output": "b", "formula": "max(x, 2)"}]
YAML = b"""
# who and how much
outputs:
  - output: total
    formula: sum(amount)
  - {output: who, formula: name}
group_by: [name]
types: {amount: decimal}
"""


def test_json_yaml_and_a_file_make_rules(operator: Caller) -> None:
    made = operator.post(f"{RULES}?name=mine", json=SHORT)
    assert (made.status_code, made.json["name"], made.json["version"]) == (201, "mine", 1)
    assert made.json["document"] == SHORT
    assert made.headers["Location"] == f"{RULES}/{made.json['id']}"
    text = operator.post(RULES, data=YAML, content_type="application/yaml")
    assert text.status_code == 201, text.text
    assert text.json["document"]["group_by"] == ["name"]
    file = operator.post(RULES, data={"file": (BytesIO(YAML), "by name.yaml")})
    assert (file.status_code, file.json["name"]) == (201, "by name")


def test_a_new_version_leaves_the_old_one_as_it_was(operator: Caller) -> None:
    rules = a_rules(operator)
    there = f"{RULES}/{rules['id']}"
    made = operator.post(f"{there}/versions", json=SHORT)
    assert (made.status_code, made.json["version"]) == (201, 2)
    assert operator.get(f"{there}/versions/1").json["document"] == rules["document"]
    assert operator.get(there).json["document"] == SHORT
    assert [row["version"] for row in operator.get(f"{there}/versions").json["data"]] == [2, 1]
    diff = operator.get(f"{there}/diff?old=1&new=2").json["changes"]
    assert diff == [
        {"output": "who", "old": "upper(name)", "new": None},
        {"output": "a", "old": None, "new": "x + y"},
        {"output": "b", "old": None, "new": "max(x, 2)"},
    ]
    assert operator.get(f"{there}/versions/9").status_code == 404


def test_deleted_rules_are_gone(operator: Caller) -> None:
    there = f"{RULES}/{a_rules(operator)['id']}"
    assert operator.delete(there).status_code == 204
    assert operator.get(there).status_code == 404


def test_the_list_has_ones_own(operator: Caller) -> None:
    rules = a_rules(operator)
    assert [row["id"] for row in operator.get(f"{RULES}?name=rules").json["data"]] == [rules["id"]]


@pytest.mark.parametrize(
    ("document", "pointer", "said"),
    [
        ([{"output": "a", "formula": "mox(x, y)"}], "/0/formula", "did you mean «max»"),
        ([{"output": "a", "formula": "x +"}], "/0/formula", "a: At character 3"),
        ([{"output": "a", "formula": "1"}, {"output": "a", "formula": "2"}], "/1/output", "two outputs «a»"),
        ([{"output": "a"}], "/0", "«output» and «formula»"),
        ({"outputs": SHORT, "typs": {}}, "/typs", "Did you mean «types»?"),
        ({"outputs": SHORT, "types": {"x": "money"}}, "/types/x", "Expected one of text, integer"),
        ({"outputs": SHORT, "where": "x"}, "", ""),
        ({"outputs": SHORT, "types": {"x": "text"}, "where": "x"}, "/where", "expected a condition"),
        ({"outputs": SHORT, "types": {"x": "date"}}, "/outputs/1/formula", "expected a date"),
        ({"outputs": SHORT, "order_by": ["-c"]}, "/order_by/0", "no output «c»"),
        ({"outputs": SHORT, "limit": 0}, "/limit", "from 1"),
        ({"outputs": SHORT, "format": "doc"}, "/format", "Expected one of csv"),
        ({"outputs": SHORT, "group_by": ["x"]}, "/outputs/0/formula", "expected an aggregate such as sum(y)"),
        ({"outputs": SHORT, "lookups": [{"take": ["a"]}]}, "/lookups/0", "with «on»"),
        ({"outputs": SHORT, "lookups": [{"on": "k", "missing": "skip"}]}, "/lookups/0/missing", "drop, fail"),
        (
            {"outputs": SHORT, "lookups": [{"on": "k", "missing": {"default": {"c": ["x"]}}}]},
            "/lookups/0/missing",
            "drop, fail",
        ),
        ({"outputs": SHORT, "parameters": {"p": {}}}, "/parameters/p", "with «type»"),
        ([], "/", "a list of 1 to 500"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    operator: Caller, document: Any, pointer: str, said: str
) -> None:
    answer = operator.post(RULES, json=document)
    if not said:
        assert answer.status_code == 201
        return
    assert (answer.status_code, answer.json["type"]) == (400, "/problems/bad-rules")
    assert any(one["pointer"] == pointer and said in one["message"] for one in answer.json["errors"]), (
        answer.json
    )


@pytest.mark.parametrize(
    "document",
    [
        b"outputs: &a [1]\nx: *a\n",
        b"outputs: !!python/object/apply:os.system ['id']\n",
        b"outputs: !x 1\n",
        b"outputs: 1\noutputs: 2\n",
        b"? [1, 2]\n: 3\n",
        b"- " * 30 + b"x",
        b"[" * 30 + b"]" * 30,
        b'{"outputs": NaN}',
        b'{"outputs": 1, "outputs": 2}',
        b'{"outputs": ',
        b"\xff\xfe\x00",
        b"outputs: [\n",
        b"a: b: c\n",
    ],
)
def test_odd_documents_are_refused(operator: Caller, document: bytes) -> None:
    answer = operator.post(RULES, data=document, content_type="application/yaml")
    assert (answer.status_code, answer.json["type"]) == (400, "/problems/bad-document"), answer.text


def test_yaml_has_plain_values_only() -> None:
    from src.domain.documents import read_document

    found = read_document(
        b"a: no\nb: 12:30:00\nc: 2024-01-01\nd: 1_000\ne: 0x1F\nf: true\ng: 1.50\nh:\ni: 7\n"
    )
    assert found == {
        "a": "no", "b": "12:30:00", "c": "2024-01-01", "d": "1_000", "e": "0x1F", "f": True, "g": 1.5, "h": None, "i": 7,
    }  # fmt: skip


def test_a_large_document_is_refused(operator: Caller) -> None:
    answer = operator.post(RULES, data=b"# " + b"x" * 70_000, content_type="application/yaml")
    assert answer.status_code == 413
