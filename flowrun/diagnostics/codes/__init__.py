"""Every diagnostic code with its explanation. Owns the registry; each area lists its own codes in a file beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from flowrun.diagnostics.codes.model import Code


@cache
def registry() -> Mapping[str, Code]:
    """All codes by name. Each file here but `model` holds a tuple `CODES`. Raises ValueError for a name listed twice."""
    found: dict[str, Code] = {}
    for module in sorted(iter_modules(__path__), key=lambda each: each.name):
        for code in () if module.name == "model" else import_module(f"{__name__}.{module.name}").CODES:
            if code.name in found:
                raise ValueError(f"the code {code.name} is listed twice")
            found[code.name] = code
    return found


def explain(name: str) -> str | None:
    """One paragraph on a code, for `flowrun explain`; None for a code that is not known."""
    code = registry().get(name)
    return None if code is None else code.explanation
