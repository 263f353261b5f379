"""`flowrun apply`. Owns the confirmation and the signals; everything else is the production's and ui's."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from flowrun.cli.flags import FILE, carried, options_of, output_of, planned, repeated, shown
from flowrun.cli.output import Form, Output, can_ask
from flowrun.cli.signals import asked, hand_signals

if TYPE_CHECKING:
    from flowrun.engine.events import Event
    from flowrun.production.applying import Applied
    from flowrun.production.options import Options
    from flowrun.production.production import Production
    from flowrun.production.proposing import Proposal
    from flowrun.ui.lines import Lines
    from flowrun.ui.live import Live


@click.command()
@FILE
@planned
@click.option("--yes", "-y", is_flag=True, help="Spend without asking.")
@click.option("--accept-gaps", is_flag=True, help="Submit although a rebuilt ledger does not know all that was sent.")
@click.option("--fail-fast", is_flag=True, help="Start nothing new after the first failure.")
@click.option(
    "--on-quota", type=click.Choice(["wait", "stop"]), help="When a model's day is used up. [wait on a terminal]"
)
@click.option("--cancel-on-interrupt", is_flag=True, help="Interrupted, cancel at the API what this run has there.")
@click.option("--overwrite", is_flag=True, help="Replace exported files that were changed by hand.")
@click.option("--prune", is_flag=True, help="Remove exported files that nothing exports any more.")
@click.option("--verbose", "-v", is_flag=True, help="List unchanged nodes in the plan too.")
@click.option("--events", metavar="-|PATH", help="Every event as NDJSON, as it happens.")
@shown
def apply(file: Path, yes: bool, on_quota: str | None, verbose: bool, events: str | None, **flags: Any) -> None:
    """Plan, confirm where it matters, generate what is missing, export the outputs.

    FILE is a manifest, or a plan that `plan --save` wrote: that is carried out exactly, or refused if anything moved.

    Interrupt once: nothing new starts, tasks in flight stay at the API and on record, and the next apply takes them up.
    With --cancel-on-interrupt they are cancelled, and what has finished is collected. Interrupt twice: it stops at once.
    """
    output = output_of(flags)
    if output.form is not Form.TEXT and events == "-":
        flag = "--json" if output.json else f"--format {output.form}"
        raise click.UsageError(f"{flag} and '--events -' both want stdout; write the events to a file.")
    wait = can_ask() if on_quota is None else on_quota == "wait"
    options = options_of({**flags, "yes": yes, "wait_for_quota": wait})
    from flowrun.cli.pages import tell_applied
    from flowrun.cli.saved import tell_done
    from flowrun.production.exits import Exit
    from flowrun.production.kept import open_production
    from flowrun.production.options import Surroundings

    production = open_production(file, options, Surroundings(command=Output.words))
    file, options = production.path, production.options
    asker, watch = _Asker(file, options, output, yes, verbose), _Stopwatch()
    with _event_sink(events) as sink, _view(output, events) as view:

        def emit(event: Event) -> None:
            watch.take_in(event)
            view.take_in(event)
            if sink is not None:
                sink.write(event)

        applied = production.apply(confirm=asker.confirm, emit=emit, interruptible=hand_signals, accept=asker.accept)
    if sink is not None and sink.trouble is not None:
        applied = replace(
            applied, exits=(*applied.exits, Exit.SURROUNDINGS), warnings=[*applied.warnings, sink.trouble]
        )
    tell_done(production, output)
    _tell(production, applied, asker.agreed, watch.seconds, output)
    tell_applied(production, applied, asker.agreed, file, watch.seconds, output)
    _tell_beside(applied, output, verbose=verbose)
    raise SystemExit(int(applied.exit))


class _Asker:
    """One question, on a terminal, where real credits would be spent."""

    def __init__(self, file: Path, options: Options, output: Output, yes: bool, verbose: bool = False) -> None:
        self._file, self._options, self._output, self._yes, self._verbose = file, options, output, yes, verbose
        self.agreed: Proposal | None = None

    def accept(self, words: list[str]) -> bool:
        """Tell what a rebuilt ledger does not know; whether to submit all the same, if a person is there to say so."""
        if not can_ask():
            return False
        for each in words:
            self._output.talk(f"warning: {each}")
        return asked("Submit all the same, and forget about that?")

    def confirm(self, proposal: Proposal) -> bool:
        """Show the plan; whether it may be carried out."""
        from flowrun.cli.plan import plan_words, warn

        self.agreed = proposal
        if proposal.banner:
            self._output.chat(proposal.banner)
        warn(proposal, self._output)
        is_free = not proposal.spends or self._yes or (proposal.caps.bind and not can_ask())
        show = self._output.chat if is_free else self._output.talk  # nobody is asked about a plan they have not seen
        if proposal.plan.needs_provider or not proposal.plan.is_done:
            show(plan_words(proposal, self._file, self._options, self._output, verbose=self._verbose))
        if is_free:
            return True
        if can_ask():
            return asked("Spend these credits?")
        self._output.talk("there is no terminal to ask on: real credits need --yes or --max-credits N")
        return False


class _Stopwatch:
    """Seconds of the run itself, without the time that a person took to agree or a command to be told of its end."""

    def __init__(self) -> None:
        self._from = self._to = time.monotonic()

    def take_in(self, event: Event) -> None:
        self._to = time.monotonic()
        if event.type == "run-started":
            self._from = self._to

    @property
    def seconds(self) -> float:
        return self._to - self._from


def _view(output: Output, events: str | None) -> AbstractContextManager[Live | Lines]:
    """What shows the run: live where lines can be drawn again and nothing else is written between them, else as lines."""
    from flowrun.ui.lines import Lines
    from flowrun.ui.live import Live, can_live

    is_shared = events == "-" and sys.stdout.isatty()
    if not output.quiet and not is_shared and can_live(sys.stderr, os.environ):
        return Live(sys.stderr, output.colour, time.time)
    width = output.width if sys.stderr.isatty() else None
    return contextlib.nullcontext(Lines(output.talk, output.colour, output.quiet, width))


@contextlib.contextmanager
def _event_sink(where: str | None) -> Iterator[_Sink | None]:
    if where is None:
        yield None
    elif where == "-":
        yield _Sink(sys.stdout)
    else:
        with Path(where).open("w", encoding="utf-8") as stream:
            yield _Sink(stream)


class _Sink:
    """Where events go as NDJSON. A reader that goes away, or a disk that is full, ends the stream, not the run. `trouble`: what
    ended it, where that is to be told."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self.trouble: str | None = None

    def write(self, event: Event) -> None:
        """One line, as long as the stream takes it."""
        from flowrun.engine.events import to_json

        if self._stream is None:
            return
        try:
            self._stream.write(json.dumps(to_json(event), ensure_ascii=False) + "\n")
            self._stream.flush()
        except OSError as error:
            name = self._stream.name
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())  # so that the last flush has a place
            self._stream = None
            if not isinstance(error, BrokenPipeError):
                self.trouble = f"--events: {error.strerror} ({name}); what came after is not in it"


