"""What can be edited has an ETag: it is not sent twice, and nobody overwrites what they have not seen."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.nouns import a_recipe, a_rules, a_schedule, an_import
from tests.factories.accounts import Caller

Make = Callable[[Caller], dict[str, Any]]
RULES = [{"output": "who", "formula": "lower(name)"}]
STEPS = {"steps": [{"operation": "dedup", "keep": "last"}]}
EDITS: list[tuple[str, Make, str, str, Any]] = [
    ("rules", a_rules, "post", "/versions", RULES),
    ("rules", a_rules, "delete", "", None),
    ("recipes", a_recipe, "post", "/versions", STEPS),
    ("recipes", a_recipe, "delete", "", None),
    ("schedules", a_schedule, "patch", "", {"keep": 5}),
    ("imports", an_import, "patch", "", {"max_errors": 5}),
]


@pytest.mark.parametrize(("noun", "make", "method", "below", "body"), EDITS)
def test_only_who_has_seen_it_as_it_is_changes_it(
    operator: Caller, noun: str, make: Make, method: str, below: str, body: Any
) -> None:
    address = f"/api/v1/{noun}/{make(operator)['id']}"
    seen = {"If-Match": operator.get(address).headers["ETag"]}
    sent = {"json": body} if body else {}
    stale = operator.call(method, address + below, headers={"If-Match": '"of yesterday"'}, **sent)
    assert (stale.status_code, stale.json["type"]) == (412, "/problems/precondition-failed")
    assert operator.call(method, address + below, headers=seen, **sent).status_code < 300
    if method != "delete":
        assert operator.call(method, address + below, headers=seen, **sent).status_code == 412


@pytest.mark.parametrize("make", [a_rules, a_recipe, a_schedule, an_import])
def test_what_the_client_has_already_is_not_sent_again(operator: Caller, make: Make) -> None:
    nouns = {a_rules: "rules", a_recipe: "recipes", a_schedule: "schedules", an_import: "imports"}
    address = f"/api/v1/{nouns[make]}/{make(operator)['id']}"
    first = operator.get(address)
    again = operator.get(address, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
