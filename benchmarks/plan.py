"""What planning costs, on a real ledger and a real store. Run: ``python -m benchmarks.plan [NODES]``.

A fan-out of 1,000 stills and a film below each: everything found, everything missing, everything changed, and a chain in
which each node waits for the one before, which is a lookup each. Building the graph is told beside it; the promise is that
1,000 hits are planned in well under two seconds. Numbers, not tests: machines differ.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from flowrun.graph.build import build
from flowrun.graph.inputs import InputError, KnownMedia, UnreadMedia
from flowrun.ids import ResultId, TaskId
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.manifest import read, resolve
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.operations.catalogue import catalogue
from flowrun.plan.model import Decision, Step
from flowrun.plan.planner import Planner
from flowrun.plan.sources import Sources, Wishes
from flowrun.plan.whole import Plan, make_plan
from flowrun.store.disk import DiskStore
from flowrun.store.protocol import Pick, Result, StoredFile

FACTS = {
    "image": MediaFacts(MediaKind.IMAGE, "image/png", 1920, 1080),
    "video": MediaFacts(MediaKind.VIDEO, "video/mp4", 1280, 720, 5.0),
}
STILLS = """flowrun: 1
nodes:
  still:
    foreach: NODES
    uses: text_to_image
    with: {model: gen4_image, promptText: "a PROMPT, number {{ each.key }}", ratio: "1920:1080"}
"""
FILMS = """
  film:
    foreach: NODES
    uses: image_to_video
    with: {model: gen4_turbo, promptImage: "{{ nodes.still[each.key].output }}", ratio: "1280:720", duration: 5}
"""
LINK = """
  n0000: {uses: text_to_image, with: {model: gen4_image, promptText: a PROMPT, ratio: "1920:1080"}}
"""


class NoInputs:
    """No manifest here names a file."""

    def file(self, path: Path) -> KnownMedia:
        raise InputError("missing-file", str(path))

    def url(self, url: str, pin: str | None) -> KnownMedia | UnreadMedia:
        return UnreadMedia(url)

    def data(self, uri: str) -> KnownMedia:
        raise InputError("bad-data-uri", uri)


class Bench:
    """A project in a folder, and its plans."""

    def __init__(self, folder: Path) -> None:
        self.store = DiskStore.open(folder / "store", time.time, provider="runway")
        self.ledger = SqliteLedger(folder / "ledger.sqlite3", time.time)
        self.folder = folder

    def planner(self, text: str) -> Planner:
        flow = resolve(read(self.folder / "flow.yaml", text=text), cwd=self.folder)
        graph, source = build(flow, catalogue(), NoInputs(), lambda path: b"")
        sources = Sources(catalogue(), self.store.results, self.ledger, self.store.picks, NoInputs())
        return Planner(graph, source, sources, Wishes("runway"))

    def make_all(self, text: str) -> None:
        """Results of everything that would run, until nothing does."""
        while True:
            steps = [step for step in make_plan(self.planner(text)).steps.values() if step.decision is Decision.RUN]
            for step in steps:
                self._make(step)
            if not steps:
                return

    def _make(self, step: Step) -> None:
        for take in step.takes:
            doc = take.doc
            if doc is None:
                continue
            digest = self.store.blobs.put(io.BytesIO(f"made of {doc.key}".encode()))
            result = Result(
                id=ResultId(f"r{doc.key[:16]}"),
                key=doc.key,
                recipe=doc.recipe,
                task=TaskId(doc.key[:36]),
                provider="runway",
                operation=doc.operation,
                model=doc.model,
                take=doc.take,
                outputs=(StoredFile(digest, FACTS[doc.produces]),),
                ingredients=doc.ingredients,
                origin={"flow": "flow", "profile": "", "address": str(step.address)},
            )
            self.store.results.commit(result)
            self.store.picks.set(Pick(doc.recipe, doc.take, result.id, "default", time.time(), str(step.address)))


def chain(count: int) -> str:
    """A still made from the one before it, and so on."""
    link = LINK.replace("\n", "", 1)
    nodes = [link.replace("n0000", f"n{number:04}") for number in range(count)]
    for number in range(1, count):
        above = f'referenceImages: [{{uri: "{{{{ nodes.n{number - 1:04}.output }}}}"}}], ratio'
        nodes[number] = nodes[number].replace("ratio", above)
    return f"flowrun: 1\nnodes:\n{''.join(nodes)}"


def timed(make: Callable[[], object]) -> tuple[float, object]:
    """Wall seconds of the best of three: files and SQLite are part of it."""
    best, made = float("inf"), None
    for _ in range(3):
        before = time.perf_counter()
        made = make()
        best = min(best, time.perf_counter() - before)
    return best, made


def show(name: str, bench: Bench, text: str) -> float:
    building, planner = timed(lambda: bench.planner(text))
    seconds, plan = timed(lambda: make_plan(bench.planner(text)))
    assert isinstance(planner, Planner)
    assert isinstance(plan, Plan)
    planning, count = max(0.0, seconds - building), len(plan.steps)
    kinds = ", ".join(f"{number} {decision.value}" for decision, number in plan.counts.items())
    print(
        f"{name:28} {kinds:24} build {building * 1e3:7.0f} ms  plan {planning * 1e3:7.0f} ms"
        f"  {planning / count * 1e3:6.2f} ms a node"
    )
    return planning


def main(count: int = 1000) -> None:
    stills = STILLS.replace("NODES", str(count))
    both = stills + FILMS.replace("NODES", str(count))
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        misses = show("stills, never made", bench, stills.replace("PROMPT", "fox"))
        bench.make_all(both.replace("PROMPT", "fox"))
        hits = show("stills, all there", bench, stills.replace("PROMPT", "fox"))
        show("stills and films, all there", bench, both.replace("PROMPT", "fox"))
        show("stills, all changed", bench, stills.replace("PROMPT", "grey fox"))
        few = chain(count // 10).replace("PROMPT", "den")
        bench.make_all(few)
        show("a chain, all there", bench, few)
        print(f"hits to misses {hits / misses:.2f}; 1,000 hits {hits / count * 1000:.2f} s, promised under 2")
        bench.ledger.close()
        bench.store.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
