"""What an attempt touches, made of what a command has open. Owns that making; a command says whom it asks and which values it
may name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowrun.engine.ports import Ports, Provider
from flowrun.ledger.location import account_of
from flowrun.media.probe import probe
from flowrun.production.binding import Bound
from flowrun.production.masking import Masker
from flowrun.secret import Secret


def make_ports(bound: Bound, provider: Provider | Any, env: Mapping[str, Secret] | None = None) -> Ports:
    """`provider`: who is asked; `env`: values of the environment by name, which no text may show."""
    around, store, known = bound.around, bound.store, env or {}
    return Ports(
        bound.ledger,
        store.results,
        store.blobs,
        store.uploads,
        provider,
        around.clock,
        around.offload,
        probe,
        around.rng,
        bound.account,
        known,
        speaker="" if bound.choice.key is None else account_of(bound.choice.key),
        mask=Masker(around.environ.get(name, "") for name in known),
    )
