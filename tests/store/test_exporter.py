"""Exports: placed whole, never over what somebody else put there, and never lost track of."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from flowrun.digest import of_bytes
from flowrun.files import UnsafePathError
from flowrun.media.facts import MediaKind
from flowrun.store.export_paths import (
    WrongKindError,
    check_path,
    claimed_kind,
    collisions,
    default_path,
    with_extension,
)
from flowrun.store.exporter import Export, ExportCollisionError, Exporter, FolderOwnedError, Outcome
from flowrun.store.memory import MemoryBlobs, MemoryExports
from flowrun.store.protocol import ExportedFile, ExportRecord, StoredFile
from tests.contract.store_kit import PNG, put


class Place:
    """An export folder with a store behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.blobs, self.records = folder, MemoryBlobs(), MemoryExports()

    def exporter(self, manifest: str = "film.yaml") -> Exporter:
        return Exporter(self.folder, "out/film", manifest, self.blobs, self.records)

    def export(self, path: str, data: bytes, output: str = "still", address: str = "hero") -> Export:
        return Export(path, StoredFile(put(self.blobs, data), PNG), output, address)

    def run(self, *wanted: Export, **options: bool) -> list[Outcome]:
        return [each.outcome for each in self.exporter().run(wanted, **options).placements]

    def on_record(self) -> list[str]:
        record = self.records.get("out/film")
        return [each.path for each in record.files] if record else []

    def files(self) -> dict[str, bytes]:
        found = (each for each in self.folder.rglob("*") if each.is_file())
        return {str(each.relative_to(self.folder)): each.read_bytes() for each in found}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "out" / "film")


def test_exports_are_placed_and_then_left_alone(place: Place) -> None:
    wanted = [place.export("hero.png", b"one"), place.export("shots/a.png", b"two", "shots", "shot[a]")]
    assert place.run(*wanted) == [Outcome.WRITTEN, Outcome.WRITTEN]
    assert place.files() == {"hero.png": b"one", "shots/a.png": b"two"}
    before = (place.folder / "hero.png").stat().st_mtime_ns
    assert place.run(*wanted) == [Outcome.UNCHANGED, Outcome.UNCHANGED]
    assert (place.folder / "hero.png").stat().st_mtime_ns == before
    assert place.records.get("out/film") == ExportRecord(
        "out/film", "film.yaml", tuple(ExportedFile(e.path, e.file.digest, e.output, e.address) for e in wanted)
    )


def test_what_we_left_is_replaced(place: Place) -> None:
    place.run(place.export("hero.png", b"one"))
    assert place.run(place.export("hero.png", b"longer")) == [Outcome.REPLACED]
    assert place.files() == {"hero.png": b"longer"}


@pytest.mark.parametrize("theirs", [b"edited", b"one", b"six"])
def test_what_is_not_as_we_left_it_is_kept(place: Place, theirs: bytes) -> None:
    if theirs != b"one":
        place.run(place.export("hero.png", b"one"))
    place.folder.mkdir(parents=True, exist_ok=True)
    (place.folder / "hero.png").write_bytes(theirs)
    assert place.run(place.export("hero.png", b"two")) == [Outcome.KEPT]
    assert place.files() == {"hero.png": theirs}
    assert place.run(place.export("hero.png", b"two"), overwrite=True) == [Outcome.REPLACED]
    assert place.run(place.export("hero.png", b"three")) == [Outcome.REPLACED]


def test_a_kept_file_is_ours_again_when_it_is_as_we_left_it(place: Place) -> None:
    place.run(place.export("hero.png", b"one"))
    (place.folder / "hero.png").write_bytes(b"edited")
    place.run(place.export("hero.png", b"two"))
    (place.folder / "hero.png").write_bytes(b"one")
    assert place.run(place.export("hero.png", b"two")) == [Outcome.REPLACED]


def test_identical_bytes_of_somebody_else_are_left_and_then_ours(place: Place) -> None:
    place.folder.mkdir(parents=True)
    (place.folder / "hero.png").write_bytes(b"one")
    assert place.run(place.export("hero.png", b"one")) == [Outcome.UNCHANGED]
    assert place.run(place.export("hero.png", b"two")) == [Outcome.REPLACED]


def test_a_link_is_not_what_we_left_and_is_not_followed(place: Place, tmp_path: Path) -> None:
    precious = tmp_path / "precious.png"
    precious.write_bytes(b"one")
    place.folder.mkdir(parents=True)
    (place.folder / "hero.png").symlink_to(precious)
    (place.folder / "gone.png").symlink_to(tmp_path / "nowhere")
    wanted = [place.export("hero.png", b"one"), place.export("gone.png", b"two")]
    assert place.run(*wanted) == [Outcome.KEPT, Outcome.KEPT]
    assert place.run(*wanted, overwrite=True) == [Outcome.REPLACED, Outcome.REPLACED]
    assert not (place.folder / "hero.png").is_symlink()
    assert precious.read_bytes() == b"one"


