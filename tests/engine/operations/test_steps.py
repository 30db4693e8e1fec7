"""Every step does what a naive model of it does, whatever stands in the file."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from src.domain.errors import DomainError
from src.engine.operations.applying import apply
from src.engine.queries.rows import Rows
from src.engine.queries.values import TableFile
from tests.engine.making import Make, csv_bytes
from tests.engine.operations import model
from tests.engine.operations.model import Row, Table
from tests.engine.queries.asking import EXAMPLES, ask, table_file

Steps = Sequence[Mapping[str, Any]]

INTEGERS = st.integers(-30, 30).map(str)
DECIMALS = st.decimals(-3, 3, places=1).map(str) | st.sampled_from(
    ["1.10", "1.1", "0.30", "100000000000000000.1"]
)
DAYS = st.dates().filter(lambda day: day.year >= 1000).map(str)
TEXTS = st.text(st.sampled_from(list("ab\",\n é漢\t'0")), max_size=4)
EMPTY = st.sampled_from(["", "", " "])
COLUMNS = {
    "n": INTEGERS | EMPTY,
    "d": DECIMALS | EMPTY,
    "day": st.sampled_from(["2024-01-01", "2024-02-29", "2023-12-31"]) | EMPTY,
    "t": TEXTS | st.sampled_from(["a", "b", "ab"]),
}
TYPES = {"n": "integer", "d": "decimal", "day": "date", "t": "text"}
FIRST = {"n": "7", "d": "0.5", "day": "2024-01-01", "t": "x"}  # so that each column has its type


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    rows = draw(st.lists(st.fixed_dictionaries(COLUMNS), max_size=20))
    return [FIRST, *rows, *draw(st.lists(st.sampled_from(rows), max_size=5) if rows else st.just([]))]


def values_of(name: str) -> st.SearchStrategy[str]:
    return {"n": INTEGERS, "d": DECIMALS, "day": DAYS, "t": TEXTS.filter(bool)}[name]


@st.composite
def filters(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(list(COLUMNS)))
    operator = draw(
        st.sampled_from([">", ">=", "<", "<=", "==", "!=", "in", "between", "is_empty", "not_empty"])
        | st.sampled_from(["contains", "not_contains", "starts_with", "ends_with"])
    )
    one: dict[str, Any] = {"column": name, "operator": operator}
    if operator in ("in", "between"):
        one["value"] = draw(st.lists(values_of(name), min_size=2, max_size=2))
    elif operator in ("contains", "not_contains", "starts_with", "ends_with"):
        one["value"] = draw(st.sampled_from(["a", "1", "-", "é", '"', "0"]))
    elif "empty" not in operator:
        value = draw(values_of(name).filter(str.strip))
        one["value"] = (
            draw(st.sampled_from([value, float(value)])) if name == "d" and len(value) < 9 else value
        )
    return one


def stored(folder: Path, rows: Sequence[Row], name: str = "a.csv") -> TableFile:
    path = folder / name
    names = list(rows[0])
    content = csv_bytes([names, *([row[one] for one in names] for row in rows)], quoting=csv.QUOTE_ALL)
    path.write_bytes(content)
    return table_file(path)


def applied(steps: Steps, file: TableFile, other: TableFile | None = None) -> list[Row]:
    def step(rows: Rows, *others: Rows) -> Rows:
        return apply(steps, rows, dict(zip(["other"], others, strict=False)))

    names, *rows = ask(step, file, *([other] if other else []))
    return [dict(zip(names, row, strict=True)) for row in rows]


# The tables are small as they are: shrinking them would take longer than reading them.
CHECKED = settings(deadline=None, max_examples=EXAMPLES, phases=[Phase.reuse, Phase.generate])


@CHECKED
@given(tables(), st.lists(filters(), min_size=1, max_size=3), st.sampled_from(["all", "any"]))
def test_filter(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], some: list[dict[str, Any]], match: str
) -> None:
    file = stored(tmp_path_factory.mktemp("filter"), rows)
    assert {column.name: column.type for column in file.detected.columns} == TYPES
    step = {"operation": "filter", "filters": some, "match": match}
    assert applied([step], file) == escaped(model.filtered(Table(rows, TYPES), step))


def escaped(rows: Sequence[Row]) -> list[Row]:
    """As a spreadsheet may see them."""
    return [
        {
            name: "'" + text if name == "t" and text.lstrip("'").startswith("\t") else text
            for name, text in row.items()
        }
        for row in rows
    ]


@CHECKED
@given(tables(), st.sampled_from([None, ["t"], ["n", "day"], ["d"]]), st.booleans())
def test_dedup(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], names: list[str] | None, is_last: bool
) -> None:
    file = stored(tmp_path_factory.mktemp("dedup"), rows)
    step = {"operation": "dedup", "keep": "last" if is_last else "first"} | (
        {"columns": names} if names else {}
    )
    expected = model.deduplicated(rows, names or list(COLUMNS), is_last=is_last)
    assert applied([step], file) == escaped(expected)


@CHECKED
@given(
    tables(),
    st.lists(
        st.fixed_dictionaries({"column": st.sampled_from(list(COLUMNS)), "descending": st.booleans()}),
        min_size=1,
        max_size=2,
        unique_by=lambda key: key["column"],
    ),
)
def test_sort_then_unique_takes_the_first_in_the_new_order(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], by: list[dict[str, Any]]
) -> None:
    file = stored(tmp_path_factory.mktemp("sort"), rows)
    steps = [{"operation": "sort", "by": by}, {"operation": "unique", "column": "n"}]
    in_order = model.sorted_rows(Table(rows, TYPES), by)
    assert applied(steps[:1], file) == escaped(in_order)
    assert applied(steps, file) == escaped(model.deduplicated(in_order, ["n"]))


@CHECKED
@given(tables(), st.sampled_from([[], ["t"], ["day", "n"]]))
def test_aggregate(tmp_path_factory: pytest.TempPathFactory, rows: list[Row], by: list[str]) -> None:
    file = stored(tmp_path_factory.mktemp("aggregate"), rows)
    values = [
        {"function": "count", "name": "rows"},
        *(
            {"function": function, "column": name, "name": f"{function} {name}"}
            for function in ("count", "count_distinct", "min", "max")
            for name in ("n", "d", "day")
        ),
        {"function": "sum", "column": "n", "name": "total"},
        {"function": "sum", "column": "d", "name": "exact total"},
    ]
    step = {"operation": "aggregate", "by": by, "values": values}
    assert applied([step], file) == escaped(model.aggregated(Table(rows, TYPES), by, values))


@CHECKED
@given(
    tables(),
    tables(),
    st.sampled_from(["left", "inner"]),
    st.sampled_from([{"n": "n"}, {"t": "t", "n": "n"}]),
)
def test_join(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], others: list[Row], how: str, on: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("join")
    file, other = stored(folder, rows), stored(folder, others, "b.csv")
    step = {"operation": "join", "file_id": "other", "on": on, "how": how}
    found = applied([step], file, other)
    expected = model.joined(rows, others, on, how)
    assert found == [
        {name: "'" + text if text.lstrip("'").startswith("\t") else text for name, text in row.items()}
        for row in expected
    ]


TABLE = [
    {"id": "007", "name": "Zé, Ana", "amount": "1.10", "day": "2024-01-31", "note": ""},
    {"id": "008", "name": "Bia", "amount": "20", "day": "2024-02-01", "note": "x"},
    {"id": "009", "name": "a|b|c", "amount": "", "day": "2024-02-01", "note": " "},
]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (
            {"operation": "select", "columns": ["note", "id"]},
            [["note", "id"], ["", "007"], ["x", "008"], [" ", "009"]],
        ),
        (
            {"operation": "derive", "column": "double", "formula": "amount * 2"},
            [["double"], ["2.2"], ["40"], ["0"]],
        ),
        ({"operation": "derive", "column": "copy", "formula": "id"}, [["copy"], ["007"], ["008"], ["009"]]),
        (
            {"operation": "replace", "column": "name", "old": "a", "new": "o", "match": "text"},
            [["name"], ["Zé, Ano"], ["Bio"], ["o|b|c"]],
        ),
        (
            {"operation": "replace", "column": "name", "old": "Bia", "new": "=1", "match": "cell"},
            [["name"], ["Zé, Ana"], ["'=1"], ["a|b|c"]],
        ),
        (
            {
                "operation": "replace",
                "column": "day",
                "old": r"(\d+)-(\d+)-(\d+)",
                "new": r"\3/\2/\1",
                "match": "regex",
            },
            [["day"], ["31/01/2024"], ["01/02/2024"], ["01/02/2024"]],
        ),
        (
            {"operation": "fill", "columns": ["note", "amount"], "value": 0},
            [["amount", "note"], ["1.10", "0"], ["20", "x"], ["0", "0"]],
        ),
        (
            {"operation": "cast", "column": "id", "type": "integer", "on_error": "fail"},
            [["id"], ["7"], ["8"], ["9"]],
        ),
        (
            {"operation": "cast", "column": "note", "type": "integer", "on_error": "empty"},
            [["note"], [""], [""], [""]],
        ),
        (
            {"operation": "split", "column": "name", "separator": "|", "into": ["one", "rest"]},
            [["one", "rest"], ["Zé, Ana", ""], ["Bia", ""], ["a", "b|c"]],
        ),
        ({"operation": "limit", "rows": 1, "skip": 1}, [["id"], ["008"]]),
    ],
    ids=lambda value: value["operation"] if isinstance(value, dict) else "",
)
def test_single_steps(tmp_path: Path, step: dict[str, Any], expected: list[list[str]]) -> None:
    names, *rows = expected
    found = applied([step], stored(tmp_path, TABLE))
    assert [[row[name] for name in names] for row in found] == rows


class TestSamples:
    ROWS = [{"n": str(number), "t": "x"} for number in range(2_000)]

    def test_a_sample_is_the_same_for_the_same_seed_and_in_the_order_of_the_file(
        self, tmp_path: Path
    ) -> None:
        file = stored(tmp_path, self.ROWS)
        first, again, other = (
            [int(row["n"]) for row in applied([{"operation": "sample", "rows": 50, "seed": seed}], file)]
            for seed in (1, 1, 2)
        )
        assert first == again == sorted(first) != other
        assert len(first) == len(set(first)) == 50

    def test_a_share_is_about_that_share(self, tmp_path: Path) -> None:
        found = applied([{"operation": "sample", "share": 0.25, "seed": 3}], stored(tmp_path, self.ROWS))
        assert 400 < len(found) < 600

    def test_neighbours_are_not_taken_together(self, tmp_path: Path) -> None:
        found = applied([{"operation": "sample", "rows": 500, "seed": 0}], stored(tmp_path, self.ROWS))
        places = [int(row["n"]) for row in found]
        pairs = sum(b - a == 1 for a, b in pairwise(places))
        assert 60 < pairs < 200


def test_rows_behind_one_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a hash that is the same for all, only the texts can decide."""
    from src.engine.queries import rows as queries

    monkeypatch.setattr(queries, "hashed", lambda *texts: texts[0].length() * 0)
    rows = [{"n": str(number % 70), "t": "x"} for number in range(500)]
    found = applied([{"operation": "dedup", "keep": "last"}], stored(tmp_path, rows))
    assert found == rows[-70:]