def _tell(production: Production, applied: Applied, proposal: Proposal | None, elapsed: float, output: Output) -> None:
    from flowrun.ui.summary_text import summary_text

    if output.json:
        codes = [int(code) for code in applied.exits]
        beside = {"log": None if applied.log is None else str(applied.log), "warnings": applied.warnings}
        first = {"run": applied.run, "exit": int(applied.exit), "exits": codes}
        output.document({**first, **applied.summary.to_json(), **beside})
    text = summary_text(
        applied.summary,
        file=str(production.path),
        exit_code=int(applied.exit),
        elapsed=elapsed,
        colour=output.colour,
        width=output.width,
        cap=proposal.cap if proposal else None,
        provider=proposal.provider if proposal else "runway",
        flags=carried(production.options),
        again=repeated(production),
        written=proposal.caps.written if proposal else None,
    )
    (output.talk if applied.exit else output.chat)(text)


def _tell_beside(applied: Applied, output: Output, *, verbose: bool) -> None:
    """What went wrong beside the run, and where its log lies, where that may help."""
    from flowrun.cli.failing import short

    for warning in applied.warnings:
        output.talk(f"warning: {warning}")
    if applied.log is not None and (applied.exit or verbose):
        (output.talk if verbose else output.chat)(f"Log: {short(applied.log)}")
