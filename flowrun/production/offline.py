"""What `--offline` allows. Owns the two checks: of the options, and of a plan before it is carried out."""

from __future__ import annotations

from flowrun.plan.whole import Plan
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.options import Options
from flowrun.secret import without_query

_SHOWN = 3


def check_options(options: Options) -> None:
    """Raises FlowrunError."""
    if options.offline and options.refresh:
        message = "--offline asks nothing over the network, and --refresh fetches https inputs again"
        raise FlowrunError(Exit.WRONG, message, "leave one of them away")


def check_plan(plan: Plan, options: Options, *, is_local: bool) -> None:
    """Before anything runs. `is_local`: the sandbox of this process is asked, which needs no network. Raises FlowrunError."""
    if not options.offline:
        return
    unread = [url for step in plan.steps.values() for url in step.unread]
    if unread:
        inputs = "1 https input was" if len(unread) == 1 else f"{len(unread)} https inputs were"
        raise _refusal(f"{inputs} never fetched ({_listed([without_query(url) for url in unread])})")
    if plan.needs_provider and not is_local:
        asking = [str(step.address) for step in plan.steps.values() if step.takes and not step.takes[0].result]
        raise _refusal(f"this would have to ask {plan.provider}" + (f" (for {_listed(asking)})" if asking else ""))


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _refusal(why: str) -> FlowrunError:
    hint = "apply without --offline, or with --sandbox to try it in this process"
    return FlowrunError(Exit.SURROUNDINGS, f"--offline: {why}; nothing was submitted", hint)
