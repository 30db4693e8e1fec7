"""Columns by their names: those that no file has, and those that are called as ours are."""

from typing import Any

import pytest

from tests.engine.reports.asking import Make, refused


def test_a_column_that_no_file_has_is_refused_with_the_nearest_name(make: Make) -> None:
    error = refused(make, [{"output": "o", "formula": "fild1"}])
    assert (error.slug, error.errors[0].pointer, "«field1»" in error.errors[0].message) == (
        "bad-rules",
        "/0/formula",
        True,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"group_by": ["nope"]},
        {"types": {"nope": "text"}},
        {"lookups": [{"on": ["nope"]}]},
        {"parameters": {"field1": {"type": "text", "default": "x"}}},
    ],
)
def test_other_names_that_no_file_has_are_refused_as_well(make: Make, wrong: dict[str, Any]) -> None:
    outputs = [{"output": "o", "formula": "count()" if "group_by" in wrong else "1"}]
    assert refused(make, {"outputs": outputs, **wrong}).slug == "unknown-columns"


def test_users_may_name_columns_as_we_do(make: Make) -> None:
    names = ("row", "total of cells", "place", "total", "cells")
    document = {
        "outputs": [{"output": name, "formula": "n / 0"} for name in names],
        "lookups": [{"on": ["total"]}, {"on": ["rows"]}],
    }
    made = make(document, "total,rows,n,v@0\nx,y,1,2\n", "total,rows,v\nz,w,1\n")
    assert made.figures["uncomputable"] == 5
    assert made.made.uncomputable is not None
    assert [line.split(",")[1] for line in made.made.uncomputable.read_text().splitlines()[1:]] == list(names)
    assert made.made.unmatched is not None
    assert made.made.unmatched.read_text().splitlines()[1:] == ["total,x,1", "rows,y,1"]
