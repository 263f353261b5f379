"""Writes the reference pages of the docs: `python tools/make_docs.py [--check]`. With --check a stale page is exit 1.

Every page is a function of the code and the catalogue's data alone. What no object says of itself stands in `doc_words`.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import doc_words as words

from flowrun.cli.main import cli
from flowrun.diagnostics.codes import registry
from flowrun.engine.events import EVENTS
from flowrun.engine.scheduler import RESEND_CEILING, RESENDS, RETRY_GROWTH
from flowrun.engine.states import FINAL, TRANSITIONS, NodeState
from flowrun.operations.catalogue import PRICES_FILE, Operation, catalogue, described, shipped
from flowrun.operations.data import DEFAULT_OVERLAYS, document
from flowrun.operations.model import InputSpec
from flowrun.operations.spec import ModelSpec
from flowrun.plan.model import Decision, Reason
from flowrun.production.exits import Exit, first
from flowrun.runway import pace
from flowrun.runway.errors import Lost
from flowrun.runway.policy import AFTERWARDS, FAILURES, LOST, SUBMISSIONS, UNKNOWN_CODE, Charged, FailureRule, RetryKind
from flowrun.runway.taxonomy import ROWS, STATUSES, Phase, kind_of_status
from flowrun.template import limits
from flowrun.template.library import FILTERS, FUNCTIONS
from flowrun.template.predicates import TESTS

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
NOTE = "<!-- Written by tools/make_docs.py. Do not edit. -->"
KINDS = {"string": "text", "array": "list", "object": "mapping", "boolean": "true or false"}
CREDITS = {Charged.YES: "spent", Charged.NO: "none", Charged.UNKNOWN: "not known, counted as spent"}


class WordsError(ValueError):
    """Something has no words in `doc_words`, or the words have nothing they speak of."""


# -- markdown


def page(title: str, *parts: str) -> str:
    return "\n\n".join((NOTE, f"# {title}", *parts)) + "\n"


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def code(*names: object) -> str:
    return ", ".join(f"`{name}`" for name in names)


def spoken(names: Iterable[object], known: Mapping[Any, Any], what: str) -> None:
    """Raises WordsError unless each name has words and each word a name."""
    if odd := set(names) ^ set(known):
        raise WordsError(f"{what}: names and words differ in {', '.join(sorted(map(str, odd)))}")


# -- the command line


def cli_page() -> str:
    intro = (
        "`flowrun COMMAND [OPTIONS] ...`, also as `python -m flowrun`. Data goes to stdout, talk to stderr. What the program "
        "ends with is in [exit codes](exit-codes.md)."
    )
    ctx = click.Context(cli, info_name="flowrun")
    commands = [(name, cli.get_command(ctx, name)) for name in cli.list_commands(ctx)]
    overview = table(
        ("command", "does"), ((f"[`{name}`](#flowrun-{name})", first_line(each)) for name, each in commands if each)
    )
    return page("The command line", intro, overview, *(command(name, each) for name, each in commands if each))


def first_line(found: click.Command) -> str:
    return (found.help or "").split("\n\n")[0]


def command(name: str, found: click.Command) -> str:
    """One command: its usage, its help, its options."""
    above = click.Context(cli, info_name="flowrun", **cli.context_settings)
    ctx = click.Context(found, info_name=name, parent=above)
    usage = " ".join((f"flowrun {name}", *found.collect_usage_pieces(ctx)))
    text = "\n\n".join(" ".join(part.split()) for part in (found.help or "").split("\n\n"))
    records = (each.get_help_record(ctx) for each in found.get_params(ctx) if isinstance(each, click.Option))
    options = table(("option", ""), ((f"`{record[0]}`", record[1]) for record in records if record))
    return f"## flowrun {name}\n\n```\n{usage}\n```\n\n{text}\n\n{options}"


# -- diagnostics


def diagnostics_page() -> str:
    intro = (
        "A mistake is shown as `file:line:column`, a code, what is wrong and what to do. Everything that can be found is found "
        "before anything is spent, all of it at once. These are the codes."
    )
    return page("Diagnostics", intro, *(f"## {each.name}\n\n{each.explanation}" for each in registry().values()))


# -- decisions


def decisions_page() -> str:
    spoken((each.value for each in Decision), words.DECISIONS, "decisions")
    spoken((each.value for each in Reason), words.REASONS, "reasons")
    spoken((each.value for each in NodeState), words.STATES, "states")
    spoken((each.type for each in EVENTS), words.EVENTS, "events")
    states = ((code(each.value), "yes" if each in FINAL else "", words.STATES[each.value]) for each in NodeState)
    return page(
        "Decisions, reasons, states, events",
        "## Decisions\n\nWhat a plan says of a node.",
        table(("decision", "means"), ((code(each.value), words.DECISIONS[each.value]) for each in Decision)),
        "## Reasons\n\nWhy.",
        table(("reason", "means"), ((code(each.value), words.REASONS[each.value]) for each in Reason)),
        "## Node states\n\nWhat one take of one node goes through in a run. There are no other moves than these.",
        diagram(),
        table(("state", "final", "means"), states),
        "## Events\n\nOne line of JSON each, with `--events PATH` (`-`: stdout). `at` is in seconds since 1970. `address` is a "
        "node's (`shot[intro]`), `unit` one take of it (`shot[intro]#1`).",
        table(("type", "fields", "means"), map(_event, EVENTS)),
    )


def diagram() -> str:
    """A mermaid state diagram of TRANSITIONS; moves that lead the same way share an arrow."""
    lines = ["stateDiagram-v2", f"  [*] --> {NodeState.BLOCKED.value}"]
    for state, moves in TRANSITIONS.items():
        for target in dict.fromkeys(moves.values()):
            names = ", ".join(move.value for move, to in moves.items() if to is target)
            lines.append(f"  {state.value} --> {target.value}: {names}")
    lines += [f"  {state.value} --> [*]" for state in NodeState if state in FINAL]
    return "\n".join(("```mermaid", *lines, "```"))


def _event(kind: Any) -> tuple[str, str, str]:
    fields = (each.name for each in dataclasses.fields(kind) if each.name != "at")
    return code(kind.type), code(*fields), words.EVENTS[kind.type]


# -- failures


def failures_page() -> str:
    return page(
        "Failures and what follows from them",
        "## A task that failed\n\nThe API's `failureCode` is matched by its leading parts; the longest match counts. `retry:` "
        "in a node replaces the number of further attempts, where there is one to replace. A refusal is remembered and not sent "
        "again without `--retry-rejected`.",
        table(
            ("code begins with", "further attempts", "refused for good", "credits", "what happened", "what to change"),
            (_failure(each) for each in (*FAILURES.values(), UNKNOWN_CODE)),
        ),
        f"The wait before a further attempt doubles each time, up to {RETRY_GROWTH} times the first.",
        "## A request that was certainly not accepted\n\nNothing was charged and no task exists.",
        table(
            ("kind", "follows", "what happened", "what to change"),
            ((code(kind.value), rule.follows.value, rule.what, rule.change) for kind, rule in SUBMISSIONS.items()),
        ),
        "## A request of which nobody knows\n\nIt is never sent again unasked. `flowrun adopt FILE NODE --task ID`, `flowrun "
        "apply FILE --resend NODE` and `flowrun forget FILE NODE` settle it.",
        table(("kind", "what happened"), ((code(kind.value), rule.what) for kind, rule in LOST.items())),
        "## A task that was accepted, and its files",
        table(
            ("code", "follows", "credits", "what happened", "what to change"),
            (
                (code(kind.value), rule.follows.value, CREDITS[rule.charged], rule.what, rule.change)
                for kind, rule in AFTERWARDS.items()
            ),
        ),
        "## What an HTTP answer to such a request means\n\nAn answer to a request for a generation. An error that speaks of "
        "credits counts as `no-credits`, whatever 4xx it is; a 400 that speaks of fetching an input as `input-not-fetched`.",
        table(("status", "taken as"), map(_status, STATUSES)),
        "## Everything that can happen, in order\n\nEach row is provoked by a test, which counts what was sent and keeps the "
        "words that a person gets.",
        *(_phase(phase) for phase in Phase),
        "## Waiting times\n\nIn seconds. What the API asks for by `Retry-After` is respected where it is longer.",
        table(("for", "seconds"), _waits()),
    )


def _failure(rule: FailureRule) -> tuple[str, ...]:
    retry = rule.retry
    often = "none" if retry.kind is RetryKind.NEVER else f"{retry.attempts}, the first after {retry.delay:g} s"
    refused = ("yes, the recipe" if rule.input_refused else "yes") if rule.rejected else ""
    credits = "refunded" if rule.charged is Charged.NO else CREDITS[rule.charged]
    return code(rule.prefix) if rule.prefix else "anything else", often, refused, credits, rule.what, rule.change


def _status(status: int) -> tuple[str, str]:
    kind = kind_of_status(status)
    return str(status), f"uncertain: {code(kind.value)}" if isinstance(kind, Lost) else code(kind.value)


def _phase(phase: Phase) -> str:
    rows = ((row.happens, row.follows.value, CREDITS[row.charged]) for row in ROWS if row.phase is phase)
    return f"### {phase.value.capitalize()}\n\n{table(('what happens', 'follows', 'credits'), rows)}"


def _waits() -> Iterator[tuple[str, str]]:
    times = pace.Timeouts()
    yield "a connection", f"{times.connect:g}"
    yield "the answer to a generation request", f"{times.create:g}"
    yield "any other answer", f"{times.read:g}"
    yield (
        "the next look at a task",
        f"{pace.MIN_POLL:g} to {pace.MIN_POLL + pace.POLL_SPREAD:g}; a sandbox may name less",
    )
    yield "the next look after a failed one", f"from about 6 to about {pace.SLOWEST_POLL:g}, as long as it takes"
    yield (
        "sending again what was certainly not accepted",
        (
            f"from {pace.OVERLOAD_FIRST:g}, doubling up to {RESEND_CEILING:g}; {RESENDS} times, then the run stops (exit 7)"
        ),
    )
    yield "a model after `quota`", f"{pace.QUOTA_FIRST:g} and up to half of it more"


# -- exit codes


def exits_page() -> str:
    spoken((each.value for each in Exit), words.EXITS, "exit codes")
    return page(
        "Exit codes",
        table(("code", "means", "what to do"), ((each.value, *words.EXITS[each.value]) for each in Exit)),
        f"Where several apply to one run, the first of these is told: {code(*_told())}. `--json` lists them all under `exits`.",
    )


def _told() -> list[int]:
    left = set(Exit) - {Exit.DONE, Exit.CHANGES}
    order = []
    while left:
        order.append(first(left))
        left.remove(order[-1])
    return [each.value for each in order]


# -- models


def models_page() -> str:
    found, prices = catalogue(), document(PRICES_FILE)
    dollars = prices["dollars_per_credit"]
    sources = table(("source", ""), ((code(name), text) for name, text in prices["sources"].items()))
    return page(
        "Operations and models",
        f"What `uses` may name, and what stands in `with`. API version {found.api_version}. A credit is ${dollars:g}. Prices are "
        "estimates from the sources named; the API's own word counts, where it gives one. A model whose price is not known runs "
        "under a cap with `--allow-unknown-price` only. The seconds are a first guess, replaced by what was learned. Characters "
        "are counted as the API counts them, in UTF-16 code units.",
        f"Models come from the API's description, or from {code(*DEFAULT_OVERLAYS)}, which tells what has changed since. "
        "[The catalogue](../guides/catalogue.md) says how to add, change and retire models without code; [coverage](coverage.md) "
        "shows every input of every model in use.",
        table(("operation", "makes", "models"), map(_operation_row, found.operations.values())),
        *map(operation, found.operations.values()),
        "## Sources of prices",
        sources,
    )


def _operation_row(found: Operation) -> tuple[str, str, str]:
    models = (f"`{name}`{' (retired)' if spec.retired else ''}" for name, spec in found.models.items())
    return f"[`{found.name}`](#{found.name})", found.produces.value, ", ".join(models)


def operation(found: Operation) -> str:
    """Its models in a table, then their inputs: once for all models that have the same."""
    alike: dict[str, list[ModelSpec]] = {}
    for spec in found.models.values():
        alike.setdefault(_inputs(spec), []).append(spec)
    overview = table(("model", "known from", "price", "takes about"), map(_model_row, found.models.values()))
    models = (
        f"### {', '.join(each.model for each in specs)} ({found.name})\n\n{text}" for text, specs in alike.items()
    )
    return "\n\n".join((f"## {found.name}\n\nMakes {found.produces.value}.", overview, *models))


def _model_row(spec: ModelSpec) -> tuple[str, str, str, str]:
    seconds = catalogue().typical_seconds(spec.operation, spec.model)
    retired = f". {_retired(spec)}" if spec.retired else ""
    return code(spec.model), f"{_origin(spec)}{retired}", price_words(spec.price), f"{seconds:g} s"


def _origin(spec: ModelSpec) -> str:
    named = [name for name in DEFAULT_OVERLAYS if spec.model in _models_of(shipped(name), spec.operation)]
    if described().find(spec.operation, spec.model) is None:
        return code(*named)
    return f"the description, changed by {code(*named)}" if spec.described else "the description"


def _models_of(overlay: Mapping[str, Any], operation: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = overlay["operations"].get(operation, {}).get("models", {})
    return found


def _inputs(spec: ModelSpec) -> str:
    media = (f"`{each}` ({each.kind.value})" for each in spec.slot_patterns)
    lines = [f"Media: {', '.join(dict.fromkeys(media))}"] if spec.slot_patterns else []
    inputs = (_input(each) for each in spec.inputs.values() if each.name != "model")
    return "\n\n".join([*lines, table(("input", "required", "takes", "default"), inputs)])


def _retired(spec: ModelSpec) -> str:
    since = f" since {spec.retired.since}" if spec.retired and spec.retired.since else ""
    successor = f"; its successor is `{spec.retired.successor}`" if spec.retired and spec.retired.successor else ""
    return f"**Retired**: the live API refuses it{since}, the sandbox still has it{successor}"


def _input(found: InputSpec) -> tuple[str, str, str, str]:
    default = "" if found.default is None else code(_plain(found.default))
    return code(found.name), "yes" if found.required else "", _takes(found), default


def _takes(found: InputSpec) -> str:
    if found.enum:
        return code(*map(_plain, found.enum))
    kinds = sorted(found.types, reverse=True) or ["anything"]
    bounded = next((kind for kind in ("array", "string", "integer", "number") if kind in found.types), None)
    words = [f"{KINDS.get(kind, kind)}{_bounds(found, kind) if kind == bounded else ''}" for kind in kinds]
    media = f" ({' or '.join(sorted(each.value for each in found.media))})" if found.media else ""
    return " or ".join(words) + media


def _bounds(found: InputSpec, kind: str) -> str:
    low, high = (_number(each) for each in (found.minimum, found.maximum))
    unit = {"array": " entries", "string": " characters"}.get(kind, "")
    if low is None and high is None:
        return ""
    if low == high:
        return f" of {low}{unit.replace('entries', 'entry') if low == 1 else unit}"
    if low is None or high is None:
        return f", from {low}{unit}" if high is None else f", up to {high}{unit}"
    return f", {low} to {high}{unit}"


def _number(value: float | None) -> float | None:
    return int(value) if value is not None and value == int(value) else value


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def price_words(entry: Mapping[str, Any] | None) -> str:
    """One price with its source and date."""
    if entry is None:
        return "not known"
    of = entry.get("input") or entry.get("text") or ".".join(entry.get("media", ()))
    unit = entry["unit"]
    every = f"for each {entry['every']} {unit}s" if "every" in entry else f"{'an' if unit == 'image' else 'a'} {unit}"
    cases = (
        f"{case['credits']} where `{case['input']}` is {code(*map(_plain, case['in']))}"
        for case in entry.get("when", ())
    )
    parts = [f"{_credits(entry['credits'])} {every}{f' of `{of}`' if of else ''}", *cases]
    parts += [f"at least {entry['at_least']}"] if "at_least" in entry else []
    parts += [entry["note"]] if "note" in entry else []
    return f"{'; '.join(parts)}. Seen {entry['as_of']} ({code(*entry['source'])}), confidence {entry['confidence']}."


def _credits(count: int) -> str:
    return f"{count} credit{'' if count == 1 else 's'}"


# -- templates


def templates_page() -> str:
    intro = "What there is in templates. What it means for a manifest is in [templates](../concepts/templates.md)."
    bounds = (
        ("characters of a text that is made, and of a template", limits.MAX_TEXT),
        ("entries of a list or mapping that is made", limits.MAX_ITEMS),
        ("bits of a whole number", limits.MAX_BITS),
        ("parts of a template", limits.MAX_TOKENS),
        ("levels of nesting of an expression or of blocks", limits.MAX_DEPTH),
        ("open brackets", limits.MAX_BRACKETS),
        ("macros that call each other", limits.MAX_CALLS),
        ("units of work of one evaluation", limits.MAX_WORK),
    )
    return page(
        "Filters, tests, functions, bounds",
        intro,
        f"## Filters\n\n{code(*sorted(FILTERS))}.",
        f"## Tests\n\n{code(*sorted(TESTS))}.",
        f"## Functions\n\n{code(*sorted(FUNCTIONS))}.",
        "## Bounds\n\nBeyond these a template is the diagnostic [`template-too-large`](diagnostics.md#template-too-large).",
        table(("at most", ""), ((f"{number:,}", what) for what, number in bounds)),
    )


# -- writing


PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "decisions.md": decisions_page,
    "diagnostics.md": diagnostics_page,
    "exit-codes.md": exits_page,
    "failures.md": failures_page,
    "models.md": models_page,
    "templates.md": templates_page,
}


def stale(folder: Path = FOLDER) -> dict[str, str]:
    """Names and texts of the pages that are not as they should be."""
    made = {name: make() for name, make in PAGES.items()}
    return {name: text for name, text in made.items() if _read(folder / name) != text}


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """Write or check every page; the exit code."""
    found = stale(folder)
    if "--check" in arguments:
        if found:
            print(f"stale: {', '.join(f'docs/reference/{name}' for name in found)}; run python tools/make_docs.py")
        return 1 if found else 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in found.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    print(f"{len(PAGES)} pages, {len(found)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
