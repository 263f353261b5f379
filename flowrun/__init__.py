"""flowrun: repeatable productions for the Runway API.

import flowrun

production = flowrun.load("storyboard.yaml", vars={"client": "Acme"})
plan = production.plan()
production.apply()
"""

from __future__ import annotations

from typing import Any

__all__ = ["load", "load_async"]


def __getattr__(name: str) -> Any:
    """`load` and its twin are imported when they are first asked for: importing flowrun does no work."""
    if name in __all__:
        from flowrun.production import loading

        return getattr(loading, name)
    raise AttributeError(f"module 'flowrun' has no attribute '{name}'")
