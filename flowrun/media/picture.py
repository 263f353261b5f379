"""Made stills: a scene that shows its prompt, what made it, and the references it was given.

Owns the sandbox's pictures: equal specs give equal bytes, a spec that differs in anything gives others. Nothing is
generated from the prompt's meaning; the text is there to be read.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from typing import Literal

from PIL import Image, ImageDraw, ImageOps
from PIL.PngImagePlugin import PngInfo

from flowrun.media import lettering, still
from flowrun.media.chance import Chance
from flowrun.media.errors import NotMediaError
from flowrun.media.scene import paint
from flowrun.media.types import sniff

PictureFormat = Literal["png", "jpeg", "webp"]
TINY_WIDTH = 64  # pixels
_WHITE, _PALE, _SHADE = (255, 255, 255, 255), (255, 255, 255, 190), (12, 14, 22, 150)


@dataclass(frozen=True, slots=True)
class Reference:
    """An image to show as a thumbnail, with its tag; bytes that are no image show as an empty frame."""

    image: bytes
    tag: str = ""


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """What a picture shows. Pixels of the result; `variation` counts the takes of one recipe from 0.

    `tiny`: 64 pixels wide at the same ratio, without text or thumbnails, for simulations of thousands.
    """

    width: int
    height: int
    prompt: str = ""
    operation: str = ""
    model: str = ""
    seed: int | None = None
    variation: int = 0
    references: tuple[Reference, ...] = ()
    format: PictureFormat = "png"
    tiny: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for a size that is no size."""
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a picture of {self.width} x {self.height} pixels")


def draw_picture(spec: PictureSpec) -> bytes:
    """The encoded picture."""
    digests = tuple((each.tag, hashlib.sha256(each.image).digest()) for each in spec.references)
    mark = Chance.of(replace(spec, references=()), digests).hex()
    return _encoded(compose(spec), spec.format, mark)


def compose(spec: PictureSpec) -> Image.Image:
    """The picture before encoding: RGB."""
    width, height = tiny_size(spec.width, spec.height) if spec.tiny else (spec.width, spec.height)
    base = Chance.of(spec.prompt, spec.operation, spec.model, spec.seed)
    image = paint(width, height, base, spec.variation)
    if not spec.tiny:
        _letter(image, spec)
        _show_references(image, spec.references)
    return image


def tiny_size(width: int, height: int) -> tuple[int, int]:
    """64 pixels wide at about the same ratio, even in both."""
    return TINY_WIDTH, max(2, round(TINY_WIDTH * height / width / 2) * 2)


def footer(operation: str, model: str, seed: int | None, variation: int) -> str:
    """What made it, in a line: ``text_to_image · gen4_image · seed 7 · #2``; the number from the second take on."""
    said = [operation, model, "" if seed is None else f"seed {seed}", f"#{variation + 1}" if variation else ""]
    return "  ·  ".join(each for each in said if each)


def _letter(image: Image.Image, spec: PictureSpec) -> None:
    """The prompt and the footer on a dark card at the bottom left."""
    width, height = image.size
    size, margin = text_size(width, height), max(2, min(width, height) // 28)
    room = max(8, width - 4 * margin)
    prompt = lettering.fitted(spec.prompt, min(room, round(size * 34)), size, max(1, height // (size * 4)))
    made_by = footer(spec.operation, spec.model, spec.seed, spec.variation)
    foot = lettering.fitted(made_by, room, max(8, round(size * 0.62)), 1)
    if not prompt.lines and not foot.lines:
        return
    gap = margin // 2 if prompt.lines and foot.lines else 0
    wide, high = max(prompt.width, foot.width) + 2 * margin, prompt.height + gap + foot.height + 2 * margin
    left, top = margin, height - margin - high
    draw = ImageDraw.Draw(image, "RGBA")
    draw.rounded_rectangle((left, top, left + wide, top + high), radius=margin // 2, fill=_SHADE)
    prompt.draw(draw, (left + margin, top + margin), _WHITE)
    foot.draw(draw, (left + margin, top + margin + prompt.height + gap), _PALE)


def text_size(width: int, height: int) -> int:
    """Font pixels that read well on a picture of this size."""
    return max(9, round(min(width, height * 1.4) / 30))


def _show_references(image: Image.Image, references: tuple[Reference, ...]) -> None:
    """Thumbnails with their tags, from the top right corner to the left."""
    width, height = image.size
    side, margin = max(8, min(width, height) // 5), max(2, min(width, height) // 28)
    draw = ImageDraw.Draw(image, "RGBA")
    for number, reference in enumerate(references):
        left = width - (number + 1) * (side + margin)
        draw.rounded_rectangle((left - 3, margin - 3, left + side + 2, margin + side + 2), radius=4, fill=_WHITE)
        image.paste(_thumbnail(reference.image, side), (left, margin))
        tag = lettering.fitted(f"@{reference.tag}" if reference.tag else "", side, max(8, side // 8), 1)
        if tag.lines:
            draw.rectangle((left, margin + side - tag.height - 4, left + side - 1, margin + side - 1), fill=_SHADE)
            tag.draw(draw, (left + 4, margin + side - tag.height - 2), _WHITE)


def _thumbnail(data: bytes, side: int) -> Image.Image:
    try:
        return fitted(data, side, side)
    except NotMediaError:
        return Image.new("RGB", (side, side), (90, 92, 100))


def fitted(data: bytes, width: int, height: int) -> Image.Image:
    """An encoded image cropped from its centre to exactly `width` x `height`, RGB, upright. Raises NotMediaError."""
    media_type = sniff(data[:16]) or ""
    if not media_type.startswith("image/"):
        raise NotMediaError("it is no image")
    image = still.decoded(io.BytesIO(data), media_type)
    fit = ImageOps.fit(_flattened(image), (width, height), Image.Resampling.BICUBIC)
    return fit if fit.mode == "RGB" else fit.convert("RGB")


def _flattened(image: Image.Image) -> Image.Image:
    """Without transparency: on white, as most viewers show it."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    ground = Image.new("RGB", image.size, (255, 255, 255))
    clear = image.convert("RGBA")
    ground.paste(clear, mask=clear.getchannel("A"))
    return ground


def _encoded(image: Image.Image, kind: PictureFormat, mark: str) -> bytes:
    """Encode with a mark of the spec inside, so that pictures of different specs never share their bytes."""
    buffer = io.BytesIO()
    if kind == "png":
        info = PngInfo()
        info.add_text("Comment", f"flowrun sandbox {mark}")
        image.save(buffer, "PNG", compress_level=3, pnginfo=info)
    elif kind == "jpeg":
        image.save(buffer, "JPEG", quality=88, comment=f"flowrun sandbox {mark}")
    else:
        xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><!-- flowrun sandbox {mark} --></x:xmpmeta>'
        image.save(buffer, "WEBP", quality=85, method=1, xmp=xmp.encode())
    return buffer.getvalue()
