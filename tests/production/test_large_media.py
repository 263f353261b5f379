"""The largest media there are, through the real program over HTTP: they are streamed, so its memory does not grow with them.

A real film is made large by an empty box (ISO/IEC 14496-12, 8.1.2), on disk as a hole, at the sandbox while it streams.
Memory is the peak of the whole process, as the system counts it, against that of the same run with small media.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flowrun.media.picture import PictureSpec, draw_picture
from flowrun.media.probe import probe
from tests.media import foreign
from tests.support.http_sandbox import KEY, HttpSandbox
from tests.support.http_sandbox import process as serving

pytestmark = pytest.mark.long

MOST_GROWTH = 64 << 20  # bytes
UPLOADED = 200_000_000  # bytes; the most that the API takes
DOWNLOADED = 2_000_000_000  # bytes
QUICK = "media: tiny\ndurations: {default: 0.2}\npoll: 0.05\n"
ACT = """
flowrun: 1
name: large
nodes:
  act:
    uses: character_performance
    with:
      model: act_two
      character: {type: image, uri: face.png}
      reference: {type: video, uri: act.mp4}
      ratio: "1280:720"
"""
FILM = """
flowrun: 1
name: large
nodes:
  film:
    uses: text_to_video
    with: {model: veo3.1, promptText: a fox, ratio: "1280:720", duration: 4, audio: false}
outputs: {film: "{{ nodes.film.output }}"}
"""


@dataclass
class Client:
    """A project of its own, applied by a process of its own."""

    root: Path
    manifest: str
    served: HttpSandbox

    def __post_init__(self) -> None:
        (self.root / ".git").mkdir(parents=True)
        (self.root / "flow.yaml").write_text(self.manifest)

    def apply(self) -> tuple[dict[str, Any], int]:
        """What `apply --json` says, and the peak of the process's memory in bytes."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RUNWAYML", "FLOWRUN"))}
        environ = kept | {"RUNWAYML_BASE_URL": self.served.url, "RUNWAYML_API_SECRET": KEY}
        line = [sys.executable, "-m", "flowrun", "apply", "flow.yaml", "--json"]
        with (self.root / "out.json").open("w") as out, (self.root / "err.txt").open("w") as err:
            started = subprocess.Popen(line, cwd=self.root, env=environ, stdout=out, stderr=err)
            _, status, usage = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
        assert started.returncode == 0, (self.root / "err.txt").read_text()
        return json.loads((self.root / "out.json").read_text()), usage.ru_maxrss * (
            1 if sys.platform == "darwin" else 1024
        )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """With room for a few copies of the largest, and empty again afterwards: pytest keeps the folders of some runs."""
    if shutil.disk_usage(tmp_path).free < 4 * DOWNLOADED:
        pytest.skip("too little room on the disk")
    yield tmp_path
    shutil.rmtree(tmp_path)


def of_size(path: Path, film: bytes, size: int) -> None:
    path.write_bytes(film + (size - len(film)).to_bytes(4, "big") + b"free")
    with path.open("r+b") as stream:
        stream.truncate(size)


def test_an_upload_of_200_mb(folder: Path) -> None:
    film = foreign.film("mp4", "libx264", 24 * 4)
    peaks = {}
    with serving(scenario=QUICK) as served:
        for size in (2_000_000, UPLOADED):
            client = Client(folder / str(size), ACT, served)
            (client.root / "face.png").write_bytes(draw_picture(PictureSpec(640, 360)))
            of_size(client.root / "act.mp4", film, size)
            assert probe(client.root / "act.mp4").duration == pytest.approx(4.0)
            said, peaks[size] = client.apply()
            assert said["submitted"] == 1
        assert served.report()["requests"]["storage"] == 2
    assert peaks[UPLOADED] - peaks[2_000_000] < MOST_GROWTH


def test_a_download_of_2_gb(folder: Path) -> None:
    """Cut once on its way, so that it goes on by itself."""
    peaks = {}
    for size in (2_000_000, DOWNLOADED):
        faults = f"  - {{on: download, do: {{pad: {size}}}}}\n"
        faults += f"  - {{on: download, match: {{nth: 1}}, do: {{cut: {size // 2}}}}}\n"
        with serving(scenario=f"{QUICK}faults:\n{faults}") as served:
            client = Client(folder / str(size), FILM, served)
            said, peaks[size] = client.apply()
            assert (said["submitted"], served.report()["requests"]["download"]) == (1, 2)
        [film] = (client.root / "out").rglob("*.mp4")
        assert film.stat().st_size > size
        assert probe(film).duration == pytest.approx(4.0)
        shutil.rmtree(client.root)
    assert peaks[DOWNLOADED] - peaks[2_000_000] < MOST_GROWTH
