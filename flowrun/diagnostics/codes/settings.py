"""Codes of settings: flowrun.toml, the user's file, the environment."""

from __future__ import annotations

from flowrun.diagnostics.codes.model import Code

CODES = (
    Code(
        "bad-toml",
        "A settings file is not TOML from the place shown on. Texts stand in quotes, sections in square brackets on a line of "
        "their own.",
    ),
    Code(
        "setting-twice",
        "A settings file gives one key or one section twice. Neither is preferred: the later one may be a leftover, or the "
        "earlier one forgotten.",
    ),
    Code(
        "unknown-setting",
        "A section or key of settings that flowrun does not know. It is never ignored, because a misspelt limit would be no "
        "limit. Environment variables that begin with `FLOWRUN_` and the name of a section are held to this too.",
    ),
    Code(
        "wrong-setting",
        "A setting has a value that its key does not take: of another type, out of range, or not among the choices. Where an "
        "environment variable gave it, the message names the variable.",
    ),
    Code(
        "setting-not-available",
        "The setting is part of flowrun's contract, and this version cannot do what it asks for. It is refused rather than "
        "ignored: a cap or a shared store that silently does nothing would cost money.",
    ),
    Code(
        "key-not-ignored",
        "The project's `.env` holds the API key, and git does not ignore the file, so the next commit could publish it. The key "
        "is not used until git ignores the file; then it is, with no further change.",
        warns=True,
    ),
)
