"""The painted scene behind every made picture: a sky, a sun, hills in the mist. Owns its colours and shapes.

Everything is drawn by lot from a `Chance`; `variation` turns the hue and moves the shapes, so that two takes of one
prompt are akin and told apart at a glance.
"""

from __future__ import annotations

import colorsys
import math

from PIL import Image, ImageChops, ImageDraw

from flowrun.media.chance import Chance

Colour = tuple[int, int, int]
_GOLDEN = 0.381966  # a turn of the hue that meets no earlier one soon
_LAYERS = 4
_STEPS = 96  # corners of a hill's outline


def paint(width: int, height: int, base: Chance, variation: int) -> Image.Image:
    """An RGB image of exactly `width` x `height` pixels. `base` is the prompt's; `variation` tells takes apart."""
    chance = base.within(f"variation {variation}")
    hue = (base.unit("hue") + variation * _GOLDEN * 0.3) % 1.0
    image = _sky(width, height, hue, chance)
    _sun(image, hue, chance)
    for layer in range(_LAYERS):
        _hills(image, layer, hue, chance.within(f"hills {layer}"))
    return image


def colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, max(0.0, min(saturation, 1.0)), max(0.0, min(value, 1.0)))
    return round(red * 255), round(green * 255), round(blue * 255)


def _between(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _sky(width: int, height: int, hue: float, chance: Chance) -> Image.Image:
    """A gradient from a deep colour above to a bright, warmer one at the horizon, a little aslant."""
    warm = hue + chance.between("warmth", 0.08, 0.2)
    stops = [colour(hue, 0.72, 0.42), colour(hue + 0.03, 0.5, 0.72), colour(warm, 0.38, 0.96), colour(warm, 0.3, 1.0)]
    tilt = 1 if chance.unit("tilt") < 0.5 else 0
    small = Image.new("RGB", (2, 4))
    for row, stop in enumerate(stops):
        near = stops[min(row + 1, 3)]
        small.putpixel((tilt, row), stop)
        small.putpixel((1 - tilt, row), _between(stop, near, 0.25))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def _sun(image: Image.Image, hue: float, chance: Chance) -> None:
    width, height = image.size
    radius = max(2, round(min(width, height) * chance.between("sun size", 0.09, 0.17)))
    x = round(width * chance.between("sun x", 0.22, 0.78))
    y = round(height * chance.between("sun y", 0.22, 0.42))
    glow = radius * 4
    _blend(image, _disc(glow, soft=True), (x - glow, y - glow), colour(hue + 0.15, 0.2, 1.0), 0.55)
    _blend(image, _disc(radius, soft=False), (x - radius, y - radius), colour(hue + 0.13, 0.12, 1.0), 0.95)


def _disc(radius: int, *, soft: bool) -> Image.Image:
    """A mask of a disc, 2 radius wide: `soft` fades from the middle out, else its edge is smooth and sharp."""
    if soft:
        fade = ImageChops.invert(Image.radial_gradient("L").resize((2 * radius, 2 * radius)))
        return fade.point([max(0, (each - 75)) * 255 // 180 for each in range(256)])
    large = Image.new("L", (radius * 4, radius * 4))
    ImageDraw.Draw(large).ellipse((1, 1, radius * 4 - 2, radius * 4 - 2), fill=255)
    return large.reduce(2)


def _blend(image: Image.Image, mask: Image.Image, at: tuple[int, int], paint_with: Colour, strength: float) -> None:
    image.paste(
        paint_with,
        (*at, at[0] + mask.width, at[1] + mask.height),
        mask.point([round(each * strength) for each in range(256)]),
    )


def _hills(image: Image.Image, layer: int, hue: float, chance: Chance) -> None:
    """One range of hills, darker and more saturated the nearer it is; drawn twice as large for smooth edges."""
    width, height = image.size
    near = (layer + 1) / _LAYERS
    top = height * (0.42 + 0.13 * layer)
    outline = _outline(2 * width, 2 * top, height * chance.between("swing", 0.08, 0.15), chance)
    large = Image.new("L", (2 * width, 2 * height))
    ImageDraw.Draw(large).polygon([*outline, (2 * width, 2 * height), (0, 2 * height)], fill=255)
    shade = colour(hue + 0.1 * (1 - near) - 0.02, 0.28 + 0.42 * near, 0.86 - 0.62 * near)
    image.paste(shade, (0, 0), large.reduce(2))


def _outline(width: float, top: float, swing: float, chance: Chance) -> list[tuple[float, float]]:
    waves = [
        (chance.between(f"turns {each}", 0.7, 1.6) * (each + 1), chance.unit(f"phase {each}")) for each in range(3)
    ]
    points = []
    for step in range(_STEPS + 1):
        across = step / _STEPS
        rise = sum(
            math.sin(math.tau * (turns * across + phase)) / (each + 1) ** 1.4
            for each, (turns, phase) in enumerate(waves)
        )
        points.append((across * width, top + swing * rise))
    return points
