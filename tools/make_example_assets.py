"""Draw the media that the examples begin from. Owns which assets there are and how each looks.

    python tools/make_example_assets.py [--check]

Nothing is downloaded and nothing is photographed, so the examples carry no one else's rights. Whole numbers alone decide
each pixel: every machine draws the same picture. Its bytes may still differ with the version of the PNG encoder, so
`--check`, which writes nothing and ends with exit code 1 where an asset is stale, compares pixels.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw

from flowrun.media.errors import NotMediaError
from flowrun.media.picture import fitted
from flowrun.media.probe import probe

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
LARGEST = 100_000  # bytes of one asset: examples are cloned by everybody
SIDE = 640  # pixels; the least that a reference image should have, by the API's advice on inputs
GRID = 2  # drawn so many times as large, then averaged down: soft edges from whole numbers

PAPER, SHADOW = (243, 239, 231), (222, 216, 204)
GREEN, DARK, LIGHT, CREAM = (46, 139, 87), (28, 98, 60), (92, 178, 124), (250, 244, 226)
STEEL = (176, 182, 186)
Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]


def scarf() -> Image.Image:
    """A knitted green scarf, tied: a loop, and two ends with cream stripes and fringes."""
    image = Image.new("RGB", (SIDE * GRID, SIDE * GRID), PAPER)
    draw = ImageDraw.Draw(image)
    for away, shade in ((24, SHADOW), (0, DARK)):
        draw.ellipse((290 + away, 170 + away, 990 + away, 690 + away), shade)
    knit(image, "ellipse", (306, 186, 974, 674))
    draw.ellipse((450, 250, 830, 480), DARK)
    draw.ellipse((466, 250, 814, 458), PAPER)
    end(image, (400, 600, 590, 1130))
    end(image, (620, 580, 830, 1040))
    draw.rounded_rectangle((470, 520, 790, 716), 80, DARK)
    knit(image, "knot", (486, 536, 774, 700))
    return image.reduce(GRID)


def end(image: Image.Image, box: Box) -> None:
    """One hanging end: wool, two stripes, and threads below."""
    left, top, right, bottom = box
    draw = ImageDraw.Draw(image)
    for x in range(left + 14, right - 4, 26):
        draw.line((x, bottom, x - 8, bottom + 72), DARK, 10)
        draw.line((x + 6, bottom, x + 10, bottom + 64), LIGHT, 8)
    draw.rectangle(box, DARK)
    knit(image, "end", (left + 12, top, right - 12, bottom - 8))
    for y in (bottom - 200, bottom - 110):
        draw.rectangle((left + 12, y, right - 12, y + 46), CREAM)


def knit(image: Image.Image, shape: str, box: Box) -> None:
    """Fill a shape with rows of stitches, each a small V."""
    wool = Image.new("RGB", image.size, GREEN)
    draw = ImageDraw.Draw(wool)
    left, top, right, bottom = box
    for number, y in enumerate(range(top - 24, bottom + 24, 24)):
        for x in range(left - 32, right + 32, 32):
            draw.line((x, y, x + 16, y + 16, x + 32, y), LIGHT if number % 2 else DARK, 5)
    mask = Image.new("L", image.size)
    within = ImageDraw.Draw(mask)
    if shape == "ellipse":
        within.ellipse(box, 255)
    else:
        within.rounded_rectangle(box, 64 if shape == "knot" else 0, 255)
    image.paste(wool, mask=mask)


def bottle() -> Image.Image:
    """A steel bottle from the front: a green body with a light from the left, a cream cap with a loop to carry it by."""
    image = Image.new("RGB", (SIDE * GRID, SIDE * GRID), PAPER)
    draw = ImageDraw.Draw(image)
    draw.ellipse((420, 1120, 940, 1200), SHADOW)
    draw.arc((530, 70, 750, 300), 150, 390, CREAM, 30)
    draw.rounded_rectangle((516, 180, 764, 330), 36, CREAM)
    draw.rectangle((540, 330, 740, 380), STEEL)
    draw.rounded_rectangle((440, 380, 840, 1160), 110, DARK)
    draw.rounded_rectangle((456, 396, 824, 1144), 96, GREEN)
    draw.rounded_rectangle((500, 460, 556, 1080), 28, LIGHT)
    draw.rectangle((456, 700, 824, 760), CREAM)
    for y in range(196, 320, 28):
        draw.line((540, y, 740, y), SHADOW, 6)
    return image.reduce(GRID)


ASSETS: dict[str, Callable[[], Image.Image]] = {
    "fox-trailer/refs/scarf.png": scarf,
    "product-spot/refs/bottle.png": bottle,
}


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def fault(path: Path, image: Image.Image) -> str | None:
    """Why the file at `path` is not the usable, small asset that shows `image`."""
    try:
        facts, data = probe(path), path.read_bytes()
    except (OSError, NotMediaError) as error:
        return str(error)
    if len(data) > LARGEST:
        return f"{len(data):,} bytes, and {LARGEST:,} is the most"
    if (facts.media_type, facts.width, facts.height) != ("image/png", *image.size):
        return f"it is {facts.media_type} of {facts.width} x {facts.height} pixels"
    differs = ImageChops.difference(image, fitted(data, *image.size)).getbbox()
    return "it shows another picture" if differs else None


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Draw the media that the examples begin from.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where an asset is stale")
    parser.add_argument("--examples", type=Path, default=EXAMPLES, help="the folder of the examples")
    options = parser.parse_args(argv)
    stale = 0
    for name, draw in ASSETS.items():
        path, image = options.examples / name, draw()
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(image))
        if reason := fault(path, image):
            stale += 1
            print(f"{path} is stale: {reason}; run this again without --check", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