class TestRefusals:
    @pytest.mark.parametrize(
        ("steps", "slug", "pointer"),
        [
            ([{"operation": "unique", "column": "Name"}], "unknown-column", "/steps/0/column"),
            (
                [
                    {"operation": "select", "columns": ["id", "amout"]},
                    {"operation": "unique", "column": "nme"},
                ],
                "unknown-column",
                "/steps/0/columns/1",
            ),
            (
                [{"operation": "select", "columns": ["id"]}, {"operation": "unique", "column": "name"}],
                "unknown-column",
                "/steps/1/column",
            ),
            (
                [
                    {
                        "operation": "filter",
                        "match": "all",
                        "filters": [{"column": "amount", "operator": ">", "value": "a lot"}],
                    }
                ],
                "unreadable-value",
                "/steps/0",
            ),
            (
                [
                    {
                        "operation": "filter",
                        "match": "all",
                        "filters": [{"column": "name", "operator": "regex", "value": "(a+"}],
                    }
                ],
                "bad-regex",
                "/steps/0",
            ),
            ([{"operation": "rename", "columns": {"id": "name"}}], "duplicate-name", "/steps/0"),
            ([{"operation": "derive", "column": "x", "formula": "amout + 1"}], "bad-formula", "/steps/0"),
            (
                [{"operation": "cast", "column": "name", "type": "date", "on_error": "fail"}],
                "unreadable-cell",
                "",
            ),
        ],
    )
    def test_what_cannot_be_done_is_named(
        self, tmp_path: Path, steps: Steps, slug: str, pointer: str
    ) -> None:
        with pytest.raises(DomainError) as refused:
            applied(steps, stored(tmp_path, TABLE))
        assert refused.value.slug == slug
        if pointer:
            assert refused.value.errors[0].pointer == pointer

    def test_all_missing_columns_are_named_at_once_with_the_nearest(self, tmp_path: Path) -> None:
        steps = [{"operation": "select", "columns": ["id", "amout"]}, {"operation": "unique", "column": "dy"}]
        with pytest.raises(DomainError) as refused:
            applied(steps, stored(tmp_path, TABLE))
        assert refused.value.members["missing"] == [
            {"name": "amout", "nearest": ["amount"]},
            {"name": "dy", "nearest": ["day"]},
        ]


