"""A production in memory: a real graph from YAML text, a real planner, ledger and store in memory, media that are names.

`Desk.apply` plays the engine in small: what is to run is made at once, in the planner's order, and its pick recorded.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

from flowrun.digest import Digest, of_bytes
from flowrun.graph.address import Address, parse
from flowrun.graph.build import build
from flowrun.graph.inputs import InputError, KnownMedia, UnreadMedia
from flowrun.graph.outcomes import Barred, Made, Skipped
from flowrun.ids import OwnerId, ResultId, RunId, TaskId
from flowrun.ledger.memory import MemoryLedger
from flowrun.ledger.protocol import Claim, Failed, Granted, Intent, Limits, Mine, Origin, Succeeded
from flowrun.manifest import read, resolve
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.operations.catalogue import catalogue
from flowrun.plan.flowing import outcome_of_step
from flowrun.plan.model import Decision, Step, TakeStep
from flowrun.plan.planner import Planner
from flowrun.plan.sources import Sources, Wishes
from flowrun.plan.whole import Plan, make_plan
from flowrun.store.memory import MemoryBlobs, MemoryPicks, MemoryResults
from flowrun.store.protocol import Pick, Result, StoredFile

HERE = Path("/production")
PICTURE = MediaFacts(MediaKind.IMAGE, "image/png", 1920, 1080)
FILM = MediaFacts(MediaKind.VIDEO, "video/mp4", 1280, 720, 5.0, ("h264",))
SOUND = MediaFacts(MediaKind.AUDIO, "audio/mpeg", duration=12.0)
FACTS = {"image": PICTURE, "video": FILM, "audio": SOUND}
OWNER, RUN = OwnerId("owner"), RunId("run")
BROKE = Failed("INTERNAL.BAD_OUTPUT", "the model broke")
REFUSED = Failed("SAFETY.OUTPUT", "the output was refused", rejected=True)
REFUSED_INPUT = Failed("SAFETY.INPUT.TEXT", "the prompt was refused", rejected=True, input_refused=True)


class DictInputs:
    """Files and URLs by name: bytes and facts. A URL without an entry was never fetched."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[bytes, MediaFacts]] = {}

    def put(self, name: str, data: bytes | str, facts: MediaFacts = PICTURE) -> None:
        self.known[name] = (data.encode() if isinstance(data, str) else data, facts)

    def file(self, path: Path) -> KnownMedia:
        name = path.relative_to(HERE).as_posix()
        if name not in self.known:
            raise InputError("missing-file", f"there is no file '{name}'")
        data, facts = self.known[name]
        return KnownMedia(of_bytes(data), facts, "file")

    def url(self, url: str, pin: str | None) -> KnownMedia | UnreadMedia:
        if url not in self.known:
            return UnreadMedia(url)
        data, facts = self.known[url]
        return KnownMedia(of_bytes(data), facts, "url", url)

    def data(self, uri: str) -> KnownMedia:
        return KnownMedia(of_bytes(uri.partition(",")[2].encode()), PICTURE, "data")


class Results(MemoryResults):
    """With a way to what the n-th generation made."""

    def by_blob_of(self, number: int) -> str:
        return digest_of(f"file {number}").sha256


