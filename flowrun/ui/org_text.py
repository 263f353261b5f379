"""What the organization allows: balance, limits and use by model, as text and as Markdown. Owns these columns and words."""

from __future__ import annotations

from collections.abc import Mapping

from flowrun.diagnostics.escaping import markdown
from flowrun.diagnostics.visible import width as columns_of
from flowrun.runway.values import ModelLimits, Organization
from flowrun.ui.markdown import Part, cells_table, page
from flowrun.ui.numbers import credits, number, priced
from flowrun.ui.paint import palette, safe
from flowrun.ui.tables import Cell, cut_middle, table

_NUMBERS = 44  # columns that a row takes beside the model's name and the remark
_WIDE = 10**6  # columns: nothing is cut


def org_text(
    told: Organization,
    remarks: Mapping[str, str],
    *,
    provider: str = "runway",
    colour: bool = False,
    width: int = 80,
) -> str:
    """The balance, and by model: generations at once, used in the last 24 hours, of how many, and how many are left.
    `remarks`: the models in their order, each with a word or none."""
    lines = _head(told, provider)
    if remarks:
        room = width - _NUMBERS - max(map(columns_of, remarks.values())) - 2
        lines += ["", *table(_cells(told, remarks, max(12, room)), palette(colour))]
    return "\n".join(lines)


def org_markdown(told: Organization, remarks: Mapping[str, str], *, provider: str = "runway") -> str:
    """The balance, and a row a model."""
    parts: list[Part] = [markdown(line) for line in _head(told, provider)]
    if remarks:
        parts.append(cells_table(_cells(told, remarks, _WIDE), (0,), what="model"))
    return page(parts, more="`flowrun org` shows all.")


def _head(told: Organization, provider: str) -> list[str]:
    title = "the sandbox's play money" if provider == "sandbox" else safe(provider)
    monthly = [] if told.monthly is None else [f"At most {credits(told.monthly)} may be spent in a month."]
    return [f"Balance on {title}: {priced(told.balance)}", *monthly]


def _cells(told: Organization, remarks: Mapping[str, str], room: int) -> list[list[Cell]]:
    """The table of models with its heads; a name takes `room` columns at most. Remarks have a column where there are any."""
    names = ["model", "at once", "last 24 h", "a day", "left"]
    head = [Cell(name, "bold", right=at > 0) for at, name in enumerate(names)]
    rows = [_row(each, told.models.get(each), told.used_today.get(each, 0), room) for each in remarks]
    if not any(remarks.values()):
        return [head, *rows]
    noted = [[*row, Cell(safe(remark), "quiet")] for row, remark in zip(rows, remarks.values(), strict=True)]
    return [[*head, Cell("")], *noted]


def _row(model: str, limits: ModelLimits | None, used: int, room: int) -> list[Cell]:
    name = Cell(cut_middle(safe(model), room))
    if limits is None:
        texts = ["unknown", number(used), "unknown", "unknown"]
        return [name, *(Cell(text, right=True) for text in texts)]
    left = limits.left(used)
    texts = [_limit(limits.concurrent), number(used), _limit(limits.daily)]
    last = Cell(_limit(left), "bad" if left == 0 else "", right=True)
    return [name, *(Cell(text, right=True) for text in texts), last]


def _limit(value: int | None) -> str:
    return "no limit" if value is None else number(value)
