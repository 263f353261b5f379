"""An action: one request made concrete. Owns its document; plan builds it, the ledger keeps it, the engine carries it out.

A document is plain JSON, so that it can cross to another machine. Inside `request`, three marks stand for what is
put in at the last moment:

- ``{"$media": "<sha256>"}`` a media input, named by its content; `inputs` says what is known of it,
- ``{"$uri": "runway://..."}`` a hand-written upload URI, which cannot be read,
- ``{"$text": ["made for ", {"$env": "CLIENT"}]}`` text with the values of environment variables in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowrun.digest import Digest
from flowrun.ids import ActionKey, RecipeKey
from flowrun.secret import without_query

MEDIA = "$media"
URI = "$uri"
TEXT = "$text"
ENV = "$env"


@dataclass(frozen=True, slots=True)
class MediaInput:
    """The bytes behind one ``$media`` mark. `media_type` is the true one, by probing. `url`: an https address that serves
    just these bytes, where the user gave one. `data_limit`: characters that a data URI may have where these go, None: no
    fewer than anywhere."""

    digest: Digest
    media_type: str
    url: str | None = None
    data_limit: int | None = None

    def to_json(self) -> dict[str, Any]:
        url = self.url if self.url is None or without_query(self.url) == self.url else None  # a query may be a token
        plain = {"digest": self.digest.to_json(), "media_type": self.media_type, "url": url}
        return plain if self.data_limit is None else {**plain, "data_limit": self.data_limit}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MediaInput:
        return cls(Digest(**data["digest"]), data["media_type"], data.get("url"), data.get("data_limit"))


@dataclass(frozen=True, slots=True)
class ActionDoc:
    """Everything that is needed to carry out one generation, anywhere. `credits`: the estimate's upper end, None: unknown."""

    key: ActionKey
    recipe: RecipeKey
    provider: str
    api_version: str
    operation: str
    model: str
    path: str  # of the endpoint: /v1/text_to_image
    request: Mapping[str, Any]
    inputs: Mapping[str, MediaInput] = field(default_factory=dict)  # by sha256
    ingredients: Mapping[str, Any] = field(default_factory=dict)  # what the key is the digest of
    produces: str = "image"
    take: int = 1
    seed: int | None = None  # derived or given, where the model accepts one
    credits: int | None = None
    timeout: float | None = None  # seconds RUNNING at the API

    def to_json(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "inputs"}
        return {**plain, "inputs": {name: each.to_json() for name, each in self.inputs.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ActionDoc:
        """Raises KeyError or TypeError for what is no action document."""
        inputs = {name: MediaInput.from_json(each) for name, each in data["inputs"].items()}
        return cls(**{**data, "inputs": inputs})


def env_names(request: Any) -> set[str]:
    """Names of the environment variables whose values stand in a request."""
    if isinstance(request, Mapping):
        if ENV in request:
            return {str(request[ENV])}
        return {name for each in request.values() for name in env_names(each)}
    if isinstance(request, list | tuple):
        return {name for each in request for name in env_names(each)}
    return set()
