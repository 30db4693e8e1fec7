"""Which rows a report has, and in which order."""

import csv
import io

import pytest

from tests.engine.reports.asking import (
    AS_WRITTEN,
    CUSTOMERS,
    FULL,
    SALES,
    TAKEN_OVER,
    Make,
)


def test_the_full_form_filters_groups_orders_and_cuts(make: Make) -> None:
    made = make(FULL, SALES, CUSTOMERS, least="0.5")
    assert made.rows == ["country,total,orders,mean", "BR,31.5,2,10.5", "PT,22.65,2,7.55"]


def test_all_rows_are_one_group_without_keys(make: Make) -> None:
    document = {
        "outputs": [{"output": "n", "formula": "count()"}, {"output": "s", "formula": "sum(amount)"}],
        "group_by": [],
    }
    assert make(document, SALES, None).rows == ["n,s", "6,43.5"]


def test_rows_keep_the_order_of_the_input(make: Make) -> None:
    keys = [f"k{number * 7919 % 1000}" for number in range(5_000)]
    source = "k,n\n" + "".join(f"{key},{place}\n" for place, key in enumerate(keys))
    reference = "k,v\n" + "".join(f"k{number},{number}\n" for number in range(1_000))
    made = make([{"output": "n", "formula": "n"}, {"output": "v", "formula": "v"}], source, reference)
    found = list(csv.reader(io.StringIO("\n".join(made.rows[1:]))))
    assert found == [[str(place), key[1:]] for place, key in enumerate(keys)]


@pytest.mark.parametrize(
    ("order", "names"),
    [("paid", "bac"), ("-paid", "abc"), ("day", "bac"), ("-day", "abc"), ("name", "abc"), ("ok", "bac")],
)
def test_rows_are_sorted_by_values_and_shown_as_they_stand(make: Make, order: str, names: str) -> None:
    made = make({"outputs": TAKEN_OVER, "order_by": [order]}, AS_WRITTEN, None)
    assert "".join(row[0] for row in made.rows[1:]) == names
    assert 'a,"1.234,50",02/01/2024,sim' in made.rows


def test_the_first_rows_are_the_first_by_value(make: Make) -> None:
    made = make({"outputs": TAKEN_OVER, "order_by": ["-paid"], "limit": 1}, AS_WRITTEN, None)
    assert [row[0] for row in made.rows[1:]] == ["a"]
