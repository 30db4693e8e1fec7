"""Drawings as SVG and as PNG. The font lies beside: not every machine has one with the accents of names."""

import io
from pathlib import Path
from xml.sax.saxutils import escape

from src.engine.charts import PAPER, Box, Drawing, Shape

FONT = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
SHARPNESS = 2  # pixels of a PNG for one of the drawing
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}


def svg(drawing: Drawing) -> bytes:
    """As SVG; without styles, which a strict content policy would drop."""
    size = f'width="{drawing.width}" height="{drawing.height}" viewBox="0 0 {drawing.width} {drawing.height}"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="DejaVu Sans, Arial, sans-serif">']
    lines.append(f'<rect width="100%" height="100%" fill="{PAPER}"/>')
    lines += [_element(shape) for shape in drawing.shapes]
    return "\n".join([*lines, "</svg>", ""]).encode()


def png(drawing: Drawing) -> bytes:
    """As PNG, twice as sharp as its size says."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (drawing.width * SHARPNESS, drawing.height * SHARPNESS), PAPER)
    canvas = ImageDraw.Draw(image)
    for shape in drawing.shapes:
        x, y = shape.x * SHARPNESS, shape.y * SHARPNESS
        if isinstance(shape, Box):
            if shape.width > 0 and shape.height > 0:
                corner = (x + max(shape.width * SHARPNESS, 1) - 1, y + max(shape.height * SHARPNESS, 1) - 1)
                canvas.rectangle((x, y, *corner), fill=shape.colour)
        else:
            font = ImageFont.truetype(FONT, shape.size * SHARPNESS)
            canvas.text((x, y), shape.text, fill=shape.colour, font=font, anchor=ANCHORS[shape.anchor])
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _element(shape: Shape) -> str:
    if isinstance(shape, Box):
        place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" height="{shape.height:.1f}"'
        return f'<rect {place} fill="{shape.colour}"/>'
    place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" font-size="{shape.size}" text-anchor="{shape.anchor}"'
    return f'<text {place} fill="{shape.colour}">{escape(shape.text)}</text>'
