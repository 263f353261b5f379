"""What every store must do. A subclass gives the fixture `store`; memory and disk pass the same tests."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from flowrun.digest import Digest, of_bytes
from flowrun.ids import ActionKey, RecipeKey, ResultId, RunId, TaskId
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.store.protocol import (
    AmbiguousRunError,
    Blobs,
    Defect,
    ExportedFile,
    ExportRecord,
    Exports,
    FetchedUrl,
    Found,
    Pick,
    Picks,
    Result,
    Results,
    RunRow,
    Runs,
    StepRow,
    StoredFile,
    Upload,
    Uploads,
    Urls,
)

PNG = MediaFacts(MediaKind.IMAGE, "image/png", 64, 48)
MP4 = MediaFacts(MediaKind.VIDEO, "video/mp4", 64, 48, 1.5, ("h264", "aac"))
NOW = 1_780_000_000.0


@dataclass
class Stores:
    """One store's parts, and what a kit must be able to do to it from outside."""

    blobs: Blobs
    results: Results
    picks: Picks
    urls: Urls
    uploads: Uploads
    exports: Exports
    runs: Runs
    lose_blob: Callable[[Digest], None]
    overwrite_blob: Callable[[Digest, bytes], None]
    lose_index: Callable[[], None]


def key(name: object) -> ActionKey:
    return ActionKey(hashlib.sha256(f"key {name}".encode()).hexdigest())


def recipe(name: object) -> RecipeKey:
    return RecipeKey(hashlib.sha256(f"recipe {name}".encode()).hexdigest())


def put(blobs: Blobs, data: bytes) -> Digest:
    return blobs.put(io.BytesIO(data))


def result(name: object, *digests: Digest, named: str = "r1", at: float = NOW, **changes: Any) -> Result:
    """A result of the key of that name; `origin` says it was made at the address of that name."""
    made = Result(
        id=ResultId(named),
        key=key(name),
        recipe=recipe(name),
        task=TaskId(f"task-{named}"),
        provider="runway",
        operation="text_to_image",
        model="gen4_image",
        take=1,
        outputs=tuple(StoredFile(each, PNG) for each in digests),
        ingredients={"request": {"promptText": "a füchs \U0001f98a", "seed": 7}},
        origin={"flow": "trailer", "profile": "", "address": f"{name}#1", "manifest": "trailer.yaml"},
        committed_at=at,
    )
    return replace(made, **changes)


