"""The sandbox behind a real socket: what clients rely on beyond the API's description, and connections broken on purpose."""

from __future__ import annotations

import json
import re
import socket
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from flowrun.media.probe import probe_bytes
from flowrun.sandbox import http as edge
from flowrun.sandbox import server as serving
from flowrun.sandbox.server import ListenError, listen
from flowrun.sandbox.state import MemoryState, SqliteState
from tests.sandbox.visitor import data_uri, form, png
from tests.support.http_sandbox import DEADLINE, HEADERS, QUICK, HttpSandbox, client, threaded, until

UNKNOWN = "17f20503-6c24-4c16-946b-35dbbce2af2f"


@pytest.fixture(scope="module")
def served() -> Iterator[HttpSandbox]:
    with threaded() as found:
        yield found


def fault(**deed: Any) -> dict[str, str]:
    return {"X-Flowrun-Scenario": json.dumps(deed)}


def error_of(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/json"
    assert isinstance(answer.json()["error"], str)
    return str(answer.json()["error"])


# what clients rely on


def test_a_creation_answers_200_with_a_v4_uuid(served: HttpSandbox) -> None:
    assert uuid.UUID(served.create()).version == 4


def test_a_task_has_no_output_before_its_end_and_never_changes_its_creation(served: HttpSandbox) -> None:
    task = served.create("text_to_video", model="veo3.1", duration=4)
    seen = [served.send("GET", f"/v1/tasks/{task}").json()]
    until(lambda: seen.append(served.send("GET", f"/v1/tasks/{task}").json()) or "output" in seen[-1], "the end")
    assert {each["createdAt"] for each in seen} == {seen[0]["createdAt"]}
    assert seen[0]["createdAt"].endswith("Z")
    assert all(("output" in each) == (each["status"] == "SUCCEEDED") for each in seen)
    assert all(("progress" in each) == (each["status"] == "RUNNING") for each in seen)


def test_a_failure_is_told(served: HttpSandbox) -> None:
    answer = served.send(
        "POST",
        "/v1/text_to_image",
        json={"model": "gen4_image", "promptText": "a fox", "ratio": "1280:720"},
        headers=fault(fail="INTERNAL.BAD_OUTPUT.CODE01"),
    )
    path = f"/v1/tasks/{answer.json()['id']}"
    task = until(lambda: (found := served.send("GET", path).json())["status"] == "FAILED" and found, "the failure")
    assert task["failure"]
    assert task["failureCode"] == "INTERNAL.BAD_OUTPUT.CODE01"
    assert "output" not in task


def test_deleting_answers_204_without_a_body_and_404_the_second_time(served: HttpSandbox) -> None:
    path = f"/v1/tasks/{served.create()}"
    first = served.send("DELETE", path, headers={"Content-Type": "application/json"})
    assert (first.status_code, first.content) == (204, b"")
    assert not {"content-length", "content-type", "transfer-encoding"} & set(first.headers)
    again = served.send("DELETE", path)
    assert again.status_code == 404
    assert error_of(again)
    assert served.send("GET", path).status_code == 404


@pytest.mark.parametrize("method", ["DELETE", "POST", "PATCH", "FETCH"])
def test_an_invented_cancel_is_refused_in_json_and_the_task_goes_on(served: HttpSandbox, method: str) -> None:
    task = served.create()
    answer = served.send(method, f"/v1/tasks/{task}/cancel")
    assert answer.status_code in (404, 405)
    assert error_of(answer)
    assert served.output(task)


def test_a_json_content_type_without_a_body_is_no_415(served: HttpSandbox) -> None:
    for method, path, status in [
        ("GET", "/v1/organization", 200),
        ("GET", f"/v1/tasks/{UNKNOWN}", 404),
        ("DELETE", f"/v1/tasks/{UNKNOWN}", 404),
        ("POST", "/v1/organization/usage", 200),
    ]:
        assert served.send(method, path, headers={"Content-Type": "application/json"}).status_code == status


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("GET", "/", {}, b"", 404),
        ("GET", "/v1/nothing%0Ahere", {}, b"", 404),
        ("GET", "/v1/text_to_image", {}, b"", 405),
        ("PUT", "/__sandbox__/state", {}, b"", 405),
        ("GET", "/v1/organization", {"Authorization": ""}, b"", 401),
        ("GET", "/v1/organization", {"X-Runway-Version": "2020-01-01"}, b"", 400),
        ("GET", f"/v1/tasks/{UNKNOWN}", {}, b"", 404),
        ("POST", "/v1/text_to_image", {"Content-Type": "text/plain"}, b"{}", 415),
        ("POST", "/v1/text_to_image", {"Content-Type": "application/json"}, b"{", 400),
        ("POST", "/v1/text_to_image", {"Content-Type": "application/json"}, b"[]", 400),
        ("POST", "/storage/nothing", {}, b"", 404),
        ("GET", "/outputs/nothing", {}, b"", 404),
    ],
)
def test_every_error_is_json_with_a_text(
    served: HttpSandbox, method: str, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = served.send(method, path, headers=headers, content=body)
    assert answer.status_code == status
    assert error_of(answer)
    assert answer.headers["x-flowrun-sandbox"] == "poll=0.02"


@pytest.mark.parametrize(
    ("operation", "body", "field"),
    [
        ("text_to_image", {"model": "gen4_image", "promptText": "a", "ratio": "1792:1024"}, "ratio"),
        ("text_to_video", {"model": "veo3.1", "promptText": "a", "ratio": "1280:720", "duration": 5}, "duration"),
        (
            "text_to_image",
            {
                "model": "gen4_image",
                "promptText": "a",
                "ratio": "1280:720",
                "referenceImages": [{"uri": "data:image/svg+xml;base64,PHN2Zy8+"}],
            },
            "referenceImages.0.uri",
        ),
        (
            "image_to_video",
            {
                "model": "gen4_turbo",
                "promptImage": "data:application/octet-stream;base64,iVBORw0KGgo=",
                "ratio": "1280:720",
                "duration": 5,
            },
            "promptImage",
        ),
    ],
)
def test_what_is_seen_in_the_wild_and_wrong_is_refused_by_name(
    served: HttpSandbox, operation: str, body: dict[str, Any], field: str
) -> None:
    answer = served.send("POST", f"/v1/{operation}", json=body)
    assert answer.status_code == 400
    named = [".".join(map(str, issue["path"])) for issue in answer.json()["issues"]]
    assert any(field.startswith(each) for each in named), named


def test_output_links_and_uploads_are_taken_side_by_side(served: HttpSandbox) -> None:
    references = [
        {"uri": served.output(served.create()), "tag": "first"},
        {"uri": uploaded(served, png())},
    ]
    assert served.output(served.create(referenceImages=references))


def test_polls_are_answered_however_often_they_come(served: HttpSandbox) -> None:
    path = f"/v1/tasks/{served.create()}"
    with client(base_url=served.url, headers=HEADERS) as keyed:
        assert {keyed.get(path).status_code for _ in range(50)} == {200}


# outputs


def test_an_output_needs_no_key_and_has_its_own_type_and_name(served: HttpSandbox) -> None:
    url = served.output(served.create())
    assert re.fullmatch(re.escape(served.url) + r"/outputs/[^?]+\.png\?_jwt=[^.]+\.[^.]+\.[^.]+", url)
    answer = served.web.get(url)
    assert answer.headers["content-type"] == "image/png"
    assert probe_bytes(answer.content).media_type == "image/png"
    assert served.web.get(url).content == answer.content


def test_head_and_range(served: HttpSandbox) -> None:
    url = served.output(served.create())
    whole = served.web.get(url).content
    head = served.web.head(url)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(whole)))
    part = served.web.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    outside = served.web.get(url, headers={"Range": f"bytes={len(whole)}-"})
    assert (outside.status_code, outside.headers["content-length"]) == (416, "0")


