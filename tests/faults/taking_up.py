"""Applying again until it is done, with a person's word where one is asked for. Owns what that person knows, which is what the
server knows, and what they say."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.faults.stage import Production

MOST = 4  # applies after one death


@dataclass(slots=True)
class TakenUp:
    """`applies`: how many it took; `unknown`: how many of them ended with exit 6; `doubtful`: nodes a word was said on; `resent`:
    those of them that the word was `resend` for; `wrong`: what else was not as it must be."""

    applies: int = 0
    unknown: int = 0
    doubtful: list[str] = field(default_factory=list)
    resent: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def take_up(project: Production, *, resend: bool = False, brisk: bool = False) -> TakenUp:
    """Until exit 0. `resend`: that is the person's word, whatever the server knows."""
    so_far, flags = TakenUp(), ()
    while so_far.applies < MOST:
        flags = _once(project, so_far, flags, brisk, resend)
        if flags is None:
            break
    return so_far


def apply_once(project: Production, so_far: TakenUp, *flags: str, brisk: bool = False) -> dict[str, Any]:
    """One apply, counted; its document. Exit codes but 0 and 6, and tracebacks, are wrong."""
    before = len(project.accepted())
    code, out, err = project.command("apply", "flow.yaml", "--json", *flags, brisk=brisk)
    so_far.applies += 1
    so_far.unknown += code == 6
    if code not in (0, 6) or "Traceback" in err:
        so_far.wrong.append(f"exit {code} of apply {' '.join(flags)}: {err}")
    document: dict[str, Any] = json.loads(out)
    if len(project.accepted()) != before + document["submitted"]:
        so_far.wrong.append(f"it says that it submitted {document['submitted']}, and the server knows otherwise")
    return document


def _once(
    project: Production, so_far: TakenUp, flags: tuple[str, ...], brisk: bool, resend: bool
) -> tuple[str, ...] | None:
    """The flags of the next apply; None where it is done, or all is lost."""
    document = apply_once(project, so_far, *flags, brisk=brisk)
    if document["exit"] != 6:
        return None
    doubtful = [each["address"] for each in document["troubles"] if each["verdict"] == "doubt"]
    so_far.doubtful += doubtful
    if resend:
        so_far.resent += doubtful
        return tuple(flag for address in doubtful for flag in ("--resend", address))
    for address in doubtful:
        _say(project, so_far, address)
    return ()


def _say(project: Production, so_far: TakenUp, address: str) -> None:
    """`adopt` where the server has a task, else `forget`."""
    task = project.task_of(address)
    word = ["adopt", "flow.yaml", address, "--task", task] if task else ["forget", "flow.yaml", address]
    code, _, err = project.command(*word)
    if code != 0:
        so_far.wrong.append(f"exit {code} of {' '.join(word)}: {err}")
