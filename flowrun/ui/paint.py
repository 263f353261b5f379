"""Text on its way to a terminal: harmless, masked, and coloured where asked. Owns the palette; no meaning hangs on colour."""

from __future__ import annotations

from collections.abc import Callable

from flowrun import secret
from flowrun.diagnostics.visible import visible

Paint = Callable[[str, str], str]  # (text, kind) -> text

_CODES = {
    "good": "32",
    "work": "36",
    "warn": "33",
    "bad": "1;31",
    "quiet": "2",
    "bold": "1",
    "removed": "31",
    "added": "32",
}


def palette(colour: bool) -> Paint:
    """What paints: kinds are good, work, warn, bad, quiet, bold, removed, added; any other kind is left as it is."""
    return _painted if colour else _plain


def _plain(text: str, _kind: str) -> str:
    return text


def _painted(text: str, kind: str) -> str:
    code = _CODES.get(kind)
    return f"\x1b[{code}m{text}\x1b[0m" if code and text else text


def safe(text: object) -> str:
    """Keys and tokens masked, controls made visible. Comes first: what is cut or compared must be masked already."""
    return visible(secret.mask(str(text)))
