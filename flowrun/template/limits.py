"""How much one evaluation may do. Owns the numbers and the counting, so that no template can take long or grow large.

The counting is deterministic (it sees sizes, never the clock): a template is too large on every machine or on none.
One unit of work is about two microseconds, so that a refusal comes well within a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sized

from flowrun.template.errors import RefusalError

MAX_TEXT = 1_000_000  # code points of any text that is made, and of a template
MAX_ITEMS = 100_000  # entries of any list that is made, and of a range
MAX_WORK = 300_000  # units one evaluation may use
MAX_BITS = 4096  # of an integer
MAX_CALLS = 12  # macros calling macros
MAX_DEPTH = 80  # nesting of an expression or of blocks
MAX_TOKENS = 20_000  # of a template
MAX_BRACKETS = 24  # open at once; the parser recurses about a dozen frames for each
CODE = "template-too-large"


class Budget:
    """The work one evaluation has left."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_WORK

    def charge(self, units: int) -> None:
        """Raises RefusalError when the work is used up."""
        self.left -= units
        if self.left < 0:
            raise RefusalError(
                CODE, "evaluating this takes too much work", "make the template smaller, or its lists shorter"
            )

    def weigh(self, value: object, visit: Callable[[object], None] | None = None) -> None:
        """Charge for all that hangs below `value`, counted as a tree: shared parts count as often as they are met.

        `visit` is called with each part and may refuse it.
        """
        pending = [value]
        while pending:
            item = pending.pop()
            self.charge(1)
            if visit is not None:
                visit(item)
            if isinstance(item, str):
                self.charge(len(item) >> 6)
            elif isinstance(item, Mapping):
                check_items(item)
                pending += item.values()
                pending += item.keys()
            elif isinstance(item, list | tuple):
                check_items(item)
                pending += item


def check_items(value: Sized) -> None:
    """Raises RefusalError for more than MAX_ITEMS entries."""
    try:
        size = len(value)
    except OverflowError:  # a range longer than any length
        size = MAX_ITEMS + 1
    if size > MAX_ITEMS:
        raise RefusalError(CODE, f"a list or mapping made in a template has at most {MAX_ITEMS:,} entries")


def check_length(length: int) -> None:
    """Raises RefusalError for a text of more than MAX_TEXT code points, before it is made."""
    if length > MAX_TEXT:
        raise RefusalError(CODE, f"a text made in a template has at most {MAX_TEXT:,} characters")


def check_number(value: object) -> None:
    """Raises RefusalError for integers beyond MAX_BITS and for floats that are no finite number."""
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise RefusalError(CODE, f"a number made in a template has at most {MAX_BITS} bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise RefusalError("bad-operation", "the result is no finite number")
