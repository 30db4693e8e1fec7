"""Charts: every bar is there, as long as its value says, and nothing in a name is markup."""

import io
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from src.engine.charts import COLOURS, HEAD, MOST_BARS, Box, Chart, Drawing, Label, draw
from src.engine.pictures import SHARPNESS, png, svg

each = pytest.mark.parametrize
SVG = "{http://www.w3.org/2000/svg}"


def chart(bars: list[tuple[str, tuple[float, ...]]], *, is_standing: bool = False) -> Chart:
    return Chart("Title", "Subtitle", ("on time", "late"), bars, is_standing=is_standing)


def boxes(drawing: Drawing, colour: str) -> list[Box]:
    """Bars of a colour, without the sample in the legend."""
    return [
        shape
        for shape in drawing.shapes
        if isinstance(shape, Box) and shape.colour == colour and shape.y >= HEAD
    ]


def texts(drawing: Drawing) -> list[str]:
    return [shape.text for shape in drawing.shapes if isinstance(shape, Label)]


@each("is_standing", [False, True])
def test_bars_are_as_long_as_their_values_and_stacked(is_standing: bool) -> None:
    drawing = draw(chart([("A", (30, 10)), ("B", (15, 0))], is_standing=is_standing))
    first, second = boxes(drawing, COLOURS[0])
    (late, none) = boxes(drawing, COLOURS[1])
    if is_standing:
        assert first.height == pytest.approx(2 * second.height) == pytest.approx(3 * late.height)
        assert late.y + late.height == pytest.approx(first.y)
    else:
        assert first.width == pytest.approx(2 * second.width) == pytest.approx(3 * late.width)
        assert first.x + first.width == pytest.approx(late.x)
    assert none.height == 0 if is_standing else none.width == 0


@each("is_standing", [False, True])
@each("most", [0, 1, 7, 99.5, 100, 1_234_567])
def test_the_axis_ends_at_a_round_number_that_is_not_passed(is_standing: bool, most: float) -> None:
    drawing = draw(chart([("A", (most,))], is_standing=is_standing))
    (bar,) = boxes(drawing, COLOURS[0])
    assert bar.x >= 0
    assert bar.x + bar.width <= drawing.width
    assert bar.y + 0.001 >= HEAD


@each("is_standing", [False, True])
@each("count", [0, 1, MOST_BARS, MOST_BARS + 40])
def test_nothing_lies_outside_of_the_picture(is_standing: bool, count: int) -> None:
    drawing = draw(chart([(f"name {n}", (n, 1)) for n in range(count)], is_standing=is_standing))
    assert len(boxes(drawing, COLOURS[0])) == min(count, MOST_BARS)
    for shape in drawing.shapes:
        assert 0 <= shape.x <= drawing.width
        assert 0 <= shape.y <= drawing.height


def test_of_many_names_the_first_are_shown_and_of_many_days_the_last() -> None:
    bars = [(f"{n:03}", (1.0,)) for n in range(MOST_BARS + 1)]
    assert ("000" in texts(draw(chart(bars)))) != ("000" in texts(draw(chart(bars, is_standing=True))))


def test_long_names_are_cut_and_unprintable_signs_left_out() -> None:
    found = texts(draw(chart([("x" * 31, (1,)), ("a\nb\x07c", (1,))])))
    assert "x" * 29 + "…" in found
    assert "a b c" in found


def test_as_svg_it_is_well_formed_whatever_a_name_is() -> None:
    name = "</text><script>&\"'"
    root = ET.fromstring(svg(draw(chart([(name, (1, 2))]))))
    assert root.tag == f"{SVG}svg"
    assert name in [element.text for element in root.iter(f"{SVG}text")]
    assert list(root.iter(f"{SVG}script")) == []


def test_as_png_the_colours_are_where_the_boxes_are() -> None:
    drawing = draw(chart([("Conceição", (3, 1))]))
    image = Image.open(io.BytesIO(png(drawing)))
    assert image.size == (drawing.width * SHARPNESS, drawing.height * SHARPNESS)
    for colour in COLOURS[:2]:
        (box,) = boxes(drawing, colour)
        middle = (round((box.x + box.width / 2) * SHARPNESS), round((box.y + box.height / 2) * SHARPNESS))
        assert image.getpixel(middle) == tuple(bytes.fromhex(colour[1:]))
