"""Reports in tests: rules over an input and a reference, all in this process."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from src.domain.errors import DomainError
from src.engine.reports.formats import WRITERS
from src.engine.reports.sheet import Sheet
from src.engine.reports.values import Made

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
AS_WRITTEN = 'name,paid,day,ok\na,"1.234,50",02/01/2024,sim\nb,"9,05",13/12/2023,não\nc,,,\n'
TAKEN_OVER = [{"output": name, "formula": name} for name in ("name", "paid", "day", "ok")]


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


def refused(make: Make, *given: Any, **parameters: str) -> DomainError:
    with pytest.raises(DomainError) as caught:
        make(*given, **parameters)
    return caught.value
