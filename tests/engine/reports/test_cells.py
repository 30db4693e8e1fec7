"""Cells that have a value, and those that have none and a reason."""

from tests.engine.reports.asking import Make


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