def test_a_folder_in_the_way_is_kept_even_from_overwriting(place: Place) -> None:
    (place.folder / "hero.png" / "x").mkdir(parents=True)
    (place.folder / "shots").write_bytes(b"a file")
    wanted = [place.export("hero.png", b"one"), place.export("shots/a.png", b"two")]
    assert place.run(*wanted, overwrite=True) == [Outcome.KEPT, Outcome.KEPT]


def test_orphans_are_listed_and_removed_only_when_asked(place: Place) -> None:
    hero, other = place.export("hero.png", b"one"), place.export("a/b/old.png", b"two", "old", "shot")
    place.run(hero, other)
    for _ in range(2):
        (orphan,) = place.exporter().run([hero]).orphans
        assert (orphan.file.path, orphan.changed, orphan.removed) == ("a/b/old.png", False, False)
    assert place.files().keys() == {"hero.png", "a/b/old.png"}
    (orphan,) = place.exporter().run([hero], prune=True).orphans
    assert orphan.removed
    assert place.files() == {"hero.png": b"one"}
    assert not (place.folder / "a").exists()
    assert place.exporter().run([hero]).orphans == ()


def test_pruning_spares_what_others_put_beside(place: Place) -> None:
    place.run(place.export("a/b/old.png", b"two"))
    (place.folder / "a" / "note.txt").write_text("mine")
    place.run(prune=True)
    assert place.files() == {"a/note.txt": b"mine"}
    assert not (place.folder / "a" / "b").exists()
    assert place.folder.exists()


def test_an_orphan_that_was_changed_is_told_once_and_never_removed(place: Place) -> None:
    place.run(place.export("hero.png", b"one"))
    (place.folder / "hero.png").write_bytes(b"edited")
    (orphan,) = place.exporter().run([], prune=True).orphans
    assert orphan.changed
    assert not orphan.removed
    assert place.files() == {"hero.png": b"edited"}
    assert place.exporter().run([], prune=True).orphans == ()


def test_what_a_run_did_not_make_keeps_its_export(place: Place) -> None:
    hero, shot = place.export("hero.png", b"one"), place.export("shot.png", b"two", "shot", "shot")
    place.run(hero, shot)
    report = place.exporter().run([hero], pending=[("shot", "shot")], prune=True)
    assert report.orphans == ()
    assert place.files().keys() == {"hero.png", "shot.png"}
    assert place.run(place.export("shot.png", b"three", "shot", "shot")) == [Outcome.REPLACED]


def test_a_moved_export_leaves_an_orphan(place: Place) -> None:
    place.run(place.export("hero.png", b"one"))
    (orphan,) = place.exporter().run([place.export("new.png", b"one")], prune=True).orphans
    assert orphan.removed
    assert place.files() == {"new.png": b"one"}


def test_a_new_spelling_of_one_file_is_no_orphan(place: Place) -> None:
    place.run(place.export("Hero.png", b"one"))
    os.link(place.folder / "Hero.png", place.folder / "hero.png")  # as a disk that ignores case would show it
    report = place.exporter().run([place.export("hero.png", b"one")], prune=True)
    assert report.orphans == ()
    assert (place.folder / "hero.png").exists()


def test_a_new_spelling_is_an_orphan_where_case_counts(place: Place) -> None:
    place.run(place.export("Hero.png", b"one"))
    place.blobs.content.clear()
    lost = place.export("hero.png", b"one")
    place.blobs.content.clear()
    report = place.exporter().run([lost])
    assert [each.outcome for each in report.placements] == [Outcome.DAMAGED]
    assert [each.file.path for each in report.orphans] == ["Hero.png"]


def test_a_folder_belongs_to_the_manifest_that_first_wrote_it(place: Place) -> None:
    place.run(place.export("hero.png", b"one"))
    other = place.exporter("other.yaml")
    with pytest.raises(FolderOwnedError, match=r"film\.yaml") as caught:
        other.run([place.export("other.png", b"two")])
    assert caught.value.owner == "film.yaml"
    assert place.files() == {"hero.png": b"one"}
    (place.folder / "hero.png").unlink()
    other.run([place.export("other.png", b"two")])
    with pytest.raises(FolderOwnedError):
        place.exporter().check_owner()


