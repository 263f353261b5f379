"""One result with its recipe, as a person reads it: what made it, from what, and what it would take to change it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flowrun.store.protocol import Result
from flowrun.ui.numbers import credits, moment
from flowrun.ui.paint import palette, safe


def recipe_text(title: str, result: Result, *, colour: bool = False) -> str:
    """Several lines, without a line break at the end."""
    paint = palette(colour)
    lines = [paint(safe(title), "bold"), *_facts(result), "", "recipe:"]
    request = result.ingredients.get("request", {})
    lines += [f"  {safe(name)}: {_shown(value)}" for name, value in request.items()]
    if result.ingredients.get("salt") is not None:
        lines.append(f"  (salt: {_shown(result.ingredients['salt'])})")
    return "\n".join(lines)


def _facts(result: Result) -> Iterator[str]:
    yield f"  {result.operation}/{result.model}, take {result.take}, provider {result.provider}"
    yield f"  task {safe(result.task)}, result {safe(result.id)}, key {result.key[:16]}"
    spent = "unknown credits" if result.credits is None else credits(result.credits)
    yield f"  made {moment(result.committed_at)} UTC for {spent}" + (", forced" if result.forced else "")
    if result.seed is not None:
        yield f"  seed {result.seed}"
    origin = result.origin
    yield f"  at {safe(str(origin.get('address', '?')))} of {safe(str(origin.get('manifest', '?')))}"
    for stored in result.outputs:
        facts = stored.facts
        size = f" {facts.width}x{facts.height}" if facts.width else ""
        seconds = f" {facts.duration:g} s" if facts.duration else ""
        yield f"  file {facts.media_type}{size}{seconds}, {stored.digest.size} bytes, sha256 {stored.digest.sha256}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return safe(json.dumps(value, ensure_ascii=False))
    if isinstance(value, dict) and "$media" in value:
        return f"media sha256:{value['$media'][:16]}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{safe(name)}: {_shown(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_shown(each) for each in value) + "]"
    return safe(json.dumps(value))
