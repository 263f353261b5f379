"""Uploads in two steps: a placeholder, then the file posted to storage. Owns both endpoints' rules.

Sources: the API's description (filename, type) and the behaviour that its SDKs rely on: fields in the order given, the file
last, 512 bytes to 200 MB, one file for a placeholder.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import Any

from flowrun.media.probe import NotMediaError, probe_bytes
from flowrun.media.types import type_of_extension
from flowrun.sandbox.books import Books
from flowrun.sandbox.messages import Issue, RefusalError, Request, Response, invalid, json_response
from flowrun.sandbox.multipart import MultipartError, Part, parse_form
from flowrun.sandbox.naming import token, uuid4_of
from flowrun.sandbox.records import Upload
from flowrun.sandbox.state import Blobs

MIN_BYTES, MAX_BYTES = 512, 200_000_000
PREFIX = "runway://uploads/"
STORAGE = "/storage/"


def create(books: Books, body: Any, *, base_url: str, ttl: float, salt: str, now: float) -> Response:
    """``POST /v1/uploads``: a placeholder and how to fill it."""
    filename = _filename(body)
    media_type = type_of_extension(PurePosixPath(filename).suffix)
    if media_type is None:
        raise invalid(Issue(("filename",), "The name should end in the extension of an image, video or sound."))
    upload_id = uuid4_of("upload", salt, books.count("ordinal:upload"))
    books.add_upload(Upload(upload_id, filename, media_type, now, now + ttl))
    answer = {"uploadUrl": base_url + STORAGE + upload_id, "fields": _form(upload_id, filename, media_type, now + ttl)}
    return json_response(200, {**answer, "runwayUri": PREFIX + upload_id})


def _filename(body: Any) -> str:
    issues = []
    filename = body.get("filename") if isinstance(body, dict) else None
    if not isinstance(filename, str) or not 3 <= len(filename) <= 255 or not filename.isprintable():
        issues.append(Issue(("filename",), "Expected a text of 3 to 255 characters.", "invalid_type"))
    if not isinstance(body, dict) or body.get("type") != "ephemeral":
        issues.append(Issue(("type",), 'Expected "ephemeral".', "invalid_value"))
    if issues:
        raise invalid(*issues)
    return str(filename)


def _form(upload_id: str, filename: str, media_type: str, expires: float) -> dict[str, str]:
    """The fields that the form must repeat."""
    key = f"{upload_id}/{filename}"
    return {"key": key, "Content-Type": media_type, "policy": token(STORAGE + upload_id, expires)}


def store(books: Books, blobs: Blobs, request: Request, now: float) -> Response:
    """``POST <uploadUrl>``: put the file there. No key is needed, the form's own fields are the right to do it."""
    upload = books.upload(request.path.removeprefix(STORAGE))
    if upload is None:
        raise RefusalError(404, "There is no such upload.")
    data = _file(upload, request, now)
    if upload.stored is not None:
        raise RefusalError(403, "A file was put here before. Ask for another upload.")
    sha256 = hashlib.sha256(data).hexdigest()
    blobs.write(f"inputs/{sha256}", data)
    try:
        facts = probe_bytes(data)
    except NotMediaError:
        facts = None
    books.fill_upload(upload.id, sha256, facts)
    return Response(204)


def _file(upload: Upload, request: Request, now: float) -> memoryview:
    """The bytes of the form's file, once the rest of the form is right."""
    try:
        parts = parse_form(request.headers.get("content-type", ""), request.body)
    except MultipartError as error:
        raise RefusalError(400, f"The form cannot be read: {error}.") from None
    places = [index for index, part in enumerate(parts) if part.name == "file"]
    if not places:
        raise RefusalError(400, "The form has no part named file.")
    _check_fields(upload, parts[: places[0]], now)
    return _sized(parts[places[0]])


def _check_fields(upload: Upload, before: list[Part], now: float) -> None:
    """What stands after the file is not looked at, so all fields must stand before it."""
    given = {part.name: bytes(part.data).decode("utf-8", "replace") for part in before}
    for name, value in _form(upload.id, upload.filename, upload.media_type, upload.expires).items():
        if given.pop(name, None) != value:
            raise RefusalError(403, f"The form's field {name} is missing before the file, or is not as it was given.")
    if extra := [name for name in given if name != "metadata"]:
        raise RefusalError(403, f"The form has a field that was not asked for: {extra[0]}.")
    if now >= upload.expires:
        raise RefusalError(403, "The time to put a file here is over. Ask for another upload.")


def _sized(part: Part) -> memoryview:
    size = len(part.data)
    if size < MIN_BYTES:
        raise RefusalError(400, f"The file is too small: {size} bytes, at least {MIN_BYTES} are needed.")
    if size > MAX_BYTES:
        raise RefusalError(400, f"The file is too large: {size} bytes, at most {MAX_BYTES} are taken.")
    return part.data


def find(books: Books, uri: str, now: float) -> Upload:
    """The stored upload behind a runway:// URI. Raises ValueError with what is wrong."""
    upload = books.upload(uri.removeprefix(PREFIX)) if uri.startswith(PREFIX) else None
    if upload is None:
        raise ValueError("There is no such upload.")
    if now >= upload.expires:
        raise ValueError("The upload has expired. Upload the file again.")
    if upload.stored is None:
        raise ValueError("No file was put into this upload.")
    return upload