@pytest.mark.parametrize(
    "path", ["../up.png", "/etc/x.png", "a/../../x.png", "a\\b.png", "", "link/x.png", "link/a/x.png"]
)
def test_a_path_out_of_the_folder_is_refused_before_anything_is_written(
    place: Place, tmp_path: Path, path: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    place.folder.mkdir(parents=True)
    (place.folder / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafePathError):
        place.run(place.export("fine.png", b"one"), place.export(path, b"two"))
    assert place.files() == {}
    assert place.on_record() == []


def test_a_record_that_points_outside_removes_nothing(place: Place, tmp_path: Path) -> None:
    precious = tmp_path / "out" / "precious.png"
    precious.parent.mkdir()
    precious.write_bytes(b"one")
    files = (ExportedFile("../precious.png", of_bytes(b"one"), "still", "hero"),)
    place.records.set(ExportRecord("out/film", "film.yaml", files))
    assert place.exporter().run([], prune=True).orphans == ()
    assert precious.exists()


def test_two_exports_at_one_path_are_refused(place: Place) -> None:
    with pytest.raises(ExportCollisionError, match=r"a\.png and A\.png") as caught:
        place.run(place.export("a.png", b"one"), place.export("A.png", b"two"))
    assert caught.value.pairs == (("a.png", "A.png"),)
    assert place.files() == {}


def test_a_damaged_blob_is_not_exported_and_spares_the_others(place: Place) -> None:
    place.run(place.export("rot.png", b"good"))
    rot, gone, fine = (place.export(f"{name}.png", name.encode()) for name in ("rot", "gone", "fine"))
    place.blobs.content[rot.file.digest.sha256] = b"r0t"
    del place.blobs.content[gone.file.digest.sha256]
    assert place.run(rot, gone, fine) == [Outcome.DAMAGED, Outcome.DAMAGED, Outcome.WRITTEN]
    assert place.files() == {"rot.png": b"good", "fine.png": b"fine"}
    assert place.run(place.export("rot.png", b"better"), fine) == [Outcome.REPLACED, Outcome.UNCHANGED]


def test_a_survey_changes_nothing(place: Place) -> None:
    (surveyed,) = place.exporter().survey([place.export("hero.png", b"one")])
    assert surveyed.outcome is Outcome.WRITTEN
    assert surveyed.target == place.folder / "hero.png"
    assert not place.folder.exists()
    assert place.on_record() == []


def test_stale_temporary_files_are_swept_and_nothing_else(place: Place) -> None:
    place.run(place.export("hero.png", b"one"))
    now = time.time()
    old, fresh, other = (place.folder / name for name in (".tmp-abcd1234", ".tmp-abcd1235", ".tmp-mine.png"))
    for each in (old, fresh, other):
        each.write_bytes(b"half")
    for each in (old, other):
        os.utime(each, (now - 90_000, now - 90_000))
    place.exporter().sweep(now)
    assert not old.exists()
    assert fresh.exists()
    assert other.exists()


# -- names


@pytest.mark.parametrize(
    ("path", "media_type", "named", "corrected"),
    [
        ("hero", "image/png", "hero.png", False),
        ("shots/scene.1", "video/mp4", "shots/scene.1.mp4", False),
        ("hero.png", "image/jpeg", "hero.jpg", True),
        ("hero.tiff", "image/png", "hero.png", True),
        ("hero.JPEG", "image/jpg", "hero.JPEG", False),
        ("a.b.jpg", "image/jpeg", "a.b.jpg", False),
        ("v.mov", "video/mp4", "v.mp4", True),
        ("line.wav", "audio/x-wav", "line.wav", False),
        ("line.aiff", "audio/mpeg", "line.mp3", True),
        (".png", "image/png", ".png.png", False),
    ],
)
def test_a_path_gets_the_right_extension(path: str, media_type: str, named: str, corrected: bool) -> None:
    found = with_extension(path, media_type)
    assert (found.path, found.corrected) == (named, corrected)


@pytest.mark.parametrize(
    ("path", "media_type"), [("a.mp4", "image/png"), ("a.png", "audio/mpeg"), ("a.avi", "audio/mpeg")]
)
def test_an_extension_of_another_kind_is_an_error(path: str, media_type: str) -> None:
    with pytest.raises(WrongKindError) as caught:
        with_extension(path, media_type)
    assert caught.value.claimed == claimed_kind(path)


def test_the_kind_a_path_claims_is_known_before_anything_runs() -> None:
    assert [claimed_kind(each) for each in ("a.PNG", "a.wma", "a.webm", "a", "a.txt")] == [
        MediaKind.IMAGE,
        MediaKind.AUDIO,
        MediaKind.VIDEO,
        None,
        None,
    ]


def test_the_default_path_is_the_outputs_name() -> None:
    assert default_path("still", None, "png") == "still.png"
    assert default_path("shots", "intro", ".mp4") == "shots/intro.mp4"
    long, other = (default_path("shots", "\U0001f98a" * 79 + end, ".mp4") for end in "ab")
    assert long != other
    assert all(len(part.encode()) < 255 for part in long.split("/"))
    check_path(default_path("shots", "..", ".mp4"))


@pytest.mark.parametrize(
    ("paths", "clashes"),
    [
        (["a.png", "b.png"], ()),
        (["a.png", "A.PNG"], (("a.png", "A.PNG"),)),
        (["\u00e9.png", "e\u0301.png"], (("\u00e9.png", "e\u0301.png"),)),
        (["stra\u00dfe", "STRASSE"], (("stra\u00dfe", "STRASSE"),)),
        (["x", "x/y.png"], (("x", "x/y.png"),)),
        (["x/y.png", "X"], (("x/y.png", "X"),)),
        (["x/y.png", "x/z.png", "./x/y.png"], (("x/y.png", "./x/y.png"),)),
    ],
)
def test_paths_that_cannot_both_be_are_found(paths: list[str], clashes: tuple[tuple[str, str], ...]) -> None:
    assert collisions(paths) == clashes
