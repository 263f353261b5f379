"""What goes into the sandbox's one door and what comes out. Owns the shapes; carrying them is an adapter's.

An adapter (in process, or a socket server) turns what it received into a `Request`, hands the `Response` back as it says:
waits `delay`, breaks the connection where `lost`, stops a body after `cut` bytes, sends a `Content` piece by piece, and finishes
a `Download` off the event loop (`downloads.deliver`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from mmap import mmap
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flowrun.sandbox.content import Content
from flowrun.sandbox.render import Render

POLL_HEADER = "X-Flowrun-Sandbox"
CUSTOM = "custom"  # the code of an issue that no form of the schema has
DOC_URL = "https://docs.dev.runwayml.com/errors/errors/"
INVALID = "INVALID_REQUEST"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `path`: without query, percent-decoded; `headers`: names in lower case; `host`: the Host it named;
    `body`: a form with a file may be a mapped one."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | mmap = b""
    host: str = ""

    @classmethod
    def of(cls, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Request:
        """The request that a client makes for `url`."""
        parts = urlsplit(url)
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        return cls(method.upper(), parts.path, parts.query, lower, body, parts.netloc)

    def argument(self, name: str) -> str | None:
        """The first value of a query argument."""
        return parse_qs(self.query).get(name, [None])[0]

    @property
    def content_type(self) -> str:
        """The body's media type, without parameters, in lower case; empty where none is given."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Download:
    """A body that is media to be made when it is first wanted. `span`: the Range header as it came; `half`: silently cut
    in the middle; `head`: only the headers are wanted; `pad`: bytes of an empty box behind it; `rate`: bytes a second."""

    render: Render
    span: str | None = None
    half: bool = False
    head: bool = False
    pad: int = 0
    rate: int | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. `delay`: seconds it takes; `lost`: the connection breaks instead; `cut`: it breaks after so many bytes
    of the body, whose Content-Length is the whole."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Download | Content = b""
    delay: float = 0.0
    lost: bool = False
    cut: int | None = None

    def with_headers(self, headers: Mapping[str, str]) -> Response:
        return replace(self, headers={**self.headers, **headers})

    def json(self) -> Any:
        """The body read as JSON. Raises ValueError where it is none."""
        return json.loads(self.body if isinstance(self.body, bytes) else b"")


def json_response(status: int, value: object, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps(value, separators=(",", ":")).encode()
    fixed = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return Response(status, {**fixed, **(headers or {})}, body)


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing wrong with a request body: where, and why. `path` holds keys and indexes from the root, or within a union from
    it; `forms`: of a union, what is wrong with each of its forms."""

    path: tuple[str | int, ...]
    message: str
    code: str = CUSTOM
    forms: tuple[tuple[Issue, ...], ...] = ()

    def to_json(self) -> dict[str, object]:
        told: dict[str, object] = {"code": self.code, "path": list(self.path), "message": self.message}
        if self.forms:
            told["errors"] = [[issue.to_json() for issue in form] for form in self.forms]
        return told


class RefusalError(Exception):
    """The request is answered by an error. Raised anywhere below the door, answered at it."""

    def __init__(
        self, status: int, error: str, issues: tuple[Issue, ...] = (), headers: Mapping[str, str] | None = None
    ):
        super().__init__(error)
        self.status = status
        self.error = error
        self.issues = issues
        self.headers = dict(headers or {})

    def response(self, *, plain: bool = False) -> Response:
        """`plain`: as the API answered before it told issues: one sentence that names the first field."""
        body: dict[str, object] = {"error": self.error}
        if self.issues and plain:
            body["error"] = _sentence(self.issues[0])
        elif self.issues:
            body |= {"issues": [issue.to_json() for issue in self.issues], "code": INVALID, "docUrl": DOC_URL}
        return json_response(self.status, body, self.headers)


def _sentence(issue: Issue) -> str:
    """The reason is told of media only; why a value is wrong was to be looked up."""
    if not issue.path:
        return issue.message
    named = f"The parameter '{'.'.join(map(str, issue.path))}' is not valid"
    return f"{named}: {issue.message}" if issue.code == CUSTOM else f"{named}."


def invalid(*issues: Issue) -> RefusalError:
    """A 400 that names its fields, as the API words it: a summary and a list of issues."""
    fields = ", ".join(dict.fromkeys(".".join(map(str, issue.path)) or "body" for issue in issues))
    return RefusalError(400, f"Validation of the request failed: {fields}", issues)
