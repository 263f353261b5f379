"""Texts of the outside made fit to be shown. Owns what is cut from them: keys, tokens, queries, data, control characters."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from flowrun.secret import MASK, Secret, mask

LONGEST = 400  # characters of a foreign text that a person is shown

_QUERY = re.compile(r"(https?://[^\s\"'<>?#]*)[?#][^\s\"'<>]*", re.IGNORECASE)
_USERINFO = re.compile(r"(https?://)[^\s/?#\"'<>@]*@", re.IGNORECASE)
_DATA = re.compile(r"(data:[\w.+/;=-]{0,80}),[^\s\"'<>]*", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")


def shown_url(url: str) -> str:
    """Scheme, host and path: what may be shown of a URL. User, query and fragment may carry a secret."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an unreadable URL"
    return clean(f"{parts.scheme}://{host}{parts.path}")


def clean(text: str, secret: Secret | None = None) -> str:
    """`text` on one line, shortened, without `secret`, keys, tokens, URL queries, data URIs and control characters."""
    if secret is not None and secret.reveal():
        text = text.replace(secret.reveal(), MASK)
    text = _QUERY.sub(rf"\1?{MASK}", _USERINFO.sub(r"\1", text))
    text = _CONTROLS.sub(" ", _DATA.sub(r"\1,…", mask(text))).strip()
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
