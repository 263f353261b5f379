"""Output links, their answers, and what may be built on them."""

from __future__ import annotations

import base64
import json

import pytest

from flowrun.media.probe import probe_bytes
from flowrun.sandbox.naming import opens, token, uuid4_of
from flowrun.sandbox.render import Render
from flowrun.sandbox.state import MemoryState
from tests.sandbox.visitor import BEGIN, PICTURE, Visitor, data_uri, png

FRAME = {"model": "gen4_turbo", "ratio": "1280:720", "duration": 2}


def test_a_link_is_good_for_a_day_and_renewed_by_asking() -> None:
    visitor = Visitor()
    task_id = visitor.create()
    url = visitor.url(task_id)
    path, _, query = url.partition("?")
    assert path.endswith("/text_to_image.png")
    assert query.startswith("_jwt=")
    first = visitor.send("GET", url, {})
    assert (first.status, first.headers["Content-Type"]) == (200, "image/png")
    visitor.wait(86_399)
    assert visitor.send("GET", url, {}).body == first.body
    visitor.wait(1)
    assert visitor.send("GET", url, {}).status == 403
    fresh = visitor.task(task_id)["output"][0]
    assert fresh != url
    assert visitor.send("GET", fresh, {}).body == first.body


def test_how_long_links_are_good_can_be_said() -> None:
    visitor = Visitor("{media: tiny, url_ttl: 5}")
    url = visitor.url(visitor.create())
    visitor.wait(4)
    assert visitor.send("GET", url).status == 200
    visitor.wait(1)
    assert visitor.send("GET", url).status == 403


@pytest.mark.parametrize("change", ["?_jwt=", "", "?_jwt=a.b.c", "?_jwt=ä"])
def test_no_link_no_output(change: str) -> None:
    visitor = Visitor()
    bare = visitor.url(visitor.create()).partition("?")[0]
    assert visitor.send("GET", bare + change).status == 403


def test_a_link_opens_its_own_output_only() -> None:
    visitor = Visitor()
    one, two = (visitor.url(visitor.create()) for _ in range(2))
    jwt = one.partition("?")[2]
    assert visitor.send("GET", two.partition("?")[0] + "?" + jwt).status == 403
    assert visitor.send("GET", one.replace(".png", ".jpg")).status == 404


def test_no_output_before_its_time() -> None:
    visitor = Visitor()
    task_id = visitor.create()
    path = f"/outputs/{task_id}/text_to_image.png"
    assert visitor.send("GET", f"{path}?_jwt={token(path, BEGIN + 99)}").status == 403


def test_ranges_and_heads() -> None:
    visitor = Visitor()
    url = visitor.url(visitor.create())
    whole = visitor.send("GET", url, {})
    size = len(bytes(whole.body))  # type: ignore[arg-type]
    head = visitor.send("HEAD", url, {})
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(size))
    assert head.headers["Accept-Ranges"] == "bytes"
    for text, begin, end in [("0-9", 0, 10), ("10-", 10, size), ("-7", size - 7, size), (f"5-{size * 2}", 5, size)]:
        part = visitor.send("GET", url, {"Range": f"bytes={text}"})
        assert (part.status, part.body) == (206, whole.body[begin:end])  # type: ignore[index]
        assert part.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{size}"
        assert part.headers["Content-Length"] == str(end - begin)
    for text in ("bytes=-", "bytes=0-1,4-5", "lines=0-1", "x"):
        assert visitor.send("GET", url, {"Range": text}).status == 200
    beyond = visitor.send("GET", url, {"Range": f"bytes={size}-"})
    assert (beyond.status, beyond.body, beyond.headers["Content-Range"]) == (416, b"", f"bytes */{size}")


