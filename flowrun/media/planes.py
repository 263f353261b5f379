"""A picture as the three planes a video encoder takes, and the cheap moves on them. Owns the pixel arithmetic of films.

A frame is made by resizing three grey images instead of one coloured one, which skips a conversion a frame: that, and
the encoder's fastest preset, is what lets 720p films be made in a fraction of their running time. Colours are BT.709,
limited range, 4:2:0.
"""

from __future__ import annotations

from dataclasses import dataclass

from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

BLACK, WHITE, GREY = 16, 235, 128  # of limited range: luma's ends, chroma's middle


@dataclass(frozen=True, slots=True)
class Planes:
    """Luma at full size and two chroma planes at half, as grey images."""

    luma: Image.Image
    blue: Image.Image
    red: Image.Image

    @classmethod
    def of(cls, image: Image.Image) -> Planes:
        """From an RGB image of even width and height."""
        frame = _coloured(image).reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        grey = [
            Image.frombytes("L", (plane.width, plane.height), bytes(plane), "raw", "L", plane.line_size)
            for plane in frame.planes
        ]
        return cls(*grey)

    def parts(self) -> tuple[Image.Image, Image.Image, Image.Image]:
        return self.luma, self.blue, self.red

    def zoomed(self, zoom: float, x: float, y: float) -> Planes:
        """The part 1/zoom as large, scaled up; `x` and `y` in -1..1 lean it to a side. A zoom of 1 is the whole."""
        return Planes(*(_zoomed(plane, zoom, x, y) for plane in self.parts()))

    def mixed(self, other: Planes, share: float) -> Planes:
        """A dissolve: `share` 0 is this, 1 the other."""
        pairs = zip(self.parts(), other.parts(), strict=True)
        return Planes(*(Image.blend(one, two, share) for one, two in pairs))

    def cover(self, luma: int | Image.Image, mask: Image.Image, at: tuple[int, int]) -> None:
        """Lay something colourless over this in place, through `mask`; `at` and the mask's size are even."""
        x, y = at
        self.luma.paste(luma, (x, y, x + mask.width, y + mask.height), mask)
        half = mask.reduce(2)
        for plane in (self.blue, self.red):
            plane.paste(GREY, (x // 2, y // 2, x // 2 + half.width, y // 2 + half.height), half)

    def frame(self) -> VideoFrame:
        """A new frame with these pixels; an encoder wants its lines padded."""
        made = VideoFrame(self.luma.width, self.luma.height, "yuv420p")
        for plane, image in zip(made.planes, self.parts(), strict=True):
            plane.update(_padded(image, plane.line_size, plane.buffer_size))
        return made


def _coloured(image: Image.Image) -> VideoFrame:
    frame = VideoFrame(image.width, image.height, "rgb24")
    plane = frame.planes[0]
    wide = image.crop((0, 0, -(-plane.line_size // 3), image.height)).tobytes()
    stride = len(wide) // image.height
    lines = (wide[row * stride : row * stride + plane.line_size] for row in range(image.height))
    plane.update(b"".join(lines).ljust(plane.buffer_size, b"\0"))
    return frame


def image_of(frame: VideoFrame) -> Image.Image:
    """The RGB image of a decoded frame, turned upright by its display matrix."""
    plain = frame.reformat(format="rgb24")
    plane = plain.planes[0]
    image = Image.frombytes("RGB", (plain.width, plain.height), bytes(plane), "raw", "RGB", plane.line_size)
    return image.rotate(frame.rotation, expand=True)


def _zoomed(plane: Image.Image, zoom: float, x: float, y: float) -> Image.Image:
    if zoom == 1:
        return plane.copy()
    width, height = plane.size
    wide, high = width / zoom, height / zoom
    left, top = (width - wide) * (1 + x) / 2, (height - high) * (1 + y) / 2
    return plane.resize(plane.size, Image.Resampling.BILINEAR, (left, top, left + wide, top + high))


def _padded(image: Image.Image, line_size: int, size: int) -> bytes:
    if line_size != image.width:
        wide = Image.new("L", (line_size, image.height), GREY)
        wide.paste(image)
        image = wide
    return image.tobytes().ljust(size, b"\x80")
