"""Commands about the account: `org`, `status`, and `adopt` and `forget` for what nobody knows the end of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowrun.cli.flags import FILE, NODE, carried, options_of, output_of, provided, shown, valued
from flowrun.cli.output import Form, Output

if TYPE_CHECKING:
    from flowrun.production.account import Account, Standing
    from flowrun.production.in_flight import InFlight
    from flowrun.runway.values import Organization


@click.command()
@provided
@shown
def org(**flags: Any) -> None:
    """Tier limits, generations of the day and the balance."""
    output = output_of(flags)
    from flowrun.production.account import account
    from flowrun.production.options import Surroundings
    from flowrun.ui.org_text import org_markdown, org_text

    found = account(options_of(flags), Surroundings())
    if output.json:
        output.document(_org_document(found))
        return
    told = found.organization
    remarks = {model: _remark(standing) for model, standing in found.models.items()}
    if output.form is Form.MARKDOWN:
        output.page(org_markdown(told, remarks, provider=found.provider))
    else:
        colour, width = output.data_colour, output.width
        output.data(org_text(told, remarks, provider=found.provider, colour=colour, width=width))


def _org_document(found: Account) -> dict[str, Any]:
    told = found.organization
    models = {name: _model_document(told, name, standing) for name, standing in found.models.items()}
    balance = {"balance": told.balance, "dollars": told.balance / 100, "monthly": told.monthly}
    return {"provider": found.provider, **balance, "models": models}


def _model_document(told: Organization, name: str, standing: Standing | None) -> dict[str, Any]:
    """Limits are null where there is none, and left out where the API does not tell them."""
    limits, used = told.models.get(name), told.used_today.get(name, 0)
    known = (
        {} if limits is None else {"concurrent": limits.concurrent, "daily": limits.daily, "left": limits.left(used)}
    )
    retired = None if standing is None else standing.retired
    fate = None if retired is None else {"since": retired.since and str(retired.since), "successor": retired.successor}
    return {**known, "used_today": used, "in_catalogue": standing is not None, "retired": fate}


def _remark(standing: Standing | None) -> str:
    if standing is None:
        return "not in the catalogue"
    retired = standing.retired
    if retired is None:
        return ""
    return f"retired, use {retired.successor}" if retired.successor else "retired"


@click.command()
@provided
@shown
def status(**flags: Any) -> None:
    """What is in flight at the API, and which submissions nobody knows the end of."""
    output, options = output_of(flags), options_of(flags)
    from flowrun.production.in_flight import in_flight
    from flowrun.production.options import Surroundings
    from flowrun.ui.runs_markdown import status_markdown
    from flowrun.ui.runs_text import status_text

    own, *former = in_flight(options, Surroundings())
    if output.json:
        output.document(_status_document((own, *former)))
        return
    told = [(None, own)] if own.tasks or own.uncertain or not former else []
    for account, each in [*told, *((each.account, each) for each in former)]:
        if output.form is Form.MARKDOWN:
            output.page(status_markdown(each.tasks, each.uncertain, account, carried(options)))
        else:
            told_how: dict[str, Any] = {"flags": carried(options), "colour": output.data_colour, "width": output.width}
            output.data(status_text(each.tasks, each.uncertain, account=account, **told_how))


def _status_document(found: Sequence[InFlight]) -> dict[str, Any]:
    """Each with the account whose ledger has it."""
    from dataclasses import asdict

    return {
        "open": [{**asdict(row), "account": each.account} for each in found for row in each.tasks],
        "uncertain": [{**asdict(row), "account": each.account} for each in found for row in each.uncertain],
    }


REQUEST = click.option(
    "--request", type=int, metavar="N", help="Of several, the request of this number, as the refusal lists them."
)


@click.command()
@FILE
@NODE
@REQUEST
@valued
@provided
@shown
def forget(file: Path, node: str, request: int | None, **flags: Any) -> None:
    """Settle an uncertain submission of NODE: nothing came of it. The next apply sends it anew."""
    output = output_of(flags)
    from flowrun.production.options import Surroundings
    from flowrun.production.settling import forget_uncertain

    count = forget_uncertain(file, node, options_of(flags), Surroundings(), request)
    if output.json:
        output.document({"exit": 0, "forgotten": count})
    _settled(
        f"{count} uncertain submission{'s' if count != 1 else ''} of {node} forgotten; apply sends it anew", output
    )


@click.command()
@FILE
@NODE
@click.option("--task", required=True, metavar="ID", help="The task that answers it, as the API names it.")
@REQUEST
@valued
@provided
@shown
def adopt(file: Path, node: str, task: str, request: int | None, **flags: Any) -> None:
    """Settle an uncertain submission of NODE: this task is its answer. The next apply collects it."""
    output = output_of(flags)
    from flowrun.production.options import Surroundings
    from flowrun.production.settling import adopt_task

    address = adopt_task(file, node, task, options_of(flags), Surroundings(), request)
    if output.json:
        output.document({"exit": 0, "adopted": address, "task": task})
    _settled(f"task {task} is the answer of {address}; apply collects it", output)


def _settled(text: str, output: Output) -> None:
    from flowrun.diagnostics.escaping import markdown

    if output.form is Form.MARKDOWN:
        output.page(markdown(text))
    output.chat(text)
