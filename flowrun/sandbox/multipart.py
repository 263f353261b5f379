"""A small, strict reader of ``multipart/form-data`` (RFC 7578), as a storage service takes it. Owns only the syntax."""

from __future__ import annotations

import re
from dataclasses import dataclass
from mmap import mmap

_BOUNDARY = re.compile(
    r"""multipart/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))""", re.IGNORECASE
)
_PARAMETER = re.compile(r"""([a-z*]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))""", re.IGNORECASE)


class MultipartError(ValueError):
    """The body is no well-formed form."""


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form, in the order sent. `data`: a view of the form's body; `filename`: None for a plain field."""

    name: str
    data: memoryview
    filename: str | None = None
    content_type: str | None = None


def parse_form(content_type: str, body: bytes | mmap) -> list[Part]:
    """The parts of `body`. Raises MultipartError. A file may be large: nothing is copied."""
    found = _BOUNDARY.match(content_type)
    if found is None:
        raise MultipartError("Content-Type names no boundary")
    mark = b"\r\n--" + (found[1] or found[2]).encode()
    at = -2 if body[: len(mark) - 2] == mark[2:] else body.find(mark)  # the first may lack the line end before it
    if at == -1 or body[: max(0, at)].strip():
        raise MultipartError("the form does not begin with its boundary")
    parts, begin = [], at + len(mark)
    while (end := body.find(mark, begin)) != -1:
        parts.append(_part(body, begin, end))
        begin = end + len(mark)
    if body[begin : begin + 2] != b"--":
        raise MultipartError("the form does not end with its boundary")
    return parts


def _part(body: bytes | mmap, begin: int, end: int) -> Part:
    if body[begin : begin + 2] == b"\r\n":
        begin += 2
    gap = body.find(b"\r\n\r\n", begin, end)
    headers = {}
    for line in body[begin : max(begin, gap)].decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    kind, _, rest = headers.get("content-disposition", "").partition(";")
    parameters = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
    if kind.strip().lower() != "form-data" or "name" not in parameters:
        raise MultipartError("a part is not a named field of a form")
    data = memoryview(body)[gap + 4 : end]
    return Part(parameters["name"], data, parameters.get("filename"), headers.get("content-type"))
