"""Every request body that flowrun sends while tests run, judged at their end by the API's own description.

Owns recording (hooks for `tests/conftest.py`) and the verdict. A body counts when flowrun's engine sent it; what a test hands to
the client itself is that test's own. Processes that tests start are not seen: they send what is sent here too. One body of each
shape is kept; xdist's workers hand theirs over when they end.

The judge shares no code with what made the body: it is a JSON Schema validator over the schemas of `schemas/`, with the rule of
the live API that no other field may stand beside those described. A pair of operation and model that both the description and
an overlay have may be as either says; a model that neither has is listed apart, since `--allow-unknown-models` may send it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

SCHEMAS = Path(__file__).parents[2] / "schemas"
DESCRIPTION, OVERLAYS = "runway-2024-11-06.json", "overlay-*.json"
SENDER = "flowrun.engine.submit"  # the module that calls `submit` where flowrun creates a task
SHORT = 64  # characters of a data URI that are kept; its length is remembered
_DATA, _LENGTH = "data:", "$length"


# -- recording


def shortened(value: Any) -> Any:
    """The body with data URIs cut; `lengthened` gives back one that is as long."""
    if isinstance(value, str) and value.startswith(_DATA) and len(value) > SHORT:
        return {_DATA: value[:SHORT], _LENGTH: len(value)}
    if isinstance(value, Mapping):
        return {name: shortened(each) for name, each in value.items()}
    return [shortened(each) for each in value] if isinstance(value, list | tuple) else value


def lengthened(value: Any) -> Any:
    if isinstance(value, dict):
        if _LENGTH in value:
            return value[_DATA].ljust(value[_LENGTH], "A")
        return {name: lengthened(each) for name, each in value.items()}
    return [lengthened(each) for each in value] if isinstance(value, list) else value


def shape(value: Any) -> str:
    """What makes two bodies alike to a schema, nearly: fields, numbers, short words, and how long texts are."""
    if isinstance(value, str):
        is_word = value.isascii() and len(value) < 24 and " " not in value
        return value if is_word else f"{value.partition(':')[0] if ':' in value[:8] else ''}~{len(value)}"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{name}={shape(each)}' for name, each in sorted(value.items()))}}}"
    return f"[{','.join(map(shape, value))}]" if isinstance(value, list | tuple) else repr(value)


@dataclass
class Recorder:
    """`bodies`: by path and shape, one body each, data URIs cut; `seen`: how many were sent."""

    bodies: dict[str, tuple[str, Any]] = field(default_factory=dict)
    seen: int = 0

    def note(self, path: str, body: Mapping[str, Any]) -> None:
        self.seen += 1
        short = shortened(body)
        self.bodies.setdefault(f"{path} {shape(short)}", (path, short))

    def to_json(self) -> str:
        return json.dumps({"seen": self.seen, "bodies": self.bodies})

    def take_in(self, text: str) -> None:
        other = json.loads(text)
        self.seen += other["seen"]
        self.bodies.update({name: (path, body) for name, (path, body) in other["bodies"].items()})

    def listen(self) -> Callable[[], None]:
        """Hear what the client is asked to send; the answer ends it."""
        from flowrun.runway.client import RunwayClient

        submit, request = RunwayClient.submit, RunwayClient._request

        def heard_submit(client: Any, path: str, body: Mapping[str, Any]) -> Any:
            if sys._getframe(1).f_globals.get("__name__") == SENDER:
                self.note(path, body)
            return submit(client, path, body)

        def heard_request(client: Any, method: str, path: str, body: Mapping[str, Any] | None, **more: Any) -> Any:
            if body is not None and path in SMALL:
                self.note(path, body)
            return request(client, method, path, body, **more)

        RunwayClient.submit, RunwayClient._request = heard_submit, heard_request  # type: ignore[method-assign]

        def stop() -> None:
            RunwayClient.submit, RunwayClient._request = submit, request  # type: ignore[method-assign]

        return stop


# -- judging

SMALL = ("/v1/uploads", "/v1/organization/usage")  # bodies that the client makes itself


@dataclass
class Judge:
    """`folder`: where the schemas are."""

    folder: Path = SCHEMAS

    @cached_property
    def description(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / DESCRIPTION).read_text(encoding="utf-8")))

    @cached_property
    def overlays(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.folder.glob(OVERLAYS))]

    @cached_property
    def operations(self) -> dict[str, str]:
        """Names by path."""
        return {entry["path"]: name for name, entry in self.description["operations"].items()}

    def schemas(self, path: str, body: Mapping[str, Any]) -> list[Any]:
        """Those of which one has to hold; none: an unknown model, or no endpoint that is described."""
        if path in SMALL:
            return [self.description["endpoints"][f"POST {path}"]["request"]]
        name, model = self.operations.get(path), body.get("model")
        found = [
            each.get("operations", {}).get(name, {}).get("models", {}).get(model)
            for each in (self.description, *self.overlays)
        ]
        return [each for each in found if each is not None]

    def verdict(self, recorder: Recorder) -> Verdict:
        found = Verdict(recorder.seen, len(recorder.bodies))
        for path, short in recorder.bodies.values():
            body = lengthened(short)
            schemas = self.schemas(path, body)
            name = f"{path} {body.get('model', '')}".strip()
            if not schemas:
                found.unknown.add(name)
                continue
            found.judged.add(name)
            complaints = [list(_complaints(schema, body)) for schema in schemas]
            if all(complaints):
                found.violations.append(f"{name}: {'; '.join(complaints[-1])}\n    {json.dumps(short)[:600]}")
        return found


def _complaints(schema: Any, body: Mapping[str, Any]) -> Iterator[str]:
    for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(body):
        yield f"{'.'.join(map(str, error.instance_path)) or 'body'}: {error.message[:200]}"
    described = schema.get("properties")
    if described is not None:
        yield from (f"{name}: not described" for name in body if name not in described)


@dataclass
class Verdict:
    """`judged`, `unknown`: endpoint and model. `shapes`: how many different bodies."""

    seen: int
    shapes: int
    judged: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        yield (
            f"{self.seen:,} requests sent by flowrun, of {self.shapes:,} shapes, to {len(self.judged)} endpoints and models "
            f"that are described: {len(self.violations)} violations"
        )
        if self.unknown:
            yield f"models that nothing describes, not judged: {', '.join(sorted(self.unknown))}"
        yield from (f"VIOLATION {each}" for each in self.violations)


# -- hooks

_RECORDER = pytest.StashKey[Recorder]()
_STOP = pytest.StashKey[Callable[[], None]]()
_VERDICT = pytest.StashKey[Verdict]()
_HANDED = "recorded_requests"


def pytest_configure(config: pytest.Config) -> None:
    recorder = config.stash[_RECORDER] = Recorder()
    if getattr(config.option, "dist", "no") == "no" or hasattr(config, "workerinput"):  # who hands out tests runs none
        config.stash[_STOP] = recorder.listen()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A worker has ended; one that crashed has handed nothing over."""
    text = getattr(node, "workeroutput", {}).get(_HANDED)
    if text is not None:
        node.config.stash[_RECORDER].take_in(text)


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    recorder = config.stash[_RECORDER]
    if hasattr(config, "workeroutput"):
        config.workeroutput[_HANDED] = recorder.to_json()
        return
    if recorder.bodies:
        verdict = config.stash[_VERDICT] = Judge().verdict(recorder)
        if verdict.violations and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    verdict = config.stash.get(_VERDICT, None)
    if verdict is not None:
        terminalreporter.section("requests, judged by the API's description")
        for line in verdict.lines():
            terminalreporter.write_line(line, red=line.startswith("VIOLATION"))


def pytest_unconfigure(config: pytest.Config) -> None:
    stop = config.stash.get(_STOP, None)
    if stop is not None:
        stop()