def test_an_output_is_an_input_as_long_as_its_link_is_good() -> None:
    visitor = Visitor()
    url = visitor.url(visitor.create())
    film = visitor.made("image_to_video", FRAME, promptImage=url)
    assert probe_bytes(film).duration == pytest.approx(2, abs=0.1)
    again = visitor.made(
        "character_performance",
        {"model": "act_two", "character": {"type": "image", "uri": url}},
        reference={
            "type": "video",
            "uri": visitor.url(
                visitor.create(
                    "text_to_video", {"model": "veo3", "promptText": "x", "ratio": "1280:720", "duration": 8}
                )
            ),
        },
    )
    assert probe_bytes(again).duration == pytest.approx(8, abs=0.1)
    wrong = visitor.post("/v1/voice_isolation", {"model": "eleven_voice_isolation", "audioUri": url})
    assert wrong.json()["issues"][0]["message"] == "Expected audio, got image."
    visitor.wait(86_400)
    late = visitor.post("/v1/image_to_video", {**FRAME, "promptImage": url})
    assert late.status == 400
    assert "403" in late.json()["issues"][0]["message"]


def test_over_plain_http_its_own_links_are_taken_and_no_others() -> None:
    visitor = Visitor(base_url="http://127.0.0.1:8000/")
    url = visitor.url(visitor.create())
    assert url.startswith("http://127.0.0.1:8000/outputs/")
    assert visitor.post("/v1/image_to_video", {**FRAME, "promptImage": url}).status == 200
    images = [{"uri": visitor.upload(png()), "tag": "one"}, {"uri": url, "tag": "two"}]
    assert visitor.post("/v1/text_to_image", {**PICTURE, "referenceImages": images}).status == 200
    other = visitor.post("/v1/image_to_video", {**FRAME, "promptImage": "http://127.0.0.1:8001/outputs/a.png"})
    assert other.json()["issues"][0]["path"] == ["promptImage"]


def test_a_fresh_sandbox_makes_the_same_of_the_same() -> None:
    def story() -> list[object]:
        visitor = Visitor()
        url = visitor.url(visitor.create())
        made = [visitor.made(), visitor.made(), visitor.made(seed=3)]
        return [url, *made, visitor.made("image_to_video", FRAME, promptImage=url), visitor.upload(png())]

    assert story() == story()


def test_repeats_differ_seed_or_not_unless_they_should_not() -> None:
    visitor = Visitor()
    assert len({visitor.made(seed=1) for _ in range(3)} | {visitor.made() for _ in range(3)}) == 6
    same = Visitor("{media: tiny, identical: true}")
    assert len({same.made(seed=1) for _ in range(3)}) == 1
    assert visitor.made(seed=9) == same.made(seed=9)


def test_numbers_and_order_do_not_make_another_request() -> None:
    visitor = Visitor("{media: tiny, identical: true}")
    film = {"model": "veo3.1", "promptText": "x", "ratio": "1280:720", "duration": 4}
    back = dict(reversed([*film.items()]))
    assert visitor.made("text_to_video", film) == visitor.made("text_to_video", {**back, "duration": 4.0})


def test_salt_changes_ids_and_nothing_else() -> None:
    one, two = Visitor(), Visitor(salt="b")
    assert one.create() != two.create()
    assert one.made() == two.made()


def test_ids_look_like_random_ones() -> None:
    assert uuid4_of("a", 1)[14] == "4"
    assert uuid4_of("a", 1)[19] in "89ab"
    assert uuid4_of("a", 1) != uuid4_of("a1")


def test_tokens_look_like_those_of_the_api() -> None:
    text = token("/a", 5)
    claims = text.split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["exp"] == 5
    assert opens(text, "/a", 4.9)
    assert not opens(text, "/a", 5)
    assert not opens(text, "/b", 4)
    assert not opens(text[:-2], "/a", 4)


def test_an_output_is_made_once() -> None:
    state = MemoryState()
    visitor = Visitor(state=state)
    url = visitor.url(visitor.create())
    visitor.send("GET", url)
    with state.transaction() as books:
        digest = Render(books.tasks()[0].recipe, state.blobs).digest
    state.blobs.write(f"outputs/{digest}", b"as kept")
    assert visitor.send("GET", url).body == b"as kept"


def test_lost_inputs_are_said_to_be_lost() -> None:
    visitor = Visitor("media: normal")
    url = visitor.url(visitor.create(ratio="720:720", referenceImages=[{"uri": data_uri(png()), "tag": "ref"}]))
    visitor.sandbox.state.blobs.__init__()  # type: ignore[misc]
    with pytest.raises(FileNotFoundError, match="lost the bytes"):
        visitor.send("GET", url)
