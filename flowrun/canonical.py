"""Canonical JSON (RFC 8785): one text for one value. Owns rfc8785; what goes into a key is decided in plan."""

from __future__ import annotations

import hashlib

import rfc8785


class CanonicalError(ValueError):
    """A value has no canonical form: NaN, an infinity, an integer beyond 2**53, a non-string key, a lone surrogate."""


def encode(value: object) -> bytes:
    """The canonical JSON of `value`. Numbers count by value: ``5.0`` and ``5`` are the same.

    Raises CanonicalError.
    """
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]  # its alias of JSON is recursive and invariant
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise CanonicalError(str(error)) from error


def sha256(value: object) -> str:
    """Hex SHA-256 of the canonical JSON of `value`."""
    return hashlib.sha256(encode(value)).hexdigest()