def test_an_evil_pattern_takes_no_longer_than_a_good_one(tmp_path: Path) -> None:
    file = stored(tmp_path, [{"t": "a" * 5_000 + "!", "n": "1"}] * 50)
    one = {"column": "t", "operator": "regex", "value": "^(a+)+$"}
    assert applied([{"operation": "filter", "match": "all", "filters": [one]}], file) == []


def test_sql_in_a_value_is_a_value(make: Make, tmp_path: Path) -> None:
    evil = "'; drop view input; --"
    file = stored(tmp_path, [{"t": evil, "n": "1"}, {"t": "x", "n": "2"}])
    one = {"column": "t", "operator": "==", "value": evil}
    assert applied([{"operation": "filter", "match": "all", "filters": [one]}], file) == [
        {"t": evil, "n": "1"}
    ]


def test_a_mean_of_decimals_does_not_depend_on_the_order_of_additions(tmp_path: Path) -> None:
    """One after the other, ten times 0.1 are a little less than 1 as doubles."""
    file = stored(tmp_path, [{"d": "0.1", "t": "x"}] * 10)
    figure = {"function": "avg", "column": "d", "name": "mean"}
    step = {"operation": "aggregate", "by": ["t"], "values": [figure]}
    assert applied([step], file) == [{"t": "x", "mean": "0.1"}]


def test_types_of_the_caller_win(tmp_path: Path) -> None:
    file = stored(tmp_path, TABLE)
    columns = tuple(
        replace(column, type="integer") if column.name == "id" else column for column in file.detected.columns
    )
    file = replace(file, detected=replace(file.detected, columns=columns))
    one = {"column": "id", "operator": ">=", "value": 8}
    found = applied([{"operation": "filter", "match": "all", "filters": [one]}], file)
    assert [row["id"] for row in found] == ["008", "009"]
