"""What is refused, and how well: the code, the place, what was expected, and the nearest name."""

import ast
from pathlib import Path

import pytest

from src.domain import formulas
from src.domain.formulas import BadFormula, Formula, parse, type_named
from src.domain.formulas.parsing import _READERS

COLUMNS = {"field1": "text", "field3": "decimal(12,2)", "amount": "integer", "day": "date", "ok": "boolean"}


def refusal(text: str, **options: object) -> BadFormula:
    with pytest.raises(BadFormula) as caught:
        parse(text, COLUMNS, **options)
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('id')",
        "().__class__.__bases__[0].__subclasses__()",
        "field1.upper()",
        "field1[0]",
        "lambda: 1",
        "[x for x in (1, 2)]",
        "f'{field1}'",
        "b'bytes'",
        "(amount := 5)",
        "{'a': 1}",
        "{1, 2}",
        "[1, 2]",
        "(1, 2)",
        "...",
        "1j",
        "1e5",
        "0x1F",
        "1_000",
        "~amount",
        "amount & 1",
        "amount @ 1",
        "amount << 2",
        "amount is None",
        "amount == None",
        "max(*amount, 1)",
        "round(amount, places=2)",
        "round(amount)(1)",
        "await amount",
        "yield 1",
        "amount; amount",
        "amount = 1",
        "amount # and more",
        "'a' 'b' # c",
        "'\\ud800'",
        "'\\0'",
        "a\x00b",
        "\ud800",
        "",
        "   \n",
        "1 +",
        ")1(",
        "a) + (b",
        "not",
        "1 " * 5_000,
        "(" * 900 + "1" + ")" * 900,
        "-" * 900 + "1",
        "+".join("1" * 900),
        "99999999999999999999999999999999999999999",
    ],
)
def test_what_is_not_on_the_list_is_refused(text: str) -> None:
    assert 1 <= refusal(text).position <= max(1, len(text))


@pytest.mark.parametrize(
    ("text", "code", "position", "said"),
    [
        ("field1 + fild3", "unknown_column", 10, "«field3»"),
        ("mox(amount, 1)", "unknown_function", 1, "«max»"),
        ("amount + upper(field3)", "type", 16, "expected a text"),
        ("amount * 'a'", "type", 10, "expected a number, found the text 'a'"),
        ("amount * day", "type", 10, "expected a number, found a date"),
        ("field1 - ok", "type", 10, "found a condition"),
        ("day > 'soon'", "type", 7, "a date such as '2024-12-31'"),
        ("day > field1", "type", 7, "to_date"),
        ("amount and ok", "type", 1, "expected a condition"),
        ("1 if amount else 2", "type", 6, "expected a condition"),
        ("1 if ok else 'a'", "type", 14, "expected a number"),
        ("ok == field1", "type", 7, "expected a condition"),
        ("round(amount, field3)", "type", 15, "from -10 to 10"),
        ("round(amount, 99)", "type", 15, "from -10 to 10"),
        ("round()", "arguments", 1, "takes 1 to 2 arguments, found 0"),
        ("matches(field1, '(')", "pattern", 17, "missing )"),
        ("matches(field1, field1)", "type", 17, "a pattern in quotes"),
        ("to_date(field1, 'dd/mon')", "type", 17, "yyyy, mm, dd"),
        ("amount // 0", "zero", 11, "something else than 0"),
        ("sum(amount)", "aggregate", 1, "rows are not grouped"),
        ("maçã + 1", "unknown_column", 1, "«maçã»"),
        ("'maçã' + fild1", "unknown_column", 10, "«field1»"),
        ("\n  field1 +\n  nope", "unknown_column", 15, "«nope»"),
        ("col('nope')", "unknown_column", 5, "«nope»"),
        ("col(field1)", "arguments", 1, "in quotes"),
        ("amount in ()", "arguments", 11, "between 1 and 200"),
        ("min(ok, ok)", "type", 5, "numbers, texts or dates"),
        ("None if ok else None", "type", 1, "a value in one branch"),
        ("amount ** 1e3", "number", 11, "such as 12 or 0.5"),
    ],
)
def test_a_refusal_says_where_and_what_was_expected(text: str, code: str, position: int, said: str) -> None:
    error = refusal(text)
    assert (error.position, said in error.detail) == (position, True), error.detail
    assert error.code == code


