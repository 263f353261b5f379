"""A case from a seed: what is drawn, and how likely. Owns nothing else; the same seed gives the same case for ever."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.simulation.model import EACH, KINDS, Case, Edit, Limits, Node, Nodes, Ref, Round, Visit, mended

_CODES = (
    "INTERNAL",
    "INTERNAL.BAD_OUTPUT.CODE01",
    "INPUT_PREPROCESSING.INTERNAL",
    "THIRD_PARTY.UNAVAILABLE",
    "SAFETY.INPUT.TEXT",
    "SAFETY.OUTPUT.VIDEO",
    "ASSET.INVALID",
    "INPUT_PREPROCESSING.SAFETY.TEXT",
    "THIRD_PARTY.INPUT_VALIDATION",
    "NEVER.HEARD.OF",
)
_EDITS = ("prompt", "prompt", "row+", "row-", "rename", "takes", "salt", "when", "drop")
_HURTS = (
    *("before ledger.claim", "after ledger.claim", "after ledger.reserve"),
    *("before ledger.intend", "after ledger.intend", "before ledger.submitted", "after ledger.submitted"),
    *("before POST v1/text_to_image", "before POST v1/text_to_video"),
    *(f"after POST v1/{each}, unanswered" for each in ("text_to_image", "text_to_video", "sound_effect")),
    *(
        "before ledger.ended",
        "after ledger.ended",
        "before GET outputs",
        "within a download",
        "before store.land blobs",
    ),
    *("after store.land blobs", "before store.index", "before store.land results", "after store.land results"),
    *("before ledger.settle", "after ledger.settle", "before store.land picks", "after store.land picks"),
    *(
        "before ledger.lost",
        "after ledger.lost",
        "before ledger.refused",
        "after ledger.refused",
        "before ledger.decide",
    ),
    *("after ledger.decide", "after ledger.reap", "before ledger.retire", "within export", "before store.land exports"),
)
_STOPS = ("Decided", "Granted", "Submitted", "Progressed", "Ended", "Stored", "AttemptFailed", "Queued")
_SETTLES = ("leave", "resend", "forget", "adopt", "adopt")


def case_of(seed: int) -> Case:
    rng = random.Random(f"case {seed}")
    nodes = _nodes(rng)
    rounds = tuple(_round(rng, first=number == 0) for number in range(rng.choice((1, 1, 2, 2, 3, 4))))
    return Case(seed, nodes, _limits(rng), rng.random() < 0.2, rounds)


def _nodes(rng: random.Random) -> Nodes:
    nodes: list[Node] = []
    for number in range(rng.choice((1, 2, 2, 3, 3, 4, 5))):
        nodes.append(_twin(rng, nodes, number) if nodes and rng.random() < 0.08 else _node(rng, nodes, number))
    return mended(tuple(nodes))


def _twin(rng: random.Random, nodes: list[Node], number: int) -> Node:
    """Another node with the recipe of an earlier one."""
    return replace(rng.choice(nodes), name=f"n_{number}", needs=())


def _node(rng: random.Random, nodes: list[Node], number: int) -> Node:
    images = [each for each in nodes if KINDS[each.kind].makes == "image"]
    kind = rng.choice(("still", "still", "flash", "sound", "film") if not images else tuple(KINDS))
    fewest, most = KINDS[kind].refs
    wanted = min(most, max(fewest, rng.choice((0, 1, 1, 2)))) if images else 0
    rows = tuple((f"k{key}", f"word {key % 3}") for key in range(rng.choice((2, 3)))) if rng.random() < 0.3 else ()
    fans = [each.name for each in nodes if each.rows]
    return Node(
        name=f"n_{number}",
        kind=kind,
        prompt=f"{rng.choice(('fox', 'owl', 'elk'))} {number}",
        refs=tuple(_ref(rng, rng.choice(images)) for _ in range(wanted)),
        rows=rows,
        csv=rng.random() < 0.3,
        gather=rng.choice(fans) if fans and rng.random() < 0.35 else "",
        needs=(rng.choice(nodes).name,) if nodes and rng.random() < 0.2 else (),
        when=rng.random() > 0.06,
        takes=rng.choice((1, 1, 1, 1, 1, 2, 2, 3)),
        cache=rng.choice(("", "", "", "", "", "", "", "salt", False)),
        retry=rng.choice((None, None, None, None, 0, 1, 3)),
    )


def _ref(rng: random.Random, upstream: Node) -> Ref:
    return Ref(upstream.name, EACH if rng.random() < 0.6 else rng.choice(upstream.keys or ("",)))


def _limits(rng: random.Random) -> Limits:
    models = sorted({kind.model for kind in KINDS.values()})
    lowered = tuple((model, rng.choice((1, 1, 2))) for model in models if rng.random() < 0.15)
    day = rng.choice((None, None, None, None, None, None, 20, 45, 90))
    return Limits(rng.choice((None, None, None, None, 15, 30, 60)), day, lowered)


def _round(rng: random.Random, *, first: bool) -> Round:
    edits = () if first else tuple(_edit(rng) for _ in range(rng.choice((0, 1, 1, 2))))
    visits = [_visit(rng, 0.0)]
    if rng.random() < 0.3:
        visits.append(_visit(rng, rng.choice((0.0, 0.1, 3.0, 25.0, 70.0))))
    if rng.random() < 0.05:
        visits.append(_visit(rng, rng.choice((70.0, 100.0, 200.0))))
    return Round(
        edits=edits,
        settles=rng.choice(_SETTLES),
        words=((rng.choice((1.0, 62.0, 75.0, 150.0)), rng.choice(("forget", "adopt"))),) if rng.random() < 0.1 else (),
        gap=rng.choice((0.0, 0.5, 1.0, 10.0, 61.0, 700.0, 30 * 3600.0)),
        tier=rng.choice((1, 1, 1, 2, 3, 3)),
        credits=rng.choice((100_000, 100_000, 100_000, 20, 45, 90)),
        duration=rng.choice((0.0, 5.0, 20.0, 20.0, 90.0)),
        faults=tuple(_fault(rng) for _ in range(rng.choice((0, 0, 1, 1, 2, 3)))),
        visits=tuple(visits),
    )


def _edit(rng: random.Random) -> Edit:
    return Edit(rng.choice(_EDITS), rng.randrange(6), rng.randrange(60))


def _visit(rng: random.Random, delay: float) -> Visit:
    death = _moment(rng, 60) if rng.random() < 0.55 else None
    freeze = (_moment(rng, 55), rng.choice((20.0, 45.0, 100.0, 400.0))) if rng.random() < 0.2 else None
    return Visit(
        command=rng.choice(("collect", "cancel")) if rng.random() < 0.1 else "apply",
        delay=delay,
        host=rng.choice((0, 0, 0, 1)),
        death=death,
        freeze=freeze,
        full=(_moment(rng, 60), rng.choice((1, 1, 2, 5, 40))) if rng.random() < 0.1 else None,
        interrupts=_interrupts(rng) if rng.random() < 0.25 else (),
        cancels=rng.random() < 0.2,
        max_credits=rng.choice((None, None, None, None, 10, 25, 60)),
        force=(rng.randrange(8),) if rng.random() < 0.1 else (),
        select=(rng.randrange(8),) if rng.random() < 0.06 else (),
        retry_rejected=rng.random() < 0.15,
        fail_fast=rng.random() < 0.08,
        wait_for_quota=rng.random() < 0.3,
    )


def _moment(rng: random.Random, late: int) -> int | tuple[str, int]:
    """Anywhere, or where it hurts."""
    anywhere = int(3 * 1.09 ** rng.uniform(0, late))
    return anywhere if rng.random() < 0.6 else (rng.choice(_HURTS), rng.choice((1, 1, 1, 2, 3)))


def _interrupts(rng: random.Random) -> tuple[int | tuple[str, int], ...]:
    once = int(2 * 1.1 ** rng.uniform(0, 36))
    anywhere: tuple[tuple[int, ...], ...] = ((once,), (once, once + 1), (once, once + rng.randrange(1, 12)))
    if rng.random() < 0.5:
        return rng.choice(anywhere)
    return tuple((name, rng.choice((1, 1, 2, 3))) for name in rng.sample(_STOPS, rng.choice((1, 1, 2))))


def _fault(rng: random.Random) -> Mapping[str, Any]:
    """One misbehaviour for some requests in a row; `match` tells it from a like one of another round."""
    nth: dict[str, Any] = {"nth": rng.choice((1, 1, 2, 2, 3, 4))}
    times = rng.choice((1, 1, 2, 3, 9))
    return {**rng.choice(_FAULTS)(rng, times), "match": nth}


def _at_generations(rng: random.Random, times: int) -> dict[str, Any]:
    deeds: tuple[dict[str, Any], ...] = (
        {"lost": "before"},
        {"lost": "after"},
        {"lost": "after"},
        {"status": rng.choice((429, 500, 502, 503, 504))},
        {"delay": rng.choice((5.0, 149.0, 151.0, 200.0))},
        {"tier": rng.choice((1, 2, 4))},
        {"jump": rng.choice((30.0, 3600.0, 90_000.0))},
        {"cancelled": True},
    )
    return {"on": "generations", "do": {**rng.choice(deeds), "times": min(times, 3)}}


def _failing(rng: random.Random, times: int) -> dict[str, Any]:
    return {"on": "generations", "do": {"fail": rng.choice(_CODES), "times": min(times, 3)}}


def _at_tasks(rng: random.Random, times: int) -> dict[str, Any]:
    deeds: tuple[dict[str, Any], ...] = (
        {"lost": "after"},
        {"status": rng.choice((429, 500, 502, 503))},
        {"status": 400},
        {"delay": rng.choice((30.0, 70.0))},
        {"jump": rng.choice((30.0, 90_000.0))},
    )
    return {"on": "tasks", "do": {**rng.choice(deeds), "times": times}}


def _at_downloads(rng: random.Random, times: int) -> dict[str, Any]:
    deeds: tuple[dict[str, Any], ...] = (
        {"cut": rng.choice((0, 10, 200))},
        {"wrong_content": rng.choice(("html", "truncated"))},
        {"status": rng.choice((403, 404, 500, 503))},
        {"delay": rng.choice((30.0, 70.0))},
        {"lost": "after"},
        {"jump": 200_000.0},
    )
    return {"on": "download", "do": {**rng.choice(deeds), "times": times}}


def _at_account(rng: random.Random, times: int) -> dict[str, Any]:
    deeds: tuple[dict[str, Any], ...] = ({"status": 503}, {"status": 401}, {"lost": "before"})
    return {"on": "organization", "do": {**rng.choice(deeds), "times": min(times, 2)}}


_FAULTS = (_at_generations, _at_generations, _failing, _failing, _at_tasks, _at_downloads, _at_downloads, _at_account)