class StoreKit:
    @pytest.fixture
    def store(self) -> Stores:
        raise NotImplementedError

    # -- blobs

    def test_a_blob_comes_back_as_it_was_put(self, store: Stores) -> None:
        digest = put(store.blobs, b"pixels")
        assert digest == of_bytes(b"pixels")
        assert store.blobs.has(digest)
        assert store.blobs.verify(digest)
        with store.blobs.open(digest) as stream:
            assert stream.read() == b"pixels"
        path = store.blobs.path(digest)
        assert path is None or path.read_bytes() == b"pixels"

    def test_putting_again_changes_nothing(self, store: Stores) -> None:
        assert put(store.blobs, b"pixels") == put(store.blobs, b"pixels") == put(store.blobs, b"pixels")

    def test_the_empty_blob_is_one(self, store: Stores) -> None:
        assert store.blobs.verify(put(store.blobs, b""))

    def test_a_local_file_is_put(self, store: Stores, tmp_path: Path) -> None:
        local = tmp_path / "in.png"
        local.write_bytes(b"local" * 1000)
        assert store.blobs.put_file(local) == store.blobs.put_file(local) == of_bytes(b"local" * 1000)
        local.write_bytes(b"other")
        assert store.blobs.verify(of_bytes(b"local" * 1000))

    def test_an_absent_blob_is_absent(self, store: Stores) -> None:
        absent = of_bytes(b"never put")
        assert not store.blobs.has(absent)
        assert not store.blobs.verify(absent)
        assert store.blobs.path(absent) is None
        with pytest.raises(KeyError):
            store.blobs.open(absent)

    def test_a_blob_of_another_size_is_not_there(self, store: Stores) -> None:
        digest = put(store.blobs, b"pixels")
        assert not store.blobs.has(Digest(digest.sha256, 5))
        store.overwrite_blob(digest, b"pix")
        assert not store.blobs.has(digest)
        assert not store.blobs.verify(digest)
        assert store.blobs.path(digest) is None

    def test_rot_is_found_by_verifying_and_healed_by_putting(self, store: Stores) -> None:
        digest = put(store.blobs, b"pixels")
        store.overwrite_blob(digest, b"pixelz")
        assert store.blobs.has(digest)
        assert not store.blobs.verify(digest)
        put(store.blobs, b"pixels")
        assert store.blobs.verify(digest)

    def test_a_writer_shows_what_it_has_before_it_commits(self, store: Stores) -> None:
        with store.blobs.writer() as writer:
            writer.write(b"pix")
            writer.write(b"els")
            assert writer.path.read_bytes() == b"pixels"
            assert not store.blobs.has(of_bytes(b"pixels"))
            assert writer.commit() == of_bytes(b"pixels")
        assert store.blobs.verify(of_bytes(b"pixels"))
        assert not writer.path.exists()

    def test_a_writer_left_without_commit_leaves_nothing(self, store: Stores) -> None:
        paths = []

        def begin() -> None:
            with store.blobs.writer() as writer:
                paths.append(writer.path)
                writer.write(b"pixels")
                if len(paths) == 2:
                    raise ZeroDivisionError

        begin()
        with pytest.raises(ZeroDivisionError):
            begin()
        assert not store.blobs.has(of_bytes(b"pixels"))
        assert not any(path.exists() for path in paths)

    # -- results

    def test_a_result_comes_back_whole(self, store: Stores) -> None:
        full = result(
            "hero",
            put(store.blobs, b"one"),
            seed=4_294_967_295,
            credits=20,
            submitted_at=NOW - 30.5,
            ended_at=NOW - 1,
            forced=True,
        )
        full = replace(full, outputs=(*full.outputs, StoredFile(put(store.blobs, b"two"), MP4)))
        store.results.commit(full)
        assert store.results.lookup([key("hero")]) == {key("hero"): Found((full,))}

    def test_keys_with_nothing_on_record_are_left_out(self, store: Stores) -> None:
        store.results.commit(result("hero"))
        assert set(store.results.lookup([key("hero"), key("else"), key("hero")])) == {key("hero")}
        assert store.results.lookup([]) == {}

    def test_several_results_of_a_key_come_oldest_first(self, store: Stores) -> None:
        blob = put(store.blobs, b"x")
        made = [result("hero", blob, named=name, at=NOW + at) for name, at in (("b", 2), ("a", 3), ("c", 1))]
        forced = replace(result("hero", blob, named="z", at=NOW + 9), forced=True)
        for each in (*made, forced):
            store.results.commit(each)
        found = store.results.lookup([key("hero")])[key("hero")]
        assert [each.id for each in found.results] == ["c", "b", "a", "z"]
        assert [each.forced for each in found.results] == [False, False, False, True]

    def test_commit_requires_the_blobs(self, store: Stores) -> None:
        digest = put(store.blobs, b"here")
        for bad in (of_bytes(b"not here"), Digest(digest.sha256, 99)):
            with pytest.raises(KeyError):
                store.results.commit(result("hero", digest, bad))
        assert store.results.lookup([key("hero")]) == {}
        assert not store.results.any_of("runway")
        assert store.results.by_blob(digest.sha256) == ()

    def test_the_same_id_again_changes_nothing(self, store: Stores) -> None:
        first = result("hero", put(store.blobs, b"x"))
        store.results.commit(first)
        store.results.commit(first)
        store.results.commit(replace(first, take=2, committed_at=NOW + 5, origin={**first.origin, "address": "b#1"}))
        assert store.results.lookup([key("hero")])[key("hero")].results == (first,)
        assert store.results.last_at("runway", "trailer", "", "b#1") is None
        assert store.results.by_recipe(recipe("hero")) == (first,)

    def test_one_id_under_two_keys_is_two_results(self, store: Stores) -> None:
        store.results.commit(result("one"))
        store.results.commit(result("two"))
        assert len(store.results.lookup([key("one"), key("two")])) == 2

    def test_a_result_without_a_time_gets_one(self, store: Stores) -> None:
        store.results.commit(result("hero", at=0.0))
        assert store.results.lookup([key("hero")])[key("hero")].results[0].committed_at == NOW

    def test_a_missing_or_cut_blob_is_a_defect(self, store: Stores) -> None:
        gone, cut, fine = (put(store.blobs, data) for data in (b"gone", b"cutcut", b"fine"))
        store.results.commit(result("hero", fine, gone, named="a"))
        store.results.commit(result("hero", cut, named="b"))
        store.results.commit(result("hero", fine, named="c"))
        store.lose_blob(gone)
        store.overwrite_blob(cut, b"cut")
        found = store.results.lookup([key("hero")])[key("hero")]
        assert [each.id for each in found.results] == ["c"]
        assert found.defects == (("a", Defect.MISSING_BLOB), ("b", Defect.DAMAGED))
        put(store.blobs, b"gone")
        assert [each.id for each in store.results.lookup([key("hero")])[key("hero")].results] == ["a", "c"]

    def test_last_at_is_the_newest_made_or_used_there(self, store: Stores) -> None:
        old, new = result("hero", named="a", at=NOW), result("hero", named="b", at=NOW + 10)
        there = ("runway", "trailer", "", "hero#1")
        assert store.results.last_at(*there) is None
        store.results.commit(new)
        store.results.commit(old)
        assert store.results.last_at(*there) == new
        store.results.flowed(*there, old, NOW + 20)
        assert store.results.last_at(*there) == old
        store.results.flowed(*there, new, NOW + 20)
        assert store.results.last_at(*there) == new

    def test_last_at_keeps_provider_flow_profile_and_address_apart(self, store: Stores) -> None:
        made = result("hero")
        store.results.commit(made)
        store.results.flowed("runway", "trailer", "draft", "b#1", made, NOW + 1)
        assert store.results.last_at("runway", "trailer", "draft", "b#1") == made
        for other in (
            ("sandbox", "trailer", "", "hero#1"),
            ("runway", "teaser", "", "hero#1"),
            ("runway", "trailer", "draft", "hero#1"),
            ("runway", "trailer", "", "b#1"),
        ):
            assert store.results.last_at(*other) is None

    def test_without_its_index_last_at_falls_back_to_where_results_were_made(self, store: Stores) -> None:
        old, new = result("hero", named="a", at=NOW), result("hero", named="b", at=NOW + 10)
        there = ("runway", "trailer", "", "hero#1")
        store.results.commit(old)
        store.results.commit(new)
        store.results.flowed(*there, old, NOW + 20)
        store.lose_index()
        assert store.results.last_at(*there) == new
        assert store.results.by_recipe(recipe("hero")) == (old, new)

    def test_by_blob_finds_the_results_that_made_a_file(self, store: Stores) -> None:
        shared, own = put(store.blobs, b"shared"), put(store.blobs, b"own")
        two = result("two", own, shared, at=NOW + 2)
        one = result("one", shared, shared, at=NOW + 3)
        store.results.commit(one)
        store.results.commit(two)
        assert store.results.by_blob(shared.sha256) == (two, one)
        assert store.results.by_blob(own.sha256) == (two,)
        assert store.results.by_blob(of_bytes(b"else").sha256) == ()

    def test_by_recipe_gathers_the_takes(self, store: Stores) -> None:
        takes = [replace(result(f"hero{n}", at=NOW + n), recipe=recipe("hero"), take=n) for n in (2, 1)]
        for each in takes:
            store.results.commit(each)
        assert [each.take for each in store.results.by_recipe(recipe("hero"))] == [1, 2]
        assert store.results.by_recipe(recipe("else")) == ()

    def test_durations_are_the_newest_fifty_of_each_model(self, store: Stores) -> None:
        for n in range(60):
            store.results.commit(result(n, submitted_at=NOW + n, ended_at=NOW + n * 2))
        store.results.commit(result("v", model="veo3", operation="image_to_video", submitted_at=1.0, ended_at=4.5))
        store.results.commit(result("no times"))
        store.results.commit(result("odd clock", submitted_at=5.0, ended_at=4.0))
        found = store.results.durations("runway")
        assert found == {
            ("image_to_video", "veo3"): (3.5,),
            ("text_to_image", "gen4_image"): tuple(float(n) for n in range(59, 9, -1)),
        }
        assert store.results.durations("sandbox") == {}

    def test_any_of_tells_whether_a_provider_was_ever_used(self, store: Stores) -> None:
        assert not store.results.any_of("runway")
        store.results.commit(result("hero"))
        assert store.results.any_of("runway")
        assert not store.results.any_of("sandbox")

    # -- picks, URLs, uploads, exports

    def test_a_default_pick_never_replaces_another(self, store: Stores) -> None:
        first = Pick(recipe("hero"), 1, ResultId("r1"), "default", NOW, "hero")
        assert store.picks.get(first.recipe) is None
        store.picks.set(first)
        store.picks.set(replace(first, take=2, at=NOW + 1))
        assert store.picks.get(first.recipe) == first
        for by in ("forced", "user", "forced"):
            chosen = replace(first, take=3, result=ResultId(f"by {by}"), by=by, at=NOW + 2)
            store.picks.set(chosen)
            assert store.picks.get(first.recipe) == chosen
            store.picks.set(first)
            assert store.picks.get(first.recipe) == chosen
        assert store.picks.get(recipe("else")) is None

    def test_a_fetched_url_is_remembered(self, store: Stores) -> None:
        url = "https://example.com/ä.png?token=abc"
        assert store.urls.get(url) is None
        for etag in ('"v1"', None):
            fetched = FetchedUrl(url, of_bytes(b"x"), PNG, etag, NOW)
            store.urls.set(fetched)
            assert store.urls.get(url) == fetched
        assert store.urls.get("https://example.com/ä.png?token=abd") is None

    def test_an_upload_is_remembered_until_it_expires(self, store: Stores) -> None:
        upload = Upload("Studio & Söhne", of_bytes(b"x"), "runway://u1", NOW + 100)
        store.uploads.set(upload)
        assert store.uploads.get(upload.account, upload.digest, NOW + 99.9) == upload
        assert store.uploads.get(upload.account, upload.digest, NOW + 100) is None
        assert store.uploads.get("other", upload.digest, NOW) is None
        assert store.uploads.get(upload.account, of_bytes(b"y"), NOW) is None
        renewed = replace(upload, uri="runway://u2", expires_at=NOW + 200)
        store.uploads.set(renewed)
        assert store.uploads.get(upload.account, upload.digest, NOW + 100) == renewed

    def test_an_export_record_is_kept_by_folder(self, store: Stores) -> None:
        files = (ExportedFile("a/b.png", of_bytes(b"x"), "still", "hero"),)
        record = ExportRecord("out/trailer", "trailer.yaml", files)
        assert store.exports.get(record.folder) is None
        store.exports.set(record)
        store.exports.set(ExportRecord("out/other", "other.yaml"))
        assert store.exports.get(record.folder) == record
        store.exports.set(replace(record, files=()))
        assert store.exports.get(record.folder) == replace(record, files=())

    # -- runs

    def test_a_run_is_shown_as_it_went(self, store: Stores) -> None:
        run = RunRow(RunId("run-1"), "runway", "trailer", "", "trailer.yaml", NOW)
        store.runs.begin(run)
        assert store.runs.get("run-1") == (run, ())
        first = StepRow("hero", "running", "run", "new")
        done = StepRow("hero", "succeeded", "run", "new", key("hero"), ResultId("r1"), TaskId("t1"), 5, "fine")
        second = StepRow("shot[a]", "reused", "hit", "shared", key("shot"))
        for step in (first, second, done):
            store.runs.step(run.id, step)
        ended = replace(run, ended_at=NOW + 9, exit=0, submitted=1, credits=5, summary={"hit": 1, "of": ["a"]})
        store.runs.end(ended)
        assert store.runs.get("run-1") == (ended, (done, second))

    def test_runs_are_listed_newest_first(self, store: Stores) -> None:
        for n, manifest in enumerate(("a.yaml", "b.yaml", "a.yaml")):
            store.runs.begin(RunRow(RunId(f"r{n}"), "runway", "f", "", manifest, NOW + n))
        store.runs.begin(RunRow(RunId("twin"), "runway", "f", "", "a.yaml", NOW + 2))
        assert [run.id for run in store.runs.list()] == ["twin", "r2", "r1", "r0"]
        assert [run.id for run in store.runs.list("a.yaml", limit=2)] == ["twin", "r2"]
        assert store.runs.list("none.yaml") == ()

    def test_a_run_is_found_by_an_unambiguous_beginning(self, store: Stores) -> None:
        for name in ("abc1", "abc2", "abc", "x%y", "xzy"):
            store.runs.begin(RunRow(RunId(name), "runway", "f", "", "a.yaml", NOW))
        found = {text: row[0].id for text in ("abc1", "abc", "x%", "xz") if (row := store.runs.get(text))}
        assert found == {"abc1": "abc1", "abc": "abc", "x%": "x%y", "xz": "xzy"}
        assert store.runs.get("nobody") is None
        assert store.runs.get("") is None
        with pytest.raises(AmbiguousRunError) as caught:
            store.runs.get("ab")
        assert caught.value.candidates == ("abc", "abc1", "abc2")

    def test_the_journal_keeps_events_in_order(self, store: Stores) -> None:
        run = RunId("run-1")
        store.runs.journal(run, [{"event": "began", "at": NOW}, {"event": "ready", "nodes": ["a"]}])
        store.runs.journal(run, [])
        store.runs.journal(RunId("other"), [{"event": "else"}])
        store.runs.journal(run, [{"event": "ended"}])
        assert [each["event"] for each in store.runs.events(run)] == ["began", "ready", "ended"]
        assert store.runs.events(RunId("nobody")) == ()