def test_the_nearest_names_are_a_member_of_the_problem() -> None:
    assert refusal("fild1").members["nearest"] == ["field1", "field3"]


def test_many_decimals_in_a_product_are_refused_before_they_are_lost() -> None:
    with pytest.raises(BadFormula, match="more than 27 decimals"):
        parse("x * x * x", {"x": "decimal"})
    assert parse("round(x * x, 2) * x", {"x": "decimal"}).type.places == 12


def test_a_formula_that_would_repeat_itself_too_often_is_refused() -> None:
    text = "amount"
    for _ in range(8):
        text = f"({text} // 3)"
    assert refusal(text).code == "too_involved"


def test_long_sums_and_joins_are_not_deep() -> None:
    assert parse(" + ".join(["amount"] * 90), COLUMNS).type.whole == 20
    assert parse(" + ".join(["field1"] * 90), COLUMNS).type.kind == "text"


def test_names_that_read_the_same_are_refused_and_can_be_told_apart() -> None:
    columns = {"ﬁeld": "integer", "field": "integer"}
    with pytest.raises(BadFormula) as caught:
        parse("field + 1", columns)
    assert caught.value.code == "ambiguous_column"
    assert parse("col('ﬁeld') + col('field')", columns).columns == ("ﬁeld", "field")
    assert parse("field", {"ﬁeld": "integer"}).columns == ("ﬁeld",)


def test_without_columns_any_name_passes_but_nothing_else_that_is_wrong() -> None:
    assert parse("a + max(b, c) * (2 if d > e else f)").columns == ("a", "b", "c", "d", "e", "f")
    for wrong in ("a + nope(b)", "a.b", "round(a, 99)", "upper(1)", "sum(a)"):
        with pytest.raises(BadFormula):
            parse(wrong)


def test_where_rows_are_grouped_other_columns_stand_in_aggregates() -> None:
    assert parse("field1 + to_text(sum(amount))", COLUMNS, keys=["field1"]).type.kind == "text"
    assert refusal("amount + 1", keys=["field1"]).code == "not_grouped"
    assert refusal("sum(max(amount))", keys=["field1"]).code == "aggregate"
    assert parse("max(sum(amount), 0)", COLUMNS, keys=[]).type.kind == "number"


def test_a_condition_can_be_demanded() -> None:
    assert parse("amount > 3", COLUMNS, is_condition=True).type.kind == "boolean"
    with pytest.raises(BadFormula, match="expected a condition"):
        parse("amount", COLUMNS, is_condition=True)


def test_types_have_names() -> None:
    assert str(type_named("decimal(12,2)")) == "number"
    assert type_named("decimal(50,2)") is None
    assert type_named("decimal(2,2)") is None
    assert type_named("money") is None


def test_a_lone_column_is_known_as_one() -> None:
    assert parse("field1", COLUMNS).is_column
    assert not parse("field1 + ''", COLUMNS).is_column


def test_everything_that_is_read_is_an_expression_that_can_not_act() -> None:
    """The allow-list is short, and holds no way to reach an attribute, an item, or code."""
    allowed = {ast.Constant, ast.Name, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call}
    assert set(_READERS) == allowed
    assert isinstance(parse("1"), Formula)


def test_the_language_is_not_evaluated_by_python() -> None:
    sources = [path.read_text(encoding="utf-8") for path in Path(formulas.__path__[0]).glob("*.py")]
    called = {
        call.func.id
        for source in sources
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    }
    assert len(called) > 20
    assert not called & {"eval", "exec", "compile", "__import__"}
