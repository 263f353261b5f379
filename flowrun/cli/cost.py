"""`flowrun cost`: what was spent. Owns its flags and its JSON; the sums are the production's, the words the UI's."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowrun.cli import completing
from flowrun.cli.flags import options_of, output_of, provided, shown
from flowrun.cli.output import Form

if TYPE_CHECKING:
    from flowrun.production.costs import Amount, CostRow, Costs, Unanswered
    from flowrun.ui.cost_text import Line, Spending, Sum

_BY = ("node", "tag", "model", "day")
_DATE = click.DateTime(formats=["%Y-%m-%d"])


def _parts(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """``--by model,day`` and ``--by model --by day`` are one."""
    found = [part.strip() for value in values for part in value.split(",")]
    for part in found:
        if part not in _BY:
            raise click.BadParameter(f"'{part}' is none of {', '.join(_BY)}.")
    return tuple(dict.fromkeys(found)) or ("day", "model")


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path), shell_complete=completing.manifests)
@click.option(
    "--by",
    multiple=True,
    callback=_parts,
    metavar="WHAT",
    help="Add up by node, tag, model, day; several with commas, or repeated. [day,model]",
)
@click.option("--since", type=_DATE, metavar="DATE", help="First UTC day, as 2026-11-22. [30 days]")
@click.option("--until", type=_DATE, metavar="DATE", help="Last UTC day, included. [today]")
@click.option("--offline", is_flag=True, help="Ask nothing over the network: the ledger alone.")
@provided
@shown
def cost(file: Path | None, by: tuple[str, ...], since: datetime | None, until: datetime | None, **flags: Any) -> None:
    """What was spent: by a manifest, or by all of the account. By model and day it is held against what the API says."""
    output = output_of(flags)
    from flowrun.production.costs import By, costs
    from flowrun.production.options import Surroundings
    from flowrun.ui.cost_text import cost_markdown, cost_text

    first, last = (None if each is None else each.date() for each in (since, until))
    found = costs(file, [By(each) for each in by], first, last, options_of(flags), Surroundings())
    if output.json:
        output.document(_document(found))
    elif output.form is Form.MARKDOWN:
        output.page(cost_markdown(_spending(found)))
    else:
        output.data(cost_text(_spending(found), colour=output.data_colour, width=output.width))
        output.page(cost_markdown(_spending(found)))
    if found.not_compared is not None and found.not_compared.startswith("it could not be asked"):
        output.talk(f"warning: the API's numbers are missing: {found.not_compared}")


def _spending(found: Costs) -> Spending:
    from flowrun.ui.cost_text import Spending

    return Spending(
        found.provider,
        found.period.since,
        found.period.until,
        tuple(each.value for each in found.by),
        [_line(row) for row in found.rows],
        _line(found.total),
        (found.uncertain.requests, _sum(found.uncertain.at_most)),
        (found.given_up.requests, _sum(found.given_up.at_most)),
        len(found.ledgers),
        found.not_compared,
    )


def _line(row: CostRow) -> Line:
    from flowrun.ui.cost_text import Line

    counts = (row.sent, row.made, row.failed, row.refunded, row.open)
    return Line(row.names, counts, _sum(row.estimated), _sum(row.charged), row.told, row.difference)


def _sum(amount: Amount) -> Sum:
    from flowrun.ui.cost_text import Sum

    return Sum(amount.credits, amount.unknown, amount.assumed)


# -- for programs


def _document(found: Costs) -> dict[str, Any]:
    names = [each.value for each in found.by]
    rows = [dict(zip(names, row.names, strict=True)) | _row(row) for row in found.rows]
    return {
        "provider": found.provider,
        "file": None if found.file is None else str(found.file),
        "since": str(found.period.since),
        "until": str(found.period.until),
        "by": names,
        "ledgers": list(found.ledgers),
        "rows": rows,
        "total": _row(found.total),
        "uncertain": _unanswered(found.uncertain),
        "given_up": _unanswered(found.given_up),
        "compared": found.not_compared is None,
        "not_compared": found.not_compared,
    }


def _row(row: CostRow) -> dict[str, Any]:
    counts = {name: getattr(row, name) for name in ("sent", "made", "failed", "refunded", "open")}
    charged = {**_amount(row.charged), "assumed": row.charged.assumed, "dollars": _dollars(row.charged)}
    sums = {"estimated": _amount(row.estimated), "charged": charged}
    return {**counts, **sums, "api": row.told, "difference": row.difference}


def _amount(amount: Amount) -> dict[str, Any]:
    """What is not known at all is null, never 0."""
    known = None if amount.unknown and not amount.credits else amount.credits
    return {"credits": known, "unknown": amount.unknown}


def _dollars(amount: Amount) -> float | None:
    return None if amount.unknown else round(amount.credits / 100, 2)


def _unanswered(found: Unanswered) -> dict[str, Any]:
    return {"requests": found.requests, **_amount(found.at_most)}
