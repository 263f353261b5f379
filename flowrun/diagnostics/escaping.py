"""Foreign text made harmless in Markdown and in GitHub's logs. Owns the escapes; the texts around them are the callers'.

Everything is masked and made visible first, so that there is one line, without controls. What Markdown would read as a sign is
written as a character reference, which the specification (CommonMark 0.31, 2.5) never takes for structure, in a table or not.
GitHub looks for mentions and references in the finished page, where a reference is a plain sign again: there a blank of no width
parts the sign from the name. It leaves code alone, so names and values stand in code.
"""

from __future__ import annotations

import re

from flowrun.diagnostics.visible import visible
from flowrun.secret import mask

_APART = "&#8203;"  # zero width space
_SIGNS = re.compile(r"[&<>|`\\*\[\]~$#@]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")
_PINGS = re.compile(r"(&#(?:64|35);|\bGH-(?=\d)|://)", re.IGNORECASE)  # mentions, numbers and addresses of issues
_OPENING = re.compile(r"^([-+=]|\d{1,9}[.)])")  # what would begin a list, a rule or a heading
_PLAIN_CODE = re.compile(r"(?! )(?:(?!##\[)[^`|\\])+(?<! )")
_COMMAND = re.compile(r"^(\s*):(?=:)|##(?=\[)", re.MULTILINE)


def safe(text: object) -> str:
    """Keys and tokens masked, controls made visible: one line."""
    return visible(mask(str(text)))


def markdown(text: object) -> str:
    """`text` as running words: nothing in it is a sign of Markdown or HTML, nor pings anybody. Backticks in pairs make code."""
    shown = safe(text).strip()
    parts = shown.split("`")
    if len(parts) % 2 == 0 or not all(parts[1::2]):
        return _begun(inline(shown))
    return _begun("".join(code(part) if at % 2 else inline(part) for at, part in enumerate(parts)))


def inline(text: str) -> str:
    """`markdown` of a stretch that is safe already and begins no line."""
    return _PINGS.sub(lambda found: _parted(found[1]), _SIGNS.sub(_reference, text))


def code(text: object) -> str:
    """`text` as code, whatever is in it; "" for nothing."""
    shown = safe(text)
    if _PLAIN_CODE.fullmatch(shown):
        return f"`{shown}`"
    return f"<code>{referenced(shown)}</code>" if shown else ""


def referenced(text: str) -> str:
    """Safe text within an HTML element that nobody is pinged from."""
    return re.sub(r"[!-/:-@\[-`{-~]", _reference, text)


def defused(text: str) -> str:
    """Lines that GitHub's runner may read, none a command to it: ``::name::`` opens one, ``##[name]`` is one anywhere."""
    return _COMMAND.sub(lambda found: "# #" if found[0] == "##" else f"{found[1]}: ", text)


def _begun(text: str) -> str:
    return _OPENING.sub(lambda found: found[1][:-1] + f"&#{ord(found[1][-1])};", text)


def _reference(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"


def _parted(sign: str) -> str:
    return f":{_APART}//" if sign == "://" else sign + _APART
