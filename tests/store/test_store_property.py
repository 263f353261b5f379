"""Random histories: the disk, whose index is deleted now and then, always says what the memory says."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowrun.digest import of_bytes
from flowrun.store.disk import DiskStore
from flowrun.store.protocol import Result
from tests.contract.store_kit import Stores, key, put, recipe, result
from tests.contract.test_store import disk_stores, memory_stores

NAMES = ("a", "b", "c")
IDS = ("r1", "r2", "r3")
BYTES = (b"", b"x", b"yy")
THERE = ("runway", "trailer", "")

commits = st.tuples(
    st.just("commit"), st.sampled_from(NAMES), st.sampled_from(IDS), st.sets(st.sampled_from(BYTES), max_size=2)
)
flows = st.tuples(st.just("flow"), st.sampled_from(NAMES), st.sampled_from(IDS), st.sampled_from(NAMES))
damage = st.tuples(st.sampled_from(("lose", "cut", "put")), st.sampled_from(BYTES))
others = st.tuples(st.sampled_from(("index", "ask")))


@pytest.fixture(autouse=True)
def _without_syncing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


def apply(stores: Stores, step: tuple, at: float) -> object:
    match step:
        case ("commit", name, named, contents):
            blobs = [put(stores.blobs, data) for data in sorted(contents)]
            stores.results.commit(replace(result(name, *blobs, named=named, at=at), ended_at=at, submitted_at=at / 2))
        case ("flow", name, named, there):
            for each in stores.results.by_recipe(recipe(name)):
                if each.id == named:
                    stores.results.flowed(*THERE, f"{there}#1", each, at)
        case ("lose", data):
            stores.lose_blob(put(stores.blobs, data))
        case ("cut", data):
            stores.overwrite_blob(put(stores.blobs, data), data + b"more")
        case ("put", data):
            put(stores.blobs, data)
        case ("index",):
            stores.lose_index()
    return answers(stores)


def answers(stores: Stores) -> object:
    found = stores.results.lookup([key(name) for name in NAMES])
    last: list[Result | None] = [stores.results.last_at(*THERE, f"{name}#1") for name in NAMES]
    recipes = [stores.results.by_recipe(recipe(name)) for name in NAMES]
    blobs = [stores.results.by_blob(put_digest(data)) for data in BYTES]
    return found, last, recipes, blobs, stores.results.durations("runway"), stores.results.any_of("runway")


def put_digest(data: bytes) -> str:
    return of_bytes(data).sha256


@settings(max_examples=40, deadline=None)
@given(st.lists(commits | flows | damage | others, max_size=12))
def test_memory_and_disk_tell_the_same_story(steps: list[tuple]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        memory = memory_stores()
        with DiskStore.open(Path(folder) / ".flowrun", lambda: 0.0, provider="runway") as store:
            disk = disk_stores(store)
            for at, step in enumerate(steps, start=1):
                assert apply(memory, step, float(at)) == apply(disk, step, float(at)), step
