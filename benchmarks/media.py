"""What making and probing media costs, in CPU time of the whole process. Run: ``python -m benchmarks.media``.

The bounds are promises the sandbox is built on: a 720p film of five seconds under two, ten seconds of sound under 0.3,
tiny media for simulations in milliseconds. Numbers, not tests: machines differ.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from flowrun.media.film import FilmSpec, make_film
from flowrun.media.picture import PictureSpec, draw_picture
from flowrun.media.probe import probe, probe_bytes
from flowrun.media.sound import SoundKind, SoundSpec, make_sound

PROMPT = "a red fox with a green scarf walks through the autumn forest"
STILL = draw_picture(PictureSpec(1920, 1080, PROMPT))
TINY_STILL = draw_picture(PictureSpec(1280, 720, PROMPT, tiny=True))
FILM = FilmSpec(1280, 720, 5, PROMPT, "image_to_video", "gen4_turbo", 7, first=STILL)
SPEECH = SoundSpec(SoundKind.SPEECH, 10, PROMPT, "Maya")

CASES: list[tuple[str, float, Callable[[], object]]] = [
    ("picture 1920x1080 png", 0.5, lambda: draw_picture(PictureSpec(1920, 1080, PROMPT))),
    ("picture 1280x720 jpeg", 0.5, lambda: draw_picture(PictureSpec(1280, 720, PROMPT, format="jpeg"))),
    ("picture tiny", 0.005, lambda: draw_picture(PictureSpec(1280, 720, PROMPT, tiny=True))),
    ("film 1280x720 5 s", 2.0, lambda: make_film(FILM)),
    ("film 1280x720 5 s, last image, sound", 2.0, lambda: make_film(_film(last=STILL, audio=True))),
    ("film 1920x1080 8 s, sound", 6.0, lambda: make_film(_film(width=1920, height=1080, duration=8, audio=True))),
    ("film tiny 5 s", 0.03, lambda: make_film(_film(first=None, tiny=True))),
    ("film tiny 10 s, tiny first image", 0.03, lambda: make_film(_film(first=TINY_STILL, duration=10, tiny=True))),
    ("speech 10 s mp3", 0.3, lambda: make_sound(SPEECH)),
    ("speech 10 s wav", 0.3, lambda: make_sound(SoundSpec(SoundKind.SPEECH, 10, PROMPT, "Maya", format="wav"))),
    ("effect 10 s mp3", 0.3, lambda: make_sound(SoundSpec(SoundKind.EFFECT, 10, PROMPT))),
    ("speech tiny 10 s", 0.05, lambda: make_sound(SoundSpec(SoundKind.SPEECH, 10, PROMPT, tiny=True))),
]


def _film(**changes: object) -> FilmSpec:
    plain = {name: getattr(FILM, name) for name in FilmSpec.__slots__}
    return FilmSpec(**{**plain, **changes})


def measured(make: Callable[[], object]) -> float:
    """CPU seconds of the best of three."""
    best = float("inf")
    for _ in range(3):
        before = time.process_time()
        make()
        best = min(best, time.process_time() - before)
    return best


def show(name: str, seconds: float, bound: float) -> None:
    print(f"{name:42} {seconds * 1000:9.1f} ms   bound {bound * 1000:7.0f} ms{'' if seconds < bound else '   OVER'}")


def main() -> None:
    for name, bound, make in CASES:
        show(name, measured(make), bound)
    film, picture = make_film(FILM), STILL
    show("probe film 1280x720 5 s", measured(lambda: probe_bytes(film)), 0.05)
    show("probe picture 1920x1080", measured(lambda: probe_bytes(picture)), 0.1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.mp4")
        path.write_bytes(film)
        with path.open("r+b") as stream:  # two sparse gigabytes in a box behind the film
            end = stream.seek(0, 2)
            stream.write((1).to_bytes(4, "big") + b"free" + (2 << 30).to_bytes(8, "big"))
            stream.truncate(end + (2 << 30))
        show("probe film of 2 GiB", measured(lambda: probe(path)), 0.1)


if __name__ == "__main__":
    main()
