"""flowrun: repeatable productions for the Runway API.

import flowrun

production = flowrun.load("storyboard.yaml", vars={"client": "Acme"})
plan = production.plan()
production.apply()
"""

from __future__ import annotations

from typing import Any

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """`load` is imported when it is first asked for: importing flowrun does no work."""
    if name == "load":
        from flowrun.production.production import load

        return load
    raise AttributeError(f"module 'flowrun' has no attribute '{name}'")
