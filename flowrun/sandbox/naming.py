"""The names a sandbox gives: task ids, upload ids, signed links. Owns how they are made and checked, all from numbers.

Nothing here is random, so that a fresh sandbox asked the same things at the same times answers the same. Links carry a token
shaped like the API's (three parts, `exp` inside), signed with a key that is no secret: it guards nothing but forgetfulness.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid

_KEY = b"flowrun sandbox"


def uuid4_of(*parts: object) -> str:
    """A UUID with the shape of version 4, from the digest of `parts`."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def token(path: str, expires: float) -> str:
    """A token that opens `path` until `expires` (seconds since 1970)."""
    claims = {"path": path, "exp": expires}
    body = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode(claims)}"
    return f"{body}.{_sign(body)}"


def opens(text: str, path: str, now: float) -> bool:
    """Whether `text` is a token for `path` that has not expired."""
    if not text.isascii():
        return False
    body, _, signature = text.rpartition(".")
    if not hmac.compare_digest(_sign(body), signature):
        return False
    claims = json.loads(_decode(body.partition(".")[2]))
    return bool(claims["path"] == path and now < claims["exp"])


def _sign(body: str) -> str:
    return _bare(hmac.digest(_KEY, body.encode(), "sha256"))


def _encode(value: object) -> str:
    return _bare(json.dumps(value, separators=(",", ":")).encode())


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _bare(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
