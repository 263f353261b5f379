"""The bodies of refusals. Owns both shapes: ``{"error": text}`` and that with ``issues``, whose unions nest.

Shapes from errors seen in public threads and in the API's own scripts; nothing here trusts them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from flowrun.runway.errors import InputProblem
from flowrun.runway.policy import FETCHES, Fetch
from flowrun.runway.shown import clean
from flowrun.secret import Secret

MOST = 20  # problems kept of one answer
DEEPEST = 8  # unions within unions

_NAMED = re.compile(r"\b(?:parameter|field|property|input)\s+[`'\"]([\w.\[\]-]+)[`'\"]", re.IGNORECASE)
_PART = re.compile(r"[^.\[\]]+")
_CREDITS = re.compile(
    r"\b(?:not\s+(?:have\s+)?(?:enough|sufficient)|insufficient|out\s+of|no\s+more)\s+credits?\b", re.IGNORECASE
)
_FETCH = re.compile(r"\b(?:fetch|fetched|fetching|download|downloading|retriev\w+)\b", re.IGNORECASE)
_REASONS = (  # the API's reasons why it takes no input, in the words of its page on errors; the first that fits
    (Fetch.BAD_DATA, r"\bdata[ -]?ur[il]\b"),
    (Fetch.WRONG_TYPE, r"\bunsupported\b.*\b(?:asset|media|content|file|mime)?\s*-?type\b"),
    (Fetch.NOT_HTTPS, r"\bonly\s+https\b|\bmust\s+(?:be|use)\s+https\b"),
    (Fetch.NO_DOMAIN, r"\b(?:host\w*|domain)\b.*\b(?:domain|ip address)\b"),
    (Fetch.TIMEOUT, r"\btime(?:d)?[ -]?out\b"),
    (Fetch.STATUS, r"\b(?:HTTP|status)(?:\s+(?:status|code|error))*:?\s+[1-5]\d\d\b"),
    (Fetch.BAD_URL, r"\binvalid\s+ur[li]\b"),
    (Fetch.UNREACHABLE, _FETCH.pattern),
)
_READ_AS = tuple((reason, re.compile(pattern, re.IGNORECASE)) for reason, pattern in _REASONS)
_ALONE = frozenset({Fetch.BAD_DATA, Fetch.WRONG_TYPE, Fetch.NOT_HTTPS, Fetch.NO_DOMAIN, Fetch.BAD_URL})

Path = tuple[str | int, ...]


def document(body: bytes | None) -> Mapping[str, Any]:
    """The JSON object of an answer's body; empty for anything else."""
    try:
        value = json.loads(body or b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def message(doc: Mapping[str, Any], secret: Secret | None = None) -> str:
    """The refusal's own sentence, cleaned; empty where there is none."""
    error = doc.get("error") or doc.get("message") or ""
    if isinstance(error, dict):
        error = error.get("message", "")
    return clean(error, secret) if isinstance(error, str) else ""


def problems(doc: Mapping[str, Any], secret: Secret | None = None) -> tuple[InputProblem, ...]:
    """Every complaint at its leaf, each once, the general ones ("Invalid input" of a union) left out."""
    found = dict.fromkeys(_leaves(doc.get("issues"), (), secret, DEEPEST))
    if not found and (text := message(doc, secret)):
        found = {InputProblem(_path_in(text), text): None}
    return tuple(found)[:MOST]


def speaks_of_credits(text: str) -> bool:
    """Whether a refusal means that the account has no credits: it is told by its sentence alone."""
    return _CREDITS.search(text) is not None


def speaks_of_fetching(text: str) -> bool:
    """Whether a refusal means that the API could not fetch an input, which can pass although a 400 looks final."""
    return _FETCH.search(text) is not None


def fetch_reason(text: str) -> Fetch | None:
    """Why an input could not be taken, where a complaint speaks of that. Some reasons speak of an input by themselves; a
    timeout or a status does only where something was fetched."""
    found = next((reason for reason, pattern in _READ_AS if pattern.search(text)), None)
    return found if found in _ALONE or speaks_of_fetching(text) else None


def reworded(problem: InputProblem) -> InputProblem:
    """The complaint with what it means before the API's own words, where it is about fetching an input."""
    reason = fetch_reason(problem.message)
    if reason is None:
        return problem
    return InputProblem(problem.path, f"{FETCHES[reason]} ({problem.message.rstrip('.')})")


def _leaves(issues: Any, above: Path, secret: Secret | None, depth: int) -> Iterator[InputProblem]:
    for issue in issues if isinstance(issues, list) else ():
        if isinstance(issue, dict):
            yield from _leaf(issue, above, secret, depth)


def _leaf(issue: Mapping[str, Any], above: Path, secret: Secret | None, depth: int) -> Iterator[InputProblem]:
    path = _below(above, issue.get("path"))
    branches = _relevant(_branches(issue)) if depth else []
    inner = [leaf for branch in branches for leaf in _leaves(branch, path, secret, depth - 1)]
    text = issue.get("message")
    if inner:
        yield from inner
    elif isinstance(text, str):
        yield InputProblem(path, clean(text, secret))


def _branches(issue: Mapping[str, Any]) -> list[list[Any]]:
    """The issues of each alternative of a union: lists, or (older) objects with `issues`."""
    nested = issue.get("errors") or issue.get("unionErrors") or []
    if not isinstance(nested, list):
        return []
    lists = [each.get("issues") if isinstance(each, dict) and "issues" in each else each for each in nested]
    return [each if isinstance(each, list) else [each] for each in lists]


def _relevant(branches: list[list[Any]]) -> list[list[Any]]:
    """Without the alternatives that are another model's: their complaints are about the wrong request."""
    own = [branch for branch in branches if not any(_complains_of_model(issue) for issue in branch)]
    return own or branches


def _complains_of_model(issue: Any) -> bool:
    return isinstance(issue, dict) and isinstance(issue.get("path"), list) and issue["path"][-1:] == ["model"]


def _below(above: Path, path: Any) -> Path:
    """`path` under its union's; some writers repeat the union's own path, some do not."""
    parts = tuple(part for part in path if isinstance(part, str | int)) if isinstance(path, list) else ()
    return parts if parts[: len(above)] == above else (*above, *parts)


def _path_in(text: str) -> Path:
    """The field that a plain sentence names: ``Invalid parameter 'promptText'``."""
    named = _NAMED.search(text)
    parts = _PART.findall(named.group(1)) if named else ()
    return tuple(int(part) if part.isdecimal() else part for part in parts)