@dataclass
class Desk:
    now: float = 1000.0
    inputs: DictInputs = field(default_factory=DictInputs)
    data: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.blobs = MemoryBlobs()
        self.results = Results(self.blobs, self.tick)
        self.ledger = MemoryLedger(self.tick)
        self.picks = MemoryPicks()
        self.made = 0  # generations

    def tick(self) -> float:
        self.now += 1
        return self.now

    # -- planning

    def planner(
        self, nodes: str, *, provider: str = "runway", profile: str | None = None, name: str = "flow", **wishes
    ) -> Planner:
        """`nodes`: what stands below ``nodes:``, or a whole manifest. Wishes name addresses as text."""
        text = nodes if "nodes:" in nodes else f"nodes:\n{nodes}"
        manifest = read(HERE / f"{name}.yaml", text=f"flowrun: 1\n{text}")
        flow = resolve(manifest, cwd=HERE, profile=profile)
        graph, source = build(flow, catalogue(), self.inputs, self.read_data)
        for flag in wishes.keys() & {"selected", "forced", "resend"}:
            wishes[flag] = frozenset(map(parse, wishes[flag]))
        sources = Sources(catalogue(), self.results, self.ledger, self.picks, self.inputs)
        return Planner(graph, source, sources, Wishes(provider, **wishes))

    def read_data(self, path: Path) -> bytes:
        return self.data[path.relative_to(HERE).as_posix()]

    def plan(self, nodes: str, **wishes) -> Plan:
        return make_plan(self.planner(nodes, **wishes))

    def step(self, nodes: str, address: str, **wishes) -> Step:
        return self.plan(nodes, **wishes).steps[parse(address)]

    def decisions(self, nodes: str, **wishes) -> dict[str, str]:
        return {str(step.address): step.decision.value for step in self.plan(nodes, **wishes).steps.values()}

    # -- making

    def apply(self, nodes: str, **wishes) -> list[str]:
        """Plan, then make everything that runs; the units that were made, in order."""
        planner = self.planner(nodes, **wishes)
        plan = make_plan(planner)
        planner.known.clear()
        made: list[str] = []
        for address in sorted(plan.steps, key=list(planner.graph.instances).index):
            step = planner.decide(address)
            if any(take.decision is Decision.RUN for take in step.takes):
                made += self._carry_out(planner, step)
                continue
            planner.known[address] = outcome_of_step(step)
            if step.pick is not None:
                take = next(take for take in step.takes if take.take == step.pick)
                self._flow(planner, address, take.result, take.forced)
        return made

    def _carry_out(self, planner: Planner, step: Step) -> list[str]:
        results: dict[int, Result] = {}
        made = []
        for take in step.takes:
            found = self.results.lookup([take.doc.key]).get(take.doc.key)
            if take.decision is Decision.RUN and (take.forced or not (found and found.results)):
                results[take.take] = self.make(take, planner, str(step.address))
                made.append(str(step.address.of_take(take.take)))
            elif take.decision in (Decision.RUN, Decision.HIT):
                results[take.take] = take.result or found.results[0]
        number = step.pick or min(results)
        forced = any(take.forced for take in step.takes if take.take == number)
        asked = [results[take].outputs for take in sorted(results) if take <= step.wanted]
        planner.known[step.address] = Made(results[number].outputs, tuple(asked))
        self._flow(planner, step.address, results[number], forced)
        return made

    def _flow(self, planner: Planner, address: Address, result: Result, forced: bool) -> None:
        flow, now = planner.graph.flow, self.tick()
        self.results.flowed(planner.wishes.provider, flow.name, flow.profile, str(address), result, now)
        self.picks.set(Pick(result.recipe, result.take, result.id, "forced" if forced else "default", now))

    def make(self, take: TakeStep, planner: Planner, address: str, *, data: str | None = None) -> Result:
        """A result of the take, with bytes of its own unless `data` is given. Records no pick."""
        self.made += 1
        doc, flow = take.doc, planner.graph.flow
        content = (data or f"file {self.made}").encode()
        files = (StoredFile(self.blobs.put(io.BytesIO(content)), FACTS[doc.produces]),)
        result = Result(
            id=ResultId(f"r{self.made}"),
            key=doc.key,
            recipe=doc.recipe,
            task=TaskId(f"t{self.made}"),
            provider=doc.provider,
            operation=doc.operation,
            model=doc.model,
            take=doc.take,
            outputs=files,
            ingredients=doc.ingredients,
            origin={"flow": flow.name, "profile": flow.profile, "address": f"{address}#{doc.take}"},
            committed_at=self.tick(),
        )
        self.results.commit(result)
        return result

    def pick(self, result: Result, by: str = "user") -> None:
        self.picks.set(Pick(result.recipe, result.take, result.id, by, self.tick()))

    def lose(self, result: Result) -> None:
        del self.blobs.content[result.outputs[0].digest.sha256]

    def damage(self, result: Result) -> None:
        self.blobs.content[result.outputs[0].digest.sha256] = b""

    # -- at the API

    def claimed(self, take: TakeStep, *, forced: bool = False) -> Claim:
        origin = Origin("store", "p", "flow", "", "flow.yaml", f"x#{take.take}", forced=forced)
        answer = self.ledger.claim(take.doc, origin, RUN, OWNER)
        assert isinstance(answer, Mine)
        assert self.ledger.reserve(answer.claim, take.doc.model, 5, Limits()) == Granted()
        return answer.claim

    def intended(self, take: TakeStep, *, forced: bool = False) -> Intent:
        return self.ledger.intend(self.claimed(take, forced=forced), "digest", {})

    def submitted(self, take: TakeStep, *, forced: bool = False) -> TaskId:
        self.made += 1
        task = TaskId(f"task-{self.made}")
        self.ledger.submitted(self.intended(take, forced=forced), task)
        return task

    def lost(self, take: TakeStep, *, forced: bool = False) -> Intent:
        intent = self.intended(take, forced=forced)
        self.ledger.lost(intent, {"why": "reset"})
        self.ledger.release(intent.claim)
        return intent

    def settled(self, take: TakeStep, outcome: Failed | Succeeded = BROKE) -> TaskId:
        task = self.submitted(take)
        self.ledger.settle(task, outcome, 0)
        return task


def digest_of(text: str) -> Digest:
    return of_bytes(text.encode())


__all__ = ["Barred", "Desk", "DictInputs", "Skipped", "digest_of"]
