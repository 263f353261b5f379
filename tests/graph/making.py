"""Graphs from YAML text: a manifest at /project, media and data files by name, nothing on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flowrun.diagnostics.codes import registry
from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.diagnostics.span import Span
from flowrun.digest import of_bytes
from flowrun.graph.address import Address, parse
from flowrun.graph.build import build
from flowrun.graph.inputs import InputError, KnownMedia, UnreadMedia
from flowrun.graph.model import Graph, Instance
from flowrun.graph.outcomes import Made, Outcome, Outcomes
from flowrun.graph.request import Request, make_request
from flowrun.graph.scope import ScopeSource
from flowrun.manifest import read, resolve
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.operations.catalogue import catalogue
from flowrun.store.protocol import StoredFile

HERE = Path("/project")
IMAGE = MediaFacts(MediaKind.IMAGE, "image/png", 1920, 1080)
VIDEO = MediaFacts(MediaKind.VIDEO, "video/mp4", 1280, 720, 5.0)
SOUND = MediaFacts(MediaKind.AUDIO, "audio/mpeg", duration=12.5)
BY_SUFFIX = {".png": IMAGE, ".mp4": VIDEO, ".mp3": SOUND}


class Inputs:
    """Every file of a known kind is there, but for those called `missing`; URLs are known once they are in `urls`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.urls: dict[str, MediaFacts] = {}

    def file(self, path: Path) -> KnownMedia:
        self.asked.append(str(path))
        if not path.is_relative_to(HERE):
            raise InputError("outside-project", f"{path} is outside", "move it")
        if path.stem == "missing" or path.suffix not in BY_SUFFIX:
            raise InputError("missing-file", f"no {path.name}", "write another")
        return KnownMedia(of_bytes(path.name.encode()), BY_SUFFIX[path.suffix], "file")

    def url(self, url: str, pin: str | None) -> KnownMedia | UnreadMedia:
        self.asked.append(url)
        if url not in self.urls:
            return UnreadMedia(url)
        return KnownMedia(of_bytes(url.encode()), self.urls[url], "url", url)

    def data(self, uri: str) -> KnownMedia:
        self.asked.append("data")
        return KnownMedia(of_bytes(uri.encode()), IMAGE, "data")


@dataclass
class Built:
    graph: Graph
    source: ScopeSource
    inputs: Inputs

    def instance(self, address: str) -> Instance:
        return self.graph.instances[parse(address)]

    def edges(self) -> set[tuple[str, str, str]]:
        """(source, kind, target) of all edges."""
        return {(str(e.source), e.kind.value, str(i.address)) for i in self.graph for e in i.edges}

    def request(self, address: str, **made: Outcome) -> Request:
        """What an instance asks for once others are made; keywords name nodes."""
        world = Outcomes({parse(name): outcome for name, outcome in made.items()})
        return self.request_in(address, world)

    def request_in(self, address: str, world: Outcomes) -> Request:
        instance = self.instance(address)
        return make_request(instance, self.source.full(instance.each, world, self.graph.fanouts))

    @property
    def addresses(self) -> list[str]:
        return [str(each.address) for each in sorted(self.graph, key=lambda each: each.order)]


@dataclass
class Project:
    """Where manifests are built. `files`: data files by path below the project, or absolute."""

    files: dict[str, str] = field(default_factory=dict)
    inputs: Inputs = field(default_factory=Inputs)

    def built(
        self, text: str, *cli_vars: str, demand: bool = True, profile: str | None = None, whole: bool = False
    ) -> Built:
        """`text`: a manifest without its first line, or the whole of it."""
        manifest = read(HERE / "flow.yaml", text=text if whole else f"flowrun: 1\n{text}")
        flow = resolve(manifest, cli_vars=cli_vars, cwd=Path("/cwd"), demand=demand, profile=profile)
        graph, source = build(flow, catalogue(), self.inputs, self.read_data)
        return Built(graph, source, self.inputs)

    def read_data(self, path: Path) -> bytes:
        name = path.relative_to(HERE).as_posix() if path.is_relative_to(HERE) else str(path)
        if name not in self.files:
            raise FileNotFoundError(2, "No such file or directory")
        return self.files[name].encode()

    def refused(self, text: str, *cli_vars: str, **options: object) -> Mistakes:
        with pytest.raises(DiagnosticError) as caught:
            self.built(text, *cli_vars, **options)  # type: ignore[arg-type]
        assert all(each.code in registry() for each in caught.value.diagnostics)
        return Mistakes(f"flowrun: 1\n{text}", self.files, caught.value.diagnostics)


@dataclass
class Mistakes:
    """What a manifest was refused for, its places as the text that stands there."""

    text: str
    files: dict[str, str]
    found: tuple[Diagnostic, ...]

    @property
    def codes(self) -> list[str]:
        return [each.code for each in self.found if each.is_error]

    @property
    def only(self) -> Diagnostic:
        assert len(self.found) == 1, self.found
        return self.found[0]

    @property
    def shown(self) -> str | None:
        """What stands at the place of the only one."""
        return self.at(self.only.span)

    @property
    def noted(self) -> list[str | None]:
        return [self.at(note.span) for note in self.only.notes]

    def at(self, span: Span | None) -> str | None:
        if span is None:
            return None
        name = Path(span.file).relative_to(HERE).as_posix() if Path(span.file).is_relative_to(HERE) else span.file
        lines = self.files.get(name, self.text).split("\n")
        return lines[span.line - 1][span.column - 1 : span.end_column - 1]


def built(text: str, *cli_vars: str, **options: object) -> Built:
    return Project().built(text, *cli_vars, **options)  # type: ignore[arg-type]


def refused(text: str, *cli_vars: str, **options: object) -> Mistakes:
    return Project().refused(text, *cli_vars, **options)


def made(name: str, facts: MediaFacts, *more: str) -> Made:
    """An outcome whose files' bytes are their names."""
    files = tuple(StoredFile(of_bytes(each.encode()), facts) for each in (name, *more))
    return Made(files, (files,))


def at(text: str) -> Address:
    return parse(text)


STILL = "{uses: text_to_image, with: {model: gen4_image, promptText: a fox, ratio: '1920:1080'}}"
_VOICE = "{type: runway-preset, presetId: Maya}"
LINE = f"{{uses: text_to_speech, with: {{model: eleven_multilingual_v2, promptText: hi, voice: {_VOICE}}}}}"


def shot(image: str, **more: str) -> str:
    """An image_to_video node from an expression (or `null`) for its picture, more inputs and node keys as YAML."""
    inputs = {"model": "gen4_turbo", "promptText": "it moves", "ratio": "'1280:720'", "duration": "5"}
    keys = {name: more.pop(name) for name in ("foreach", "when", "needs", "takes", "cache", "tags") if name in more}
    inputs |= more
    written = ", ".join(f"{name}: {value}" for name, value in inputs.items())
    extra = "".join(f", {name}: {value}" for name, value in keys.items())
    return f'{{uses: image_to_video, with: {{promptImage: "{image}", {written}}}{extra}}}'
