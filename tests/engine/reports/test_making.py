"""What rules make of an input and a reference, cell by cell; all in this process."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.domain.errors import DomainError
from src.domain.rules_reading import read_rules
from src.engine.queries.answering import Answering
from src.engine.queries.running import Question, Ran, execute
from src.engine.queries.values import TableFile
from src.engine.reports.formats import WRITERS, Sheet
from src.engine.reports.making import Making
from src.engine.reports.planning import plan_of
from src.engine.reports.values import Made, Table
from src.engine.sandbox import ignore_progress
from src.services.reports import values_of
from tests.engine.making import SANDBOX
from tests.engine.queries.asking import HERE, LIMITS, cluster_in, profiled

INPUT = """field1,field2,field3,field5,refkey1,refkey2
a,1,2.50,3,k1,k2
"b, c",2,,10,k2,none
d,3,1.25,-7,none,none
"""
REFERENCE = """refkey1,refdata1,refkey2,refdata2,refdata3,refdata4
k1,one,x1,A,B,5.5
k2,two,k2,C,D,0.25
"""
SHORT = [
    {"output": "outfield1", "formula": "field1 + refdata2"},
    {"output": "outfield2", "formula": "refdata1"},
    {"output": "outfield3", "formula": "refdata2 + refdata3"},
    {"output": "outfield4", "formula": "field3 * max(field5, refdata4)"},
    {"output": "outfield5", "formula": "max(field5, refdata4)"},
]


@dataclass
class Result:
    made: Made

    @property
    def rows(self) -> list[str]:
        return self.made.report.read_text().splitlines()

    @property
    def figures(self) -> dict[str, Any]:
        return self.made.figures

    def written(self, form: str, title: str = "A report") -> bytes:
        return b"".join(WRITERS[form][0](Sheet(self.made.report, title, self.made.columns)))


Make = Callable[..., Result]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def table(name: str, content: str | None) -> Table | None:
        if content is None:
            return None
        path = tmp_path / name
        path.write_text(content)
        profile = profiled(path)
        return Table(TableFile(path, profile.detected, profile.regular), profile)

    def run(questions: Sequence[Question]) -> list[Ran]:
        folder = tmp_path / "work"
        folder.mkdir()

        def call(function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
            found: dict[str, Any] = json.loads(
                json.dumps(HERE[function](arguments, folder, SANDBOX, ignore_progress))
            )
            return found

        return execute(questions, Answering(folder, LIMITS, call), cluster_in(folder))

    def made(
        document: Any = SHORT, source: str = INPUT, reference: str | None = REFERENCE, **parameters: str
    ) -> Result:
        rules = read_rules(document)
        first, second = table("input.csv", source), table("reference.csv", reference)
        assert first is not None
        plan = plan_of(rules, first, second, values_of(rules, parameters), "csv")
        return Result(Making(plan, first, second, tmp_path, run).make())

    return made


def refused(make: Make, *given: Any, **parameters: str) -> DomainError:
    with pytest.raises(DomainError) as caught:
        make(*given, **parameters)
    return caught.value


def test_the_short_rules_look_up_each_shared_column_and_the_later_lies_over_the_earlier(make: Make) -> None:
    assert make().rows == [
        "outfield1,outfield2,outfield3,outfield4,outfield5",
        "aC,two,CD,7.5,3",
        '"b, cC",two,CD,0,10',
        "d,,,0,0",
    ]


def test_rows_keys_and_cells_that_went_astray_are_counted(make: Make) -> None:
    made = make()
    assert made.figures == {
        "rows_in": 3,
        "rows_out": 3,
        "unmatched": [
            {"lookup": "refkey1", "keys": 1, "rows": 1},
            {"lookup": "refkey2", "keys": 1, "rows": 2},
        ],
        "uncomputable": 0,
    }
    assert made.made.unmatched is not None
    assert made.made.unmatched.read_text().splitlines() == [
        "lookup,key,rows",
        "refkey1,none,1",
        "refkey2,none,2",
    ]


def test_a_key_that_the_reference_has_twice_is_named(make: Make) -> None:
    error = refused(make, SHORT, INPUT, REFERENCE + "k1,again,x3,E,F,1\n")
    assert (error.slug, "«k1» in 2 rows" in error.detail) == ("duplicate-key", True)


def test_an_empty_key_finds_nothing_and_may_be_there_twice(make: Make) -> None:
    reference = "k,v\n,1\n,2\na,3\n"
    made = make([{"output": "v", "formula": "v"}, {"output": "k", "formula": "k"}], 'k\n""\na\n', reference)
    assert made.rows == ["v,k", ",", "3,a"]


def test_cells_that_can_not_be_computed_are_empty_and_listed(make: Make) -> None:
    document = [
        {"output": "ratio", "formula": "field3 / field5"},
        {"output": "clash", "formula": "field1 + field5"},
        {"output": "kept", "formula": "field1"},
    ]
    made = make(document, "field1,field3,field5\nx,1,0\ny,3,2\n", None)
    assert made.rows == ["ratio,clash,kept", ",,x", "1.5,,y"]
    assert made.figures["uncomputable"] == 3
    assert made.made.uncomputable is not None
    assert made.made.uncomputable.read_text().splitlines() == [
        "row,output,reason",
        "1,ratio,division_by_zero",
        "1,clash,text_and_number",
        "2,clash,text_and_number",
    ]


def test_one_bad_number_costs_its_own_cell_and_no_other(make: Make) -> None:
    made = make(
        [{"output": "p", "formula": "n * m"}, {"output": "m", "formula": "m"}],
        "n,m\n1,2\nabc,3\n 4 ,5\n",
        None,
    )
    assert made.rows == ["p,m", "2,2", ",3", "20,5"]
    assert made.figures["uncomputable"] == 1


def test_declared_types_are_looked_at_cell_by_cell(make: Make) -> None:
    document = {
        "outputs": [{"output": "p", "formula": "n + 1"}, {"output": "d", "formula": "year(day)"}],
        "types": {"n": "decimal(6,2)", "day": "date"},
    }
    made = make(document, "n,day\n1.25,2024-01-01\n1.255,x\n12345.00,\n007,2023-02-30\n", None)
    assert made.rows == ["p,d", "2.25,2024", ",", ",", "8,"]
    assert made.figures["uncomputable"] == 4


FULL: dict[str, Any] = {
    "title": "Sales by country",
    "outputs": [
        {"output": "country", "formula": "country"},
        {"output": "total", "formula": "sum(amount * rate)"},
        {"output": "orders", "formula": "count()"},
        {"output": "mean", "formula": "round(avg(amount), 2)"},
    ],
    "lookups": [{"on": ["customer"], "take": ["country"], "missing": {"default": {"country": "unknown"}}}],
    "where": "amount > least",
    "group_by": ["country"],
    "order_by": ["-total"],
    "limit": 2,
    "parameters": {"rate": {"type": "decimal", "default": "1.5"}, "least": {"type": "decimal"}},
}
SALES = "customer,amount\nc1,10.10\nc2,20\nc1,0.40\nc9,7\nc2,1\nc3,5\n"
CUSTOMERS = "customer,country\nc1,PT\nc2,BR\nc3,PT\n"


def test_the_full_form_filters_groups_orders_and_cuts(make: Make) -> None:
    made = make(FULL, SALES, CUSTOMERS, least="0.5")
    assert made.rows == ["country,total,orders,mean", "BR,31.5,2,10.5", "PT,22.65,2,7.55"]


def test_all_rows_are_one_group_without_keys(make: Make) -> None:
    document = {
        "outputs": [{"output": "n", "formula": "count()"}, {"output": "s", "formula": "sum(amount)"}],
        "group_by": [],
    }
    assert make(document, SALES, None).rows == ["n,s", "6,43.5"]


@pytest.mark.parametrize(("missing", "expected"), [("null", 6), ("drop", 5)])
def test_what_is_not_found_is_empty_or_dropped(make: Make, missing: str, expected: int) -> None:
    assert len(make(looking(missing), SALES, CUSTOMERS).rows) == expected + 1


def test_what_is_not_found_can_be_refused(make: Make) -> None:
    error = refused(make, looking("fail"), SALES, CUSTOMERS)
    assert (error.slug, "«c9»" in error.detail) == ("unmatched-keys", True)


def looking(missing: str) -> dict[str, Any]:
    return {
        "outputs": [{"output": "c", "formula": "customer"}, {"output": "country", "formula": "country"}],
        "lookups": [{"on": ["customer"], "missing": missing}],
    }


def test_keys_of_two_columns(make: Make) -> None:
    document = {"outputs": [{"output": "v", "formula": "v"}], "lookups": [{"on": ["a", "b"]}]}
    made = make(document, "a,b\n1,2\n2,1\n1,1\n", "a,b,v\n1,2,x\n2,1,y\n")
    assert made.rows == ["v", "x", "y", '""'] or made.rows == ["v", "x", "y", ""]
    assert made.figures["unmatched"] == [{"lookup": "a, b", "keys": 1, "rows": 1}]


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


def test_cells_come_out_as_they_went_in_whatever_the_format(make: Make) -> None:
    made = make(
        [{"output": "code", "formula": "code"}, {"output": "n", "formula": "n"}],
        "code,n\n007,1.10\n=1+1,2.00\n'=x,-3.0\n",
        None,
    )
    assert made.rows == ["code,n", "007,1.10", "'=1+1,2.00", "''=x,-3.0"]
    lines = [json.loads(line) for line in made.written("jsonl").splitlines()]
    assert [line["code"] for line in lines] == ["007", "=1+1", "'=x"]
    assert json.loads(made.written("json")) == lines
    assert "<td>=1+1</td>" in made.written("html").decode()
    assert b"'" not in made.written("html").split(b"007")[1].split(b"x<")[0].replace(b"&#x27;", b"")


def test_every_format_has_always_the_same_bytes(make: Make) -> None:
    made = make()
    for form in WRITERS:
        first = made.written(form)
        assert len(first) > 90
        assert first == made.written(form), form


def test_numbers_are_numbers_in_a_workbook_and_in_parquet(make: Make, tmp_path: Path) -> None:
    import pyarrow.parquet as pq
    from python_calamine import CalamineWorkbook

    made = make()
    for form in ("xlsx", "parquet"):
        (tmp_path / form).write_bytes(made.written(form))
    sheet = CalamineWorkbook.from_path(tmp_path / "xlsx").get_sheet_by_index(0).to_python()
    assert sheet[1] == ["aC", "two", "CD", 7.5, 3]
    table = pq.read_table(tmp_path / "parquet")
    assert table["outfield4"].to_pylist() == [7.5, 0.0, 0.0]
    assert table["outfield1"].to_pylist() == ["aC", "b, cC", "d"]


def test_rows_keep_the_order_of_the_input(make: Make) -> None:
    keys = [f"k{number * 7919 % 1000}" for number in range(5_000)]
    source = "k,n\n" + "".join(f"{key},{place}\n" for place, key in enumerate(keys))
    reference = "k,v\n" + "".join(f"k{number},{number}\n" for number in range(1_000))
    made = make([{"output": "n", "formula": "n"}, {"output": "v", "formula": "v"}], source, reference)
    found = list(csv.reader(io.StringIO("\n".join(made.rows[1:]))))
    assert found == [[str(place), key[1:]] for place, key in enumerate(keys)]


AS_WRITTEN = 'name,paid,day,ok\na,"1.234,50",02/01/2024,sim\nb,"9,05",13/12/2023,não\nc,,,\n'
TAKEN_OVER = [{"output": name, "formula": name} for name in ("name", "paid", "day", "ok")]


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


def test_each_format_has_the_values_of_texts_written_in_another_way(make: Make, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    made = make(TAKEN_OVER, AS_WRITTEN, None)
    assert made.written("jsonl").decode().splitlines() == [
        '{"name":"a","paid":1234.50,"day":"2024-01-02","ok":true}',
        '{"name":"b","paid":9.05,"day":"2023-12-13","ok":false}',
        '{"name":"c","paid":null,"day":null,"ok":null}',
    ]
    (tmp_path / "parquet").write_bytes(made.written("parquet"))
    table = pq.read_table(tmp_path / "parquet")
    assert table.to_pylist()[0] == {
        "name": "a",
        "paid": Decimal("1234.50"),
        "day": date(2024, 1, 2),
        "ok": True,
    }
    assert '<td class="n">1243.55</td>' in made.written("html").decode()
    assert '<td class="n">1.234,50</td>' in made.written("html").decode()


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


def test_a_key_column_may_be_called_rows(make: Make) -> None:
    document = {"outputs": [{"output": "o", "formula": "n"}], "lookups": [{"on": ["rows"]}]}
    error = refused(make, document, "rows,n\nx,1\n", "rows,v\nz,1\nz,2\n")
    assert "«z» in 2 rows" in error.detail


def test_what_is_taken_does_not_mix_with_a_column_of_the_input_that_is_called_so(make: Make) -> None:
    made = make([{"output": "o", "formula": "v"}], "k,v@0\na,wrong\n", "k,v\na,right\n")
    assert made.rows == ["o", "right"]
