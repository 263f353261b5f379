"""Writes the generated schemas: `python tools/make_schemas.py [--check]`. With --check a stale file is exit 1."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowrun.engine.events import event_schema
from flowrun.manifest.json_schema import flow_schema
from flowrun.operations.catalogue import catalogue
from flowrun.operations.overlay_file import overlay_schema
from flowrun.plan.document import plan_schema
from flowrun.production.saved import saved_plan_schema
from flowrun.sandbox.scenario import scenario_schema
from flowrun.settings.schema import settings_schema

FOLDER = Path(__file__).parent.parent / "schemas"
SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "config-1.json": settings_schema,
    "event-1.json": event_schema,
    "flow-1.json": lambda: flow_schema(catalogue()),
    "overlay-1.json": overlay_schema,
    "plan-1.json": plan_schema,
    "saved-plan-1.json": saved_plan_schema,
    "scenario-1.json": scenario_schema,
}


def main(arguments: list[str]) -> int:
    """Write or check every file; the exit code."""
    stale = []
    for name, make in SCHEMAS.items():
        text = json.dumps(make(), ensure_ascii=False, indent=2, sort_keys=False) + "\n"
        target = FOLDER / name
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            target.write_text(text, encoding="utf-8")
    if stale and "--check" in arguments:
        print(f"stale: {', '.join(stale)}; run python tools/make_schemas.py")
        return 1
    print(f"{len(SCHEMAS)} schemas, {len(stale)} written" if "--check" not in arguments else "schemas are current")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
