"""A client for these tests: one sandbox in this process, virtual time, and requests as they are sent."""

from __future__ import annotations

import base64
import io
import json
import random
from typing import Any

from PIL import Image

from flowrun.media.sound import SoundKind, SoundSpec, make_sound
from flowrun.sandbox.inprocess import InProcess
from flowrun.sandbox.messages import Request, Response
from flowrun.sandbox.scenario import read_scenario
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import MemoryState, StateStore

BEGIN = 1_790_000_000.0  # 2026-09-21T13:33:20Z
HEADERS = {"Authorization": f"Bearer key_{'0' * 128}", "X-Runway-Version": "2024-11-06"}
PICTURE = {"model": "gen4_image", "promptText": "a fox", "ratio": "1280:720"}
FILM = {"model": "veo3.1", "promptText": "a fox runs", "ratio": "1280:720", "duration": 4}


class Visitor:
    def __init__(self, scenario: str = "media: tiny", *, state: StateStore | None = None, **more: Any) -> None:
        self.now = BEGIN
        self.sandbox = Sandbox(state or MemoryState(), scenario=read_scenario(scenario, "s.yaml"), **more)
        self.process = InProcess(self.sandbox, lambda: self.now)
        self._closes = state is None

    def __del__(self) -> None:
        if getattr(self, "_closes", False):
            self.sandbox.close()

    def send(self, method: str, url: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Response:
        whole = url if "://" in url else self.sandbox.base_url + url
        return self.process.exchange(Request.of(method, whole, HEADERS if headers is None else headers, body))

    def post(self, path: str, value: Any, **headers: str) -> Response:
        given = {**HEADERS, "Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return self.send("POST", path, given, json.dumps(value).encode())

    def create(self, operation: str = "text_to_image", body: Any = None, **change: Any) -> str:
        response = self.post(f"/v1/{operation}", {**(body or PICTURE), **change})
        assert response.status == 200, response.body
        return str(response.json()["id"])

    def task(self, task_id: str) -> dict[str, Any]:
        response = self.send("GET", f"/v1/tasks/{task_id}")
        assert response.status == 200, response.body
        return dict(response.json())

    def status(self, task_id: str) -> str:
        return str(self.task(task_id)["status"])

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def urls(self, task_id: str) -> list[str]:
        self.wait(max(0.0, self.sandbox.report()["tasks"][task_id]["ends"] - self.now))
        return list(self.task(task_id)["output"])

    def url(self, task_id: str) -> str:
        return self.urls(task_id)[0]

    def made(self, operation: str = "text_to_image", body: Any = None, **change: Any) -> bytes:
        response = self.send("GET", self.url(self.create(operation, body, **change)), {})
        assert response.status == 200
        assert isinstance(response.body, bytes)
        return response.body

    def balance(self) -> int:
        return int(self.send("GET", "/v1/organization").json()["creditBalance"])

    def upload(self, data: bytes, filename: str = "a.png") -> str:
        answer = self.post("/v1/uploads", {"filename": filename, "type": "ephemeral"}).json()
        assert self.put(answer, data).status == 204
        return str(answer["runwayUri"])

    def put(self, answer: dict[str, Any], data: bytes) -> Response:
        content_type, body = form(list(answer["fields"].items()), data)
        return self.send("POST", answer["uploadUrl"], {"Content-Type": content_type}, body)


def form(
    fields: list[tuple[str, str]], data: bytes | None, after: list[tuple[str, str]] | None = None
) -> tuple[str, bytes]:
    """A form with the file behind `fields`, and what comes after it."""

    def part(name: str, value: bytes, more: str = "") -> bytes:
        return f'--bound\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"

    parts = [part(name, value.encode()) for name, value in fields]
    if data is not None:
        parts.append(part("file", data, '; filename="a.png"\r\nContent-Type: image/png'))
    parts += [part(name, value.encode()) for name, value in after or []]
    return "multipart/form-data; boundary=bound", b"".join(parts) + b"--bound--\r\n"


def png(width: int = 64, height: int = 36, colour: str = "red") -> bytes:
    """A small picture, noisy enough to be over 512 bytes; the same each time."""
    image = Image.frombytes("L", (width, height), random.Random(1).randbytes(width * height)).convert("RGB")
    image.paste(Image.new("RGB", (width // 2, height), colour))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def sound(seconds: float) -> bytes:
    return make_sound(SoundSpec(SoundKind.EFFECT, seconds, tiny=True))


def data_uri(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