def test_an_error_to_head_has_no_body(served: HttpSandbox) -> None:
    answer = served.web.head(f"{served.url}/outputs/nothing")
    assert (answer.status_code, answer.content) == (404, b"")


def test_links_begin_with_the_bound_address_whatever_host_was_named(served: HttpSandbox) -> None:
    task = served.create()
    served.output(task)
    named = served.send("GET", f"/v1/tasks/{task}", headers={"Host": "api.example.com"}).json()["output"][0]
    assert named.startswith(served.url + "/outputs/")
    body = {"filename": "a.png", "type": "ephemeral"}
    answer = served.send("POST", "/v1/uploads", json=body, headers={"Host": "api.example.com"})
    assert answer.json()["uploadUrl"].startswith(served.url + "/storage/")


def test_http_elsewhere_is_not_taken(served: HttpSandbox) -> None:
    answer = served.send(
        "POST",
        "/v1/image_to_video",
        json={"model": "gen4_turbo", "promptImage": "http://example.com/a.png", "ratio": "1280:720", "duration": 5},
    )
    assert answer.status_code == 400
    assert answer.json()["issues"][0]["path"] == ["promptImage"]


# uploads


def uploaded(served: HttpSandbox, data: bytes, *, metadata: bool = False) -> str:
    answer = served.send("POST", "/v1/uploads", json={"filename": "a.png", "type": "ephemeral"}).json()
    fields = [*answer["fields"].items(), *([("metadata", "{}")] if metadata else [])]
    content_type, body = form(fields, data)
    stored = served.web.post(answer["uploadUrl"], content=body, headers={"Content-Type": content_type})
    assert stored.status_code == 204, stored.text
    return str(answer["runwayUri"])


