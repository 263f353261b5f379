"""What the schema cannot say: one table, `RULES`. Owns these rules; the schema's own are `check`'s.

Beside the table stand two more of the kind that live where they act: lengths are counted in UTF-16 code units
(`strict.by_code_units`), and retired models are warned of (`retired_problem`), whose list is data.
Sources: the texts of the API's description of 2024-11-06, by endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowrun.diagnostics.model import Severity
from flowrun.operations.check import FactsOf, value_at
from flowrun.operations.model import UNKNOWN, Path, Problem, Retired, dotted
from flowrun.operations.near import by_nearness

Rule = Callable[[Any, FactsOf], Iterator[Problem]]
ANY_MODEL = "*"
ALTERNATIVES = 4  # other models that a retired one names; the reference has them all


@dataclass(frozen=True, slots=True)
class Window:
    """How long the media at `path` may be, in seconds. `inclusive`: the ends themselves are allowed."""

    path: Path
    low: float
    high: float
    inclusive: bool

    def holds(self, seconds: float) -> bool:
        return self.low <= seconds <= self.high if self.inclusive else self.low < seconds < self.high

    def __str__(self) -> str:
        ends = "from {} to {}" if self.inclusive else "more than {} and less than {}"
        return ends.format(f"{self.low:g}", f"{self.high:g}") + " seconds"


WINDOWS: Mapping[tuple[str, str], Window] = {
    ("character_performance", "act_two"): Window(("reference", "uri"), 3, 30, inclusive=True),
    ("voice_isolation", "eleven_voice_isolation"): Window(("audioUri",), 4.6, 3600, inclusive=False),
}


def _entries(request: Any, name: str) -> list[Any]:
    value = value_at(request, (name,))
    return list(value) if isinstance(value, list | tuple) else []


def _repeated(entries: Sequence[Any], field: str) -> Iterator[tuple[int, int, str]]:
    """Where a text in `field` stands again: position, the first one's position, the text."""
    first: dict[str, int] = {}
    for index, entry in enumerate(entries):
        text = value_at(entry, (field,))
        if isinstance(text, str) and first.setdefault(text, index) != index:
            yield index, first[text], text


def unique_tags(request: Any, _facts: FactsOf) -> Iterator[Problem]:
    """A tag names one reference image: ``@tag`` in the prompt could not tell two apart."""
    for index, earlier, tag in _repeated(_entries(request, "referenceImages"), "tag"):
        message = f"the tag `{tag[:16]}` of `referenceImages[{index}]` is taken by `referenceImages[{earlier}]`"
        path, before = ("referenceImages", index, "tag"), ("referenceImages", earlier, "tag")
        yield Problem(path, "duplicate-tag", message, "give each reference image a tag of its own", earlier=before)


def unique_positions(request: Any, _facts: FactsOf) -> Iterator[Problem]:
    """A video has one first and one last frame."""
    for index, earlier, position in _repeated(_entries(request, "promptImage"), "position"):
        message = f"`promptImage[{index}]` is the `{position[:16]}` frame, and so is `promptImage[{earlier}]`"
        path, before = ("promptImage", index, "position"), ("promptImage", earlier, "position")
        yield Problem(path, "duplicate-position", message, "keep one image for each position", earlier=before)


def never_only_last(request: Any, _facts: FactsOf) -> Iterator[Problem]:
    """A last frame needs a first one."""
    positions = [value_at(entry, ("position",)) for entry in _entries(request, "promptImage")]
    if positions and all(position == "last" for position in positions):
        message = "`promptImage` has a `last` frame only, and this model does not generate from that alone"
        yield Problem(("promptImage",), "only-last-frame", message, "add an image with `position: first`")


def one_reference(request: Any, _facts: FactsOf) -> Iterator[Problem]:
    """The schema lets the list grow; the API takes one."""
    count = len(_entries(request, "references"))
    if count > 1:
        message = f"`references` has {count} entries; the API takes one at most"
        yield Problem(
            ("references", 1), "too-many-references", message, f"take {count - 1} away", earlier=("references", 0)
        )


def within(window: Window) -> Rule:
    """The rule that media must be as long as `window` says, as soon as its length is known."""

    def rule(request: Any, facts: FactsOf) -> Iterator[Problem]:
        known = facts(window.path) if value_at(request, window.path) is not UNKNOWN else None
        if known is not None and known.duration is not None and not window.holds(known.duration):
            message = f"`{dotted(window.path)}` is {known.duration:g} seconds long; it must be {window}"
            hint = "cut it shorter" if known.duration >= window.high else "take a longer one"
            yield Problem(window.path, "duration-window", message, hint)

    return rule


LIVE_CODES = frozenset(
    {"retired-model", "live-refuses"}
)  # warnings that are errors where a request would go to the live API

RULES: tuple[tuple[str, str, Rule], ...] = (
    # operation, model (or any), rule
    ("text_to_image", ANY_MODEL, unique_tags),
    ("image_to_video", ANY_MODEL, unique_positions),
    ("image_to_video", "veo3.1", never_only_last),
    ("image_to_video", "veo3.1_fast", never_only_last),
    ("video_to_video", "gen4_aleph", one_reference),
    *((operation, model, within(window)) for (operation, model), window in WINDOWS.items()),
)


def rules_for(operation: str, model: str) -> tuple[Rule, ...]:
    return tuple(
        rule for an_operation, a_model, rule in RULES if an_operation == operation and a_model in (model, ANY_MODEL)
    )


def retired_problem(model: str, retired: Retired, alternatives: Sequence[str]) -> Problem:
    """A warning: the live API refuses this model. An emulator of the description's day still has it."""
    since = f" since {retired.since.isoformat()}" if retired.since else ""
    successor = f"its successor is {retired.successor}" if retired.successor else "it has no successor"
    others = f"; of this operation, {_few(by_nearness(model, alternatives))} can be used" if alternatives else ""
    message = f"{model} is retired: the live API refuses it{since}"
    return Problem(("model",), "retired-model", message, f"{successor}{others}", Severity.WARNING)


def live_refusal(problem: Problem) -> Problem:
    """What only an overlay refuses: the description of the API allows it, and so does an emulator of that day."""
    message = f"the live API refuses this today: {problem.message}"
    return Problem(
        problem.path, "live-refuses", message, problem.hint, Severity.WARNING, problem.missing, problem.earlier
    )


def _few(names: Sequence[str]) -> str:
    named, more = names[:ALTERNATIVES], len(names) - ALTERNATIVES
    return f"{', '.join(named)} and {more} more" if more > 0 else ", ".join(named)
