"""The JSON of results, picks, URLs, uploads and export records. Owns their shape on disk; where they lie is others'.

Reading is strict about what is known and blind to what is not: a field of a newer flowrun is ignored, a wrong type is
a DocumentError. Never any other exception, whatever the bytes are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from types import NoneType
from typing import Any

from flowrun.digest import Digest
from flowrun.ids import ActionKey, RecipeKey, ResultId, TaskId
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.store.protocol import ExportedFile, ExportRecord, FetchedUrl, Pick, Result, StoredFile, Upload

FORMAT = 1
_HEX = frozenset("0123456789abcdef")


class DocumentError(ValueError):
    """Bytes that are no document of the kind asked for."""


def is_sha256(text: object) -> bool:
    return isinstance(text, str) and len(text) == 64 and _HEX.issuperset(text)


def dump(document: Mapping[str, Any]) -> bytes:
    """JSON for people to read too. Raises TypeError for what JSON does not have."""
    text = json.dumps({"format": FORMAT, **document}, indent=1, ensure_ascii=False, default=_plain)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"not JSON: {type(value).__name__}")


def load(data: bytes) -> dict[str, Any]:
    """The object in `data`. Raises DocumentError, for an unknown format too."""
    try:
        document = json.loads(data.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise DocumentError(str(error)) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DocumentError("not an object of a known format")
    return document


def _field(data: Mapping[str, Any], name: str, *kinds: type) -> Any:
    value = data.get(name)
    wrong_bool = isinstance(value, bool) and bool not in kinds
    if wrong_bool or not isinstance(value, kinds) or (isinstance(value, float) and not math.isfinite(value)):
        raise DocumentError(f"{name}: {type(value).__name__}")
    return value


def _objects(data: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    items = _field(data, name, list)
    if not all(isinstance(each, dict) for each in items):
        raise DocumentError(name)
    return list(items)


def digest_from_json(data: Mapping[str, Any]) -> Digest:
    if not is_sha256(data.get("sha256")) or _field(data, "size", int) < 0:
        raise DocumentError("digest")
    return Digest(data["sha256"], data["size"])


def _facts_from_json(data: Mapping[str, Any]) -> MediaFacts:
    codecs = data.get("codecs", [])
    if data.get("kind") not in set(MediaKind) or not isinstance(codecs, list):
        raise DocumentError("facts")
    return MediaFacts(
        MediaKind(data["kind"]),
        _field(data, "media_type", str),
        _field(data, "width", int, NoneType),
        _field(data, "height", int, NoneType),
        _field(data, "duration", int, float, NoneType),
        tuple(str(each) for each in codecs),
    )


def _stored_to_json(file: StoredFile) -> dict[str, Any]:
    return {**file.digest.to_json(), "facts": file.facts.to_json()}


def _stored_from_json(data: Mapping[str, Any]) -> StoredFile:
    return StoredFile(digest_from_json(data), _facts_from_json(_field(data, "facts", dict)))


def result_to_json(result: Result) -> dict[str, Any]:
    plain = {name: getattr(result, name) for name in Result.__slots__ if name != "outputs"}
    return {**plain, "outputs": [_stored_to_json(each) for each in result.outputs]}


def result_from_json(data: Mapping[str, Any]) -> Result:
    """Raises DocumentError."""
    time = (int, float, NoneType)
    return Result(
        id=ResultId(_field(data, "id", str)),
        key=ActionKey(_field(data, "key", str)),
        recipe=RecipeKey(_field(data, "recipe", str)),
        task=TaskId(_field(data, "task", str)),
        provider=_field(data, "provider", str),
        operation=_field(data, "operation", str),
        model=_field(data, "model", str),
        take=_field(data, "take", int),
        outputs=tuple(_stored_from_json(each) for each in _objects(data, "outputs")),
        ingredients=_field(data, "ingredients", dict),
        origin=_field(data, "origin", dict),
        seed=_field(data, "seed", int, NoneType),
        credits=_field(data, "credits", int, NoneType),
        submitted_at=_field(data, "submitted_at", *time),
        ended_at=_field(data, "ended_at", *time),
        committed_at=_field(data, "committed_at", int, float),
        forced=_field(data, "forced", bool),
    )


def pick_to_json(pick: Pick) -> dict[str, Any]:
    return {name: getattr(pick, name) for name in Pick.__slots__}


def pick_from_json(data: Mapping[str, Any]) -> Pick:
    """Raises DocumentError."""
    return Pick(
        RecipeKey(_field(data, "recipe", str)),
        _field(data, "take", int),
        ResultId(_field(data, "result", str)),
        _field(data, "by", str),
        _field(data, "at", int, float),
        _field(data, "address", str),
    )


def url_to_json(fetched: FetchedUrl, shown: str) -> dict[str, Any]:
    """`shown`: the URL as it may be read by people; the file's name tells whose it is."""
    entry = {"etag": fetched.etag, "fetched_at": fetched.fetched_at, "by_url": fetched.by_url}
    return {"url": shown, **entry, **_stored_to_json(StoredFile(fetched.digest, fetched.facts))}


def url_from_json(data: Mapping[str, Any], url: str) -> FetchedUrl:
    """Raises DocumentError."""
    stored = _stored_from_json(data)
    etag, at = _field(data, "etag", str, NoneType), _field(data, "fetched_at", int, float)
    return FetchedUrl(url, stored.digest, stored.facts, etag, at, data.get("by_url") is True)


def upload_to_json(upload: Upload) -> dict[str, Any]:
    entry = {"account": upload.account, "uri": upload.uri, "expires_at": upload.expires_at}
    return {**entry, **upload.digest.to_json()}


def upload_from_json(data: Mapping[str, Any]) -> Upload:
    """Raises DocumentError."""
    expires_at = _field(data, "expires_at", int, float)
    return Upload(_field(data, "account", str), digest_from_json(data), _field(data, "uri", str), expires_at)


def export_to_json(record: ExportRecord) -> dict[str, Any]:
    files = [
        {"path": each.path, **each.digest.to_json(), "output": each.output, "address": each.address}
        for each in record.files
    ]
    return {"folder": record.folder, "manifest": record.manifest, "files": files}


def _exported_from_json(data: Mapping[str, Any]) -> ExportedFile:
    names = (_field(data, "output", str), _field(data, "address", str))
    return ExportedFile(_field(data, "path", str), digest_from_json(data), *names)


def export_from_json(data: Mapping[str, Any]) -> ExportRecord:
    """Raises DocumentError."""
    files = tuple(_exported_from_json(each) for each in _objects(data, "files"))
    return ExportRecord(_field(data, "folder", str), _field(data, "manifest", str), files)