def test_an_upload_is_taken_with_and_without_metadata(served: HttpSandbox) -> None:
    for metadata in (False, True):
        uri = uploaded(served, png(), metadata=metadata)
        assert served.output(served.create(referenceImages=[{"uri": uri, "tag": "fox"}]))


def test_a_small_upload_is_refused_at_the_storage(served: HttpSandbox) -> None:
    answer = served.send("POST", "/v1/uploads", json={"filename": "a.png", "type": "ephemeral"}).json()
    content_type, body = form(list(answer["fields"].items()), b"x" * 511)
    refused = served.web.post(answer["uploadUrl"], content=body, headers={"Content-Type": content_type})
    assert refused.status_code == 400
    assert "512" in error_of(refused)


# bounds


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_beyond_the_bound_is_a_413(served: HttpSandbox, monkeypatch: pytest.MonkeyPatch, declared: bool) -> None:
    monkeypatch.setattr(edge, "JSON_BYTES", 100_000)
    body = b"x" * 300_000
    with client(headers=HEADERS) as keyed:
        content = body if declared else iter([body[:150_000], body[150_000:]])
        answer = keyed.post(f"{served.url}/v1/text_to_image", content=content)
        assert answer.status_code == 413
        assert "100000 bytes" in error_of(answer)
        assert keyed.get(f"{served.url}/v1/organization").status_code == 200


def test_storage_has_a_bound_of_its_own(served: HttpSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "JSON_BYTES", 100)
    monkeypatch.setattr(edge, "STORAGE_BYTES", 1_000)
    address = f"{served.url}/storage/{UNKNOWN}"
    assert served.web.post(address, content=b"x" * 1_000).status_code == 404
    assert served.web.post(address, content=b"x" * 1_001).status_code == 413


def test_the_bounds_let_through_what_the_api_takes() -> None:
    assert edge.STORAGE_BYTES > 200_000_000
    assert edge.JSON_BYTES > 2 * 16_777_216


def test_a_client_that_goes_within_its_body_is_no_trouble(served: HttpSandbox) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(b"POST /v1/text_to_image HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
    assert served.send("GET", "/v1/organization").status_code == 200


# connections broken on purpose


def test_a_lost_answer_is_no_answer_and_was_carried_out(served: HttpSandbox) -> None:
    before = len(served.report()["submissions"])
    body = {"model": "gen4_image", "promptText": "lost", "ratio": "1280:720"}
    for when, more in (("before", 0), ("after", 1)):
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            served.send("POST", "/v1/text_to_image", json=body, headers=fault(lost=when))
        assert len(served.report()["submissions"]) == before + more


def test_a_lost_answer_is_a_reset(served: HttpSandbox) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), DEADLINE) as sock:
        sock.sendall(b'GET /v1/organization HTTP/1.1\r\nHost: x\r\nX-Flowrun-Scenario: {"lost": "after"}\r\n\r\n')
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


@pytest.mark.parametrize("cut", [0, 10, 1_000])
def test_a_cut_download_promises_the_whole_and_brings_a_part(served: HttpSandbox, cut: int) -> None:
    url = served.output(served.create())
    size = len(served.web.get(url).content)
    assert size > 1_000
    got = bytearray()
    with served.web.stream("GET", url, headers=fault(cut=cut)) as answer:
        assert answer.headers["content-length"] == str(size)
        with pytest.raises(httpx.RemoteProtocolError):
            collect(answer, got)
    assert len(got) == cut


def collect(answer: httpx.Response, into: bytearray) -> None:
    for chunk in answer.iter_bytes():
        into += chunk


def test_a_cut_beyond_the_end_cuts_nothing(served: HttpSandbox) -> None:
    url = served.output(served.create())
    assert served.web.get(url, headers=fault(cut=10_000_000)).status_code == 200


def test_a_slow_answer_holds_up_nobody_else(served: HttpSandbox) -> None:
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(served.send, "GET", "/v1/organization", headers=fault(delay=0.5))
        assert served.send("GET", "/v1/organization").status_code == 200
        assert not slow.done()
        assert slow.result(DEADLINE).elapsed.total_seconds() >= 0.5


def test_a_scripted_header_that_is_no_latin_breaks_nothing(served: HttpSandbox) -> None:
    answer = served.send("GET", "/v1/organization", headers=fault(status=503, headers={"X-Word": "\u6f22"}))
    assert answer.status_code == 503


def test_a_failure_of_the_state_is_json_too(monkeypatch: pytest.MonkeyPatch) -> None:
    state = MemoryState()
    with threaded(state=state) as served:
        task = served.create()
        url = served.output(task)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(state.blobs, "write", full)
        answer = served.web.get(url)
        assert answer.status_code == 500
        assert "No space left" in error_of(answer)
        assert served.send("GET", f"/v1/tasks/{task}").status_code == 200


