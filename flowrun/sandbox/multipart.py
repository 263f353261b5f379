"""A small, strict reader of ``multipart/form-data`` (RFC 7578), as a storage service takes it. Owns only the syntax."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BOUNDARY = re.compile(
    r"""multipart/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))""", re.IGNORECASE
)
_PARAMETER = re.compile(r"""([a-z*]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))""", re.IGNORECASE)


class MultipartError(ValueError):
    """The body is no well-formed form."""


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form, in the order sent. `filename`: None for a plain field."""

    name: str
    data: bytes
    filename: str | None = None
    content_type: str | None = None


def parse_form(content_type: str, body: bytes) -> list[Part]:
    """The parts of `body`. Raises MultipartError."""
    found = _BOUNDARY.match(content_type)
    if found is None:
        raise MultipartError("Content-Type names no boundary")
    mark = b"--" + (found[1] or found[2]).encode()
    first, *rest = (b"\r\n" + body).split(b"\r\n" + mark)
    if first.strip() or not rest or not rest[-1].startswith(b"--"):
        raise MultipartError("the form does not begin and end with its boundary")
    return [_part(raw) for raw in rest[:-1]]


def _part(raw: bytes) -> Part:
    head, separator, data = raw.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    headers = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    kind, _, rest = headers.get("content-disposition", "").partition(";")
    parameters = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
    if not separator or kind.strip().lower() != "form-data" or "name" not in parameters:
        raise MultipartError("a part is not a named field of a form")
    return Part(parameters["name"], data, parameters.get("filename"), headers.get("content-type"))
