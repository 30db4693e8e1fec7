"""Indicators over the atendimentos: as they were always published, and by period, name and weekday."""

from collections.abc import Callable
from datetime import date
from typing import Any

from flask import Response

from src.api.blueprint import BINARY, VIEWER, Blueprint, View
from src.api.representations import TYPES, represented
from src.api.schemas.atendimentos import Identifier
from src.api.schemas.indicators import (
    ANGEL_ROWS,
    POLO_ROWS,
    AngelProductivitySchema,
    IndicatorQuery,
    IndicatorSchema,
    PoloProductivitySchema,
    ProductivityQuery,
)
from src.domain.indicators import Figures, Group, Noun, Period, change
from src.engine.charts import Chart
from src.services.indicators import Indicator, Line
from src.wiring import services

blp = Blueprint(
    "indicators", url_prefix="/api/v1", description="Who is on time, and when. Always exact.", for_keys=True
)
NAMES: dict[Noun, str] = {"angels": "angel", "polos": "polo", "clients": "cliente_id"}
SERIES = ("on time", "late", "open", "overdue")
PARTS = ("on_time", "late", "open", "overdue")
CLIENT = Identifier()


def in_all_forms(schema: Any) -> Callable[[View], View]:
    """A view that answers through `represented`."""

    def decorate(view: View) -> View:
        for form in ("csv", "xlsx", "svg", "png"):
            content: Any = {"type": "string"} if form == "csv" else BINARY
            view = blp.alt_response(200, schema=content, content_type=TYPES[form], success=True)(view)
        return blp.response(200, schema)(view)

    return decorate


@blp.get("/atendimento/angel_productivity", needs=VIEWER)
@blp.arguments(ProductivityQuery, location="query")
@in_all_forms(AngelProductivitySchema)
def get_angel_productivity(query: dict[str, Any]) -> Response:
    """How many attended each angel has, and how many on time; the best percentage first."""
    with services() as s:
        total, found = s.indicator_rows.angel_productivity(query["at_most"])
    rows: list[dict[str, Any]] = ANGEL_ROWS.dump(found)

    def chart() -> Chart:
        bars = [(row["angel"], (row["on_time_percentage"],)) for row in rows]
        return Chart("Angels: on time", "Of all attended ones", ("on time",), bars, unit=" %")

    body, blank = {"total": total, "data": rows}, dict.fromkeys(ANGEL_ROWS.dump_fields)
    return represented(query.get("format"), body, chart, "angel-productivity", blank=blank)


@blp.get("/atendimento/polo_productivity", needs=VIEWER)
@blp.arguments(ProductivityQuery, location="query")
@in_all_forms(PoloProductivitySchema)
def get_polo_productivity(query: dict[str, Any]) -> Response:
    """How many were attended in each polo on each weekday; the most first."""
    with services() as s:
        total, found = s.indicator_rows.polo_productivity(query["at_most"])
    rows: list[dict[str, Any]] = POLO_ROWS.dump(found)

    def chart() -> Chart:
        bars = [(f"{row['polo']}, {row['weekday']}", (row["total_deliveries"],)) for row in rows]
        return Chart("Polos by weekday", "Attended ones", ("attended",), bars)

    body, blank = {"total": total, "data": rows}, dict.fromkeys(POLO_ROWS.dump_fields)
    return represented(query.get("format"), body, chart, "polo-productivity", blank=blank)


@blp.get("/indicators/angels", needs=VIEWER)
@blp.arguments(IndicatorQuery, location="query")
@in_all_forms(IndicatorSchema)
def get_angels(query: dict[str, Any]) -> Response:
    """Figures of each angel. Attended ones count on their done day, the others on their limit day."""
    return _answer("angels", query)


@blp.get("/indicators/polos", needs=VIEWER)
@blp.arguments(IndicatorQuery, location="query")
@in_all_forms(IndicatorSchema)
def get_polos(query: dict[str, Any]) -> Response:
    """Figures of each polo."""
    return _answer("polos", query)


@blp.get("/indicators/clients", needs=VIEWER)
@blp.arguments(IndicatorQuery, location="query")
@in_all_forms(IndicatorSchema)
def get_clients(query: dict[str, Any]) -> Response:
    """Figures of the clients with the most atendimentos."""
    return _answer("clients", query)


@blp.get("/indicators/trend", needs=VIEWER)
@blp.arguments(IndicatorQuery, location="query")
@in_all_forms(IndicatorSchema)
def get_trend(query: dict[str, Any]) -> Response:
    """Figures of all together, day by day unless grouped otherwise."""
    return _answer("trend", query)


def _answer(noun: Noun, query: dict[str, Any]) -> Response:
    period = Period(query.get("first"), query.get("last"))
    group: Group | None = query.get("group_by") or ("day" if noun == "trend" else None)
    with services() as s:
        found = s.indicators.compute(
            noun,
            period,
            angel=query.get("angel"),
            polo=query.get("polo"),
            group=group,
            at_most=query["at_most"],
            delays=query["delays"],
            is_compared="compare" in query,
        )
    rows = [_row(noun, line) for line in found.lines]
    body = {
        "as_of": found.as_of.isoformat(),
        "from": _shown(period.first),
        "to": _shown(period.last),
        "data": rows,
    }
    return represented(
        query.get("format"),
        body,
        lambda: _chart(noun, period, found),
        f"indicators-{noun}",
        blank=_blank(noun, group, is_compared="compare" in query),
    )


def _row(noun: Noun, line: Line) -> dict[str, Any]:
    figures = line.figures
    row: dict[str, Any] = {}
    if noun in NAMES:
        name = figures.name
        row[NAMES[noun]] = CLIENT.serialize("name", {"name": name}) if noun == "clients" else name
    if figures.period is not None:
        row["period"] = figures.shown_period
    row["total"] = figures.total
    row |= {part: getattr(figures, part) for part in PARTS}
    row["on_time_percentage"] = figures.on_time_percentage
    row["median_delay_seconds"] = _seconds(figures.median_delay)
    row["p90_delay_seconds"] = _seconds(figures.p90_delay)
    return row | (change(figures, line.previous) if line.previous else {})


def _blank(noun: Noun, group: Group | None, *, is_compared: bool) -> dict[str, Any]:
    """A row of nothing, with the members that the rows of this question have."""
    nothing = Figures("", date.min if group else None)
    return _row(noun, Line(nothing, nothing if is_compared else None))


def _chart(noun: Noun, period: Period, found: Indicator) -> Chart:
    days = f"{_shown(period.first) or 'from the beginning'} to {_shown(period.last) or 'the end'}"
    bars = []
    for line in found.lines:
        label = ", ".join(filter(None, (line.figures.name, line.figures.shown_period)))
        bars.append((label, tuple(getattr(line.figures, part) for part in PARTS)))
    subtitle = f"{days}; as of {found.as_of:%Y-%m-%d %H:%M} UTC"
    return Chart(noun.capitalize(), subtitle, SERIES, bars, is_standing=noun == "trend")


def _seconds(delay: float | None) -> float | None:
    """To the microsecond, as times are kept: the rest is what interpolation leaves of binary fractions."""
    return None if delay is None else round(delay, 6)


def _shown(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