# the state's page


def test_the_report_tells_what_a_test_wants_to_know() -> None:
    with threaded("media: tiny\ndurations: {default: 0.1}\ntier: 1\n") as served:
        films = [served.create("text_to_video", model="veo3.1", duration=4) for _ in range(3)]
        early = served.report()["tasks"]
        assert {early[film]["polls"] for film in films} == {0}
        for film in films:
            served.output(film)
        report = served.report()
    assert report["requests"]["text_to_video"] == 3
    assert report["requests"]["tasks"] == sum(task["polls"] for task in report["tasks"].values())
    assert (report["peak"], report["peak_running"]) == ({"veo3.1": 3}, {"veo3.1": 1})
    for task in report["tasks"].values():
        assert (task["model"], task["status"]) == ("veo3.1", "SUCCEEDED")
        assert task["created"] <= task["starts"] < task["ends"]
    gaps = [task["smallest_poll_interval"] for task in report["tasks"].values()]
    assert report["smallest_poll_interval"] == min(gap for gap in gaps if gap is not None) > 0
    assert report["charges"]["spent"] == 3 * 160
    assert report["lost"] == {}


def test_the_report_is_of_this_moment() -> None:
    with threaded() as served:
        task = served.create()
        until(lambda: served.report()["tasks"][task]["status"] == "SUCCEEDED", "the end, seen without a poll")
        assert served.report()["requests"] == {"text_to_image": 1}


# beginning and end


def test_state_in_a_folder_goes_on_where_it_was(tmp_path: Path) -> None:
    with threaded(state=SqliteState(tmp_path), salt="one") as served:
        task = served.create()
        uri = uploaded(served, png())
        data = served.web.get(served.output(task)).content
    with threaded(state=SqliteState(tmp_path), salt="two") as served:
        url = served.output(task)
        assert url.startswith(served.url)
        assert served.web.get(url).content == data
        later = served.create(referenceImages=[{"uri": uri, "tag": "fox"}, {"uri": data_uri(png()), "tag": "too"}])
        assert later != task
        assert served.output(later)
        assert len(served.report()["submissions"]) == 2


def test_it_stops_with_connections_open_and_requests_under_way() -> None:
    with ThreadPoolExecutor(1) as pool, client(headers=HEADERS) as idle:
        with threaded() as served:
            idle.get(f"{served.url}/v1/organization")
            slow = pool.submit(served.send, "GET", "/v1/organization", headers=fault(delay=60))
            until(lambda: served.report()["requests"]["organization"] == 2, "the slow request to be taken")
        with pytest.raises(httpx.HTTPError):
            slow.result(DEADLINE).raise_for_status()


def test_small_answers_are_sent_at_once() -> None:
    """asyncio turns Nagle's algorithm off for sockets that name TCP, and only for those."""
    with listen("127.0.0.1", 0).socket as sock:
        assert sock.proto == socket.IPPROTO_TCP


def test_a_port_in_use_is_told() -> None:
    taken = listen("127.0.0.1", 0)
    with taken.socket, pytest.raises(ListenError) as caught:
        listen("127.0.0.1", taken.port)
    assert caught.value.in_use


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_told(host: str) -> None:
    with pytest.raises(ListenError) as caught:
        listen(host, 0)
    assert not caught.value.in_use


@pytest.mark.parametrize(
    ("host", "url", "loopback"),
    [
        ("127.0.0.1", "http://127.0.0.1:", True),
        ("localhost", "http://", True),
        ("0.0.0.0", "http://127.0.0.1:", False),
        ("::1", "http://[::1]:", True),
        ("::", "http://[::1]:", False),
    ],
)
def test_where_links_lead(host: str, url: str, loopback: bool) -> None:
    if ":" in host and not ipv6():
        pytest.skip("this machine has no IPv6")
    listener = listen(host, 0)
    with listener.socket:
        assert listener.url.startswith(url)
        assert listener.url.endswith(f":{listener.port}")
        assert listener.is_loopback is loopback


def ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_over_ipv6_links_have_brackets() -> None:
    if not ipv6():
        pytest.skip("this machine has no IPv6")
    with threaded(host="::1") as served:
        assert served.web.get(served.output(served.create())).status_code == 200


def test_idle_connections_outlive_usual_clients() -> None:
    from flowrun.runway.http import KEEP_ALIVE

    assert serving.KEEP_ALIVE > 10 * KEEP_ALIVE


def test_many_at_once_are_all_answered() -> None:
    with threaded(QUICK) as served, ThreadPoolExecutor(16) as pool:
        tasks = list(pool.map(lambda _: served.create(), range(32)))
        assert len(set(tasks)) == 32
        sizes = list(pool.map(lambda task: len(served.web.get(served.output(task)).content), tasks))
        assert min(sizes) > 100
    assert threading.active_count() < 50
