"""The JSON Schema of settings files, for editors. Owns its wording around what `keys` declares."""

from __future__ import annotations

from typing import Any

from flowrun.settings.keys import Key, by_section

_SECTIONS = {
    "project": "The project itself.",
    "provider": "Which API is spoken to, and how.",
    "cache": "Where results are kept.",
    "limits": "What bounds a run, below what the organization and the manifest allow.",
    "catalogue": "The description of the API's models.",
    "lint": "Which warnings are heard.",
    "notify": "Who is told when an apply ends.",
}


def settings_schema() -> dict[str, Any]:
    """Of `flowrun.toml` and of the user's `config.toml`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "config-1.json",
        "title": "flowrun settings",
        "description": "flowrun.toml in a project, and ~/.config/flowrun/config.toml. The project's file wins, the environment "
        "(FLOWRUN_<SECTION>_<KEY>) wins over both, and flags win over all.",
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _section(name, keys) for name, keys in by_section().items()},
    }


def _section(name: str, keys: dict[str, Key]) -> dict[str, Any]:
    return {
        "description": _SECTIONS[name],
        "type": "object",
        "additionalProperties": False,
        "properties": {key.name: _key(key) for key in keys.values()},
    }


def _key(key: Key) -> dict[str, Any]:
    """What this version cannot honour takes no value but the built-in one, as when it is read."""
    about = f"{key.about} Built in: {key.built_in}."
    if key.lacks is not None:
        taken: dict[str, Any] = {"not": {}} if key.default is None else {"const": key.default}
        return {"description": f"{about} Not in this version: {key.lacks}.", **taken}
    default = {} if key.default is None else {"default": key.default}
    return {"description": about, **key.kind.schema(), **default}


def settings_table() -> list[str]:
    """The table of all keys in the guide, as Markdown lines."""
    lines = ["| key | takes | built in | what it does |", "|---|---|---|---|"]
    for section in by_section().values():
        for key in section.values():
            about = key.about + (" *Not in this version.*" if key.lacks else "")
            cells = (f"`{key.dotted}`", key.kind.takes, key.built_in, about)
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return lines
