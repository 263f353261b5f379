"""A run with what is told of it: its log from the first line to the last, and the command that is told of its end. Owns what
stands in the log beside events and requests; carrying out is `applying`'s."""

from __future__ import annotations

import asyncio
import platform
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flowrun import log
from flowrun.diagnostics.model import DiagnosticError
from flowrun.production.applying import Applied, Apply
from flowrun.production.binding import Bound
from flowrun.production.exits import Exit, FlowrunError, first
from flowrun.production.masking import Masker
from flowrun.production.notify import Command, Facts, Notified, notify
from flowrun.production.provider import KEY
from flowrun.production.run_log import RunLog
from flowrun.production.saving import this_version

if TYPE_CHECKING:
    from flowrun.manifest import Flow


def secrets_of(at: Bound, flow: Flow) -> list[str]:
    """The values that no text of a run may show: the key, and what the manifest's `env:` names."""
    around, key = at.around.environ, at.choice.key
    own = [key.reveal()] if key is not None and not at.choice.is_local else []
    return [value for value in (*own, *(around.get(name, "") for name in (KEY, *flow.env))) if value]


def open_log(at: Bound, flow: Flow) -> RunLog:
    """Opened before anything is asked of the API, so that it hears that too."""
    return RunLog(at.project, at.around.clock.now, secrets_of(at, flow))


async def carried_out(run: Apply, told: RunLog, command: Command | None) -> Applied:
    """`run`, carried out; and then `command` is told, once, whatever came of it. Raises as `Apply.carry_out`."""
    told.begin(run.run)
    _tell_surroundings(run)
    _tell_plan(run)
    try:
        applied = await run.carry_out()
    except (Exception, asyncio.CancelledError) as error:
        _tell_error(told, error)
        await _notified(run, first(run.exits), told, command)
        raise
    applied.log = told.path
    log.say("run", "done", exit=applied.exit.value, exits=[each.value for each in applied.exits])
    applied.warnings += await _notified(run, applied.exit, told, command)
    applied.warnings += [told.trouble] if told.trouble else []
    return applied


def _tell_surroundings(run: Apply) -> None:
    bound, flow = run.bound, run.graph.flow
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    log.say("run", "flowrun", version=this_version(), python=platform.python_version(), platform=system)
    log.say("run", "command", line=shlex.join(bound.around.command) if bound.around.command else "(from Python)")
    host = urlsplit(bound.choice.base_url or "").hostname or "in this process"
    log.say("run", "provider", name=bound.choice.name, host=host, account=bound.account, project=bound.project_name)
    log.say("run", "folder", path=bound.project)
    log.say("run", "manifest", name=flow.name, profile=flow.profile or None, file=run.manifest, run=run.run)
    for warning in run.plan.warnings:
        log.say("run", "warning", level=log.WARNING, code=warning.code, message=warning.message, at=warning.span)


def _tell_plan(run: Apply) -> None:
    steps, cost = run.plan.steps, run.plan.cost
    counts = Counter(step.decision.value for step in steps.values())
    balance = run.view.organization.balance if run.view else None
    spent: dict[str, Any] = {
        "credits": f"{cost.low}..{cost.high}",
        "unknown": cost.unknown,
        "cap": run.caps.run,
        "day_cap": run.caps.day,
    }
    log.say("run", "plan", instances=len(steps), **counts, **spent, balance=balance)


def _tell_error(told: RunLog, error: BaseException) -> None:
    """With a traceback, unless it was foreseen and says all there is to say."""
    if isinstance(error, FlowrunError | DiagnosticError | asyncio.CancelledError):
        log.say("run", "error", level=log.ERROR, kind=type(error).__name__, message=str(error))
    else:
        told.traceback(error)


async def _notified(run: Apply, code: Exit, told: RunLog, command: Command | None) -> list[str]:
    """Tell the command of the run's end; what of that a person should hear, masked."""
    bound, flow = run.bound, run.graph.flow
    if not command:
        return []
    environ, facts, before = bound.around.environ, _facts(run, code, told.path), run.interrupts
    done = await bound.around.offload(
        lambda: notify(command, facts, environ, flow.env, unwanted=lambda: run.interrupts > before)
    )
    level = log.WARNING if done.trouble else log.INFO
    log.say("run", "notify", level=level, outcome=done.trouble or "done")
    told.text(done.output)
    return _words(done, Masker(secrets_of(bound, flow)))


def _words(done: Notified, masked: Masker) -> list[str]:
    if done.trouble is None:
        return []
    said = masked(done.output).strip()
    return [masked(f"the notify command {done.trouble}; the run's outcome stands") + (f":\n{said}" if said else "")]


def _facts(run: Apply, code: Exit, log_file: Path | None) -> Facts:
    bound, flow, summary = run.bound, run.graph.flow, run.summary
    names = {"run": run.run, "exit": code.value, "exits": [each.value for each in dict.fromkeys(run.exits)]}
    place = {"flow": flow.name, "profile": flow.profile, "provider": bound.choice.name, "manifest": run.manifest}
    where = {"project": str(bound.project), "log": None if log_file is None else str(log_file)}
    where["project_name"] = bound.project_name
    return Facts(
        run=run.run,
        exit=code.value,
        flow=flow.name,
        profile=flow.profile,
        provider=bound.choice.name,
        project=bound.project,
        submitted=summary.submitted,
        credits=summary.credits,
        summary=_in_a_line(run, code),
        log=log_file,
        document={**names, **place, **where, **summary.to_json()},
    )


def _in_a_line(run: Apply, code: Exit) -> str:
    """``fox-trailer: 3 succeeded, 1 failed; 55 credits; exit 1``."""
    counts = ", ".join(f"{count} {state}" for state, count in run.summary.counts().items()) or "no nodes"
    return f"{run.graph.flow.name}: {counts}; {run.summary.credits} credits; exit {code.value}"
