"""What the live view looks like, as text. Run: ``python -m benchmarks.live_view [FOLDER]``.

Whole productions of 3, 40 and 200 nodes run in virtual time against the sandbox, with moderation, a failure and a full
account among them. Their frames, one every few seconds, are drawn at 80 x 24 and 160 x 45 and written to a file each; without
a folder some of each are printed. Below them stands what a frame costs. For people to look at; tests hold the rules.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from flowrun.engine.events import Event
from flowrun.ui.board import Board
from flowrun.ui.frame import frame
from flowrun.ui.outlook import Outlook, remaining
from flowrun.ui.paint import palette
from tests.support.stage import Stage

SIZES = ((80, 24), (160, 45))
FRAMES = 400
SMALL = """
    flowrun: 1
    name: small
    nodes:
      hero: {uses: text_to_image, with: {model: gen4_image, promptText: "a red fox", ratio: "1280:720"}}
      shot:
        foreach: {intro: runs, end: sleeps}
        uses: image_to_video
        with:
          model: gen4_turbo
          promptImage: "{{ nodes.hero.output }}"
          promptText: "{{ each.value }}"
          ratio: "1280:720"
          duration: 5
"""
WIDE = """
    flowrun: 1
    name: a-fox-in-the-snow
    limits: {credits: 100000}
    nodes:
      hero:
        foreach: {fox: a red fox, owl: "an owl in the dark", hare: "a hare [moderated]"}
        uses: text_to_image
        with: {model: gen4_image, promptText: "{{ each.value }}", ratio: "1280:720"}
      still:
        foreach: STILLS
        uses: text_to_image
        with:
          model: gen4_image
          promptText: "still {{ each.key }}"
          ratio: "1280:720"
          referenceImages: [{uri: "{{ nodes.hero['fox'].output }}", tag: fox}]
      shot:
        foreach: SHOTS
        uses: image_to_video
        with:
          model: gen4_turbo
          promptImage: "{{ nodes.still[each.key].output }}"
          promptText: "number {{ each.key }} in a landscape of snow"
          ratio: "1280:720"
          duration: 5
      hare_alone:
        uses: image_to_video
        with: {model: gen4_turbo, promptImage: "{{ nodes.hero['hare'].output }}", ratio: "1280:720", duration: 5}
      line:
        foreach: LINES
        uses: text_to_speech
        with:
          model: eleven_multilingual_v2
          promptText: "Line number {{ each.key }}"
          voice: {type: runway-preset, presetId: Maya}
      whoosh: {uses: sound_effect, with: {model: eleven_text_to_sound_v2, promptText: "snow", duration: 3}}
"""
FAULTS = """
faults:
  - {on: image_to_video, match: {nth: 3}, do: {fail: INTERNAL}}
  - {on: image_to_video, match: {nth: 5}, do: {fail: ASSET.INVALID, message: "The asset could not be decoded at all."}}
"""


def manifest(stills: int, shots: int, lines: int) -> str:
    return WIDE.replace("STILLS", str(stills)).replace("SHOTS", str(shots)).replace("LINES", str(lines))


RUNS = {3: SMALL, 40: manifest(16, 16, 3), 200: manifest(95, 90, 10)}


def events_of(text: str, folder: Path) -> list[Event]:
    """Everything that happens in one apply."""
    stage = Stage(folder, text, scenario=FAULTS)
    stage.apply()
    return stage.events


def frames(events: Sequence[Event], width: int, height: int, every: float) -> Iterator[tuple[float, list[str]]]:
    """Seconds since the start and what stands there, `every` so many seconds, and at the end."""
    board, outlook, paint = Board(), Outlook(), palette(False)
    start = due = events[0].at
    for event in events:
        while event.at > due:
            yield due - start, frame(board, due, width, height, paint, outlook.look(board, due))
            due += every
        board.take_in(event)
    yield events[-1].at - start, frame(board, events[-1].at, width, height, paint)


def shown(at: float, lines: Sequence[str], width: int) -> str:
    edge = "+" + "-" * width + "+"
    return "\n".join([f"{at:.0f} s", edge, *(f"|{line:{width}}|" for line in lines), edge, ""])


def price(events: Sequence[Event]) -> str:
    """Milliseconds of one frame and of one estimate, in the middle of the run."""
    board = Board()
    for event in events[: len(events) // 2]:
        board.take_in(event)
    before = time.perf_counter()
    for _ in range(20):
        frame(board, events[0].at, 80, 24, palette(True))
    drawn = (time.perf_counter() - before) / 20
    before = time.perf_counter()
    remaining(board, events[0].at).seconds()
    return f"{len(board.nodes)} nodes: a frame {drawn * 1e3:.1f} ms, an estimate {1e3 * (time.perf_counter() - before):.1f} ms"


def main(folder: str | None = None) -> None:
    costs = []
    for nodes, text in RUNS.items():
        with tempfile.TemporaryDirectory() as work:
            events = events_of(text, Path(work))
        costs.append(price(events))
        whole = events[-1].at - events[0].at
        for width, height in SIZES:
            found = list(frames(events, width, height, max(1.0, whole / FRAMES)))
            few = found if folder else found[:: max(1, len(found) // 5)][:5] + found[-1:]
            drawn = "\n".join(shown(at, lines, width) for at, lines in few)
            if folder:
                (Path(folder) / f"{nodes}-{width}.txt").write_text(drawn, encoding="utf-8")
            else:
                print(drawn)
    print("\n".join(costs))


if __name__ == "__main__":
    main(*sys.argv[1:])
