"""Bar charts as plain shapes: bars that lie for names, bars that stand for what follows in time."""

from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = ("#2e7d4f", "#d9822b", "#5b8def", "#b3261e", "#6b4fa0")
INK, FAINT, PAPER = "#1f2933", "#d5dae0", "#ffffff"
WIDTH, MARGIN, ROW = 960, 24, 26
NAMES_WIDTH, HEAD, FOOT = 220, 92, 40
STANDING_HEIGHT, SLOT = 320, 14
MOST_BARS = 60
TICKS = 5
TEXT, SMALL, LARGE = 13, 11, 18
LONGEST = 30


@dataclass(frozen=True, slots=True)
class Box:
    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True, slots=True)
class Label:
    """A text whose anchor lies on the left, in the middle or on the right of its baseline."""

    x: float
    y: float
    text: str
    size: int = TEXT
    anchor: str = "start"
    colour: str = INK


Shape = Box | Label


@dataclass(frozen=True, slots=True)
class Drawing:
    width: int
    height: int
    shapes: list[Shape]


@dataclass(frozen=True, slots=True)
class Chart:
    """What is shown: a value per series for each label; the series of a bar are stacked."""

    title: str
    subtitle: str
    series: Sequence[str]
    bars: Sequence[tuple[str, Sequence[float]]]
    unit: str = ""
    is_standing: bool = False

    @property
    def shown(self) -> Sequence[tuple[str, Sequence[float]]]:
        """The first ones lie under each other; of a time the last ones count."""
        return self.bars[-MOST_BARS:] if self.is_standing else self.bars[:MOST_BARS]

    @property
    def largest(self) -> float:
        """The end of the axis: the next round number."""
        most = max((sum(values) for _, values in self.bars), default=0)
        step = 1.0
        while step * 10 <= most:
            step *= 10
        return next(step * factor for factor in (1, 2, 2.5, 5, 10) if step * factor >= most)


def draw(chart: Chart) -> Drawing:
    """The chart as boxes and labels, for any renderer."""
    return _standing(chart) if chart.is_standing else _lying(chart)


def _lying(chart: Chart) -> Drawing:
    room = WIDTH - 2 * MARGIN - NAMES_WIDTH - 60
    bottom = HEAD + ROW * max(len(chart.shown), 1)
    left = MARGIN + NAMES_WIDTH
    shapes = _head(chart)
    for tick in range(TICKS + 1):
        x = left + room * tick / TICKS
        shapes.append(Box(x, HEAD - 8, 1, bottom - HEAD + 8, FAINT))
        shapes.append(Label(x, bottom + 18, _number(chart.largest * tick / TICKS), SMALL, "middle"))
    for number, (name, values) in enumerate(chart.shown):
        y, x = HEAD + ROW * number, float(left)
        shapes.append(Label(left - 8, y + 15, _short(name), anchor="end"))
        for value, colour in zip(values, COLOURS, strict=False):
            width = room * value / chart.largest
            shapes.append(Box(x, y + 2, width, ROW - 8, colour))
            x += width
        shapes.append(Label(x + 6, y + 15, _number(sum(values)) + chart.unit, SMALL))
    return Drawing(WIDTH, bottom + FOOT, shapes)


def _standing(chart: Chart) -> Drawing:
    left, bottom = MARGIN + 60, HEAD + STANDING_HEIGHT
    room = WIDTH - MARGIN - left
    slot = room / max(len(chart.shown), 1)
    shapes = _head(chart)
    for tick in range(TICKS + 1):
        y = bottom - STANDING_HEIGHT * tick / TICKS
        shapes.append(Box(left, y, room, 1, FAINT))
        shapes.append(Label(left - 8, y + 4, _number(chart.largest * tick / TICKS), SMALL, "end"))
    every = -(-len(chart.shown) * 80 // room)  # labels need room
    for number, (name, values) in enumerate(chart.shown):
        x, y = left + slot * number, float(bottom)
        for value, colour in zip(values, COLOURS, strict=False):
            height = STANDING_HEIGHT * value / chart.largest
            y -= height
            shapes.append(Box(x + slot * 0.1, y, slot * 0.8, height, colour))
        if number % every == 0:
            shapes.append(Label(x + slot / 2, bottom + 18, _short(name), SMALL, "middle"))
    return Drawing(WIDTH, bottom + FOOT, shapes)


def _head(chart: Chart) -> list[Shape]:
    """Title, subtitle, and what the colours mean when there are several."""
    shapes: list[Shape] = [
        Label(MARGIN, MARGIN + 10, chart.title, LARGE),
        Label(MARGIN, MARGIN + 30, chart.subtitle, SMALL),
    ]
    x = MARGIN
    for name, colour in zip(chart.series, COLOURS, strict=False) if len(chart.series) > 1 else ():
        shapes.append(Box(x, MARGIN + 40, 10, 10, colour))
        shapes.append(Label(x + 15, MARGIN + 49, name, SMALL))
        x += 30 + 8 * len(name)
    return shapes


def _short(name: str) -> str:
    """A name cut to its place, without the characters that no renderer shows."""
    shown = "".join(sign if sign.isprintable() else " " for sign in name)
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"
