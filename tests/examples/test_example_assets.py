"""The examples' media: drawn by the tool, small, and usable as inputs."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from flowrun.media.probe import probe
from tests.examples.stage import EXAMPLES

TOOL = Path(__file__).parents[2] / "tools" / "make_example_assets.py"
MEDIA = (".png", ".jpg", ".mp4", ".mp3", ".wav")
SCARF = Path("fox-trailer", "refs", "scarf.png")


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_example_assets", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = load_tool()


def test_the_committed_assets_are_what_the_tool_draws() -> None:
    assert tool.main(["--check"]) == 0


def test_every_medium_is_the_tools_and_small() -> None:
    media = [path for path in EXAMPLES.rglob("*") if path.suffix in MEDIA and not {"out", ".flowrun"} & {*path.parts}]
    assert {path.relative_to(EXAMPLES).as_posix() for path in media} == set(tool.ASSETS)
    for path in media:
        assert 512 < path.stat().st_size < 100_000
        probe(path)


def test_two_drawings_have_equal_bytes(tmp_path: Path) -> None:
    assert tool.main(["--examples", str(tmp_path / "one")]) == tool.main(["--examples", str(tmp_path / "other")]) == 0
    assert (tmp_path / "one" / SCARF).read_bytes() == (tmp_path / "other" / SCARF).read_bytes()


def test_check_says_what_is_stale_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check = ["--check", "--examples", str(tmp_path)]
    assert tool.main(check) == 1
    assert not (tmp_path / SCARF).exists()
    tool.main(["--examples", str(tmp_path)])
    with Image.open(tmp_path / SCARF) as drawn:
        touched = drawn.convert("RGB")
    touched.putpixel((3, 3), (0, 0, 0))
    touched.save(tmp_path / SCARF)
    before = (tmp_path / SCARF).read_bytes()
    capsys.readouterr()
    assert tool.main(check) == 1
    assert "it shows another picture" in capsys.readouterr().err
    assert (tmp_path / SCARF).read_bytes() == before
    touched.resize((64, 64)).save(tmp_path / SCARF)
    assert tool.main(check) == 1
    assert "64 x 64" in capsys.readouterr().err


def test_a_large_asset_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "LARGEST", 1000)
    assert tool.main(["--examples", str(tmp_path)]) == 1
