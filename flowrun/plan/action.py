"""From a request to an action: its document and its key. Owns what is in a key; one walk over the request builds both
what is sent (with marks for media and secrets) and what is hashed.

In the key: key-schema version, provider, API version, operation, the whole request with each media input as its digest,
the take number, the salt. Never in it: names, paths, URLs (but for a hand-written upload URI), limits, retries,
timeouts, the values of secrets, a seed that flowrun derived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flowrun.action import ENV, MEDIA, TEXT, URI, ActionDoc, MediaInput
from flowrun.canonical import CanonicalError, sha256
from flowrun.graph.inputs import KnownMedia, Seen, UploadedMedia
from flowrun.graph.model import Instance
from flowrun.graph.outcomes import Artifact
from flowrun.graph.request import Request, WrittenMedia
from flowrun.ids import ActionKey, RecipeKey
from flowrun.operations.model import Path
from flowrun.runway.media_in import LARGEST_DATA_URI
from flowrun.template import EnvValue, SecretText

KEY_SCHEMA = 1


class ActionError(ValueError):
    """The request has no canonical form, so it has no key."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """An action but for its take: what was asked for, wholly known."""

    instance: Instance
    provider: str
    api_version: str
    request: Mapping[str, Any]
    inputs: Mapping[str, MediaInput]
    salt: Any
    credits: int | None

    def ingredients(self, take: int | None) -> dict[str, Any]:
        """What the key (with a take) or the recipe's own digest (without) is made of."""
        plain = {
            "schema": KEY_SCHEMA,
            "provider": self.provider,
            "api_version": self.api_version,
            "operation": self.instance.node.operation.name,
            "request": dict(self.request),
            "salt": self.salt,
        }
        return plain if take is None else {**plain, "take": take}

    @property
    def key(self) -> RecipeKey:
        return RecipeKey(_digest(self.ingredients(None)))

    def action(self, take: int) -> ActionDoc:
        """Raises ActionError."""
        ingredients = self.ingredients(take)
        key = ActionKey(_digest(ingredients))
        node = self.instance.node
        return ActionDoc(
            key=key,
            recipe=self.key,
            provider=self.provider,
            api_version=self.api_version,
            operation=node.operation.name,
            model=self.instance.model,
            path=node.operation.path,
            request=self.request,
            inputs=self.inputs,
            ingredients=ingredients,
            produces=node.operation.produces.value,
            take=take,
            seed=self._seed(key),
            credits=self.credits,
            timeout=node.decl.timeout,
        )

    def _seed(self, key: ActionKey) -> int | None:
        """The given seed, else one derived from the key, where the model accepts one: the key's first 32 bits."""
        if not self.instance.spec.accepts_seed:
            return None
        given = self.request.get("seed")
        return int(given) if given is not None else int(key[:8], 16)


def _digest(ingredients: Mapping[str, Any]) -> str:
    try:
        return sha256(ingredients)
    except CanonicalError as error:
        raise ActionError(f"the request has no canonical form: {error}") from error


def recipe_of(
    instance: Instance, request: Request, seen: Mapping[Path, Seen], *, provider: str, api_version: str, salt: Any,
    credits: int | None,
) -> Recipe:  # fmt: skip
    """The recipe of a request whose media are all known."""
    inputs: dict[str, MediaInput] = {}
    marked = _marked(request.value, (), seen, inputs)
    inputs = _limited(inputs, instance, request, seen)
    return Recipe(instance, provider, api_version, marked, inputs, salt, credits)


def _limited(
    inputs: Mapping[str, MediaInput], instance: Instance, request: Request, seen: Mapping[Path, Seen]
) -> dict[str, MediaInput]:
    """With the limits of data URIs where they are tighter than what is never exceeded anyway."""
    limits: dict[str, int] = {}
    for slot in instance.spec.slots(request.value):
        known = seen.get(slot.path)
        if isinstance(known, KnownMedia) and slot.data_uri_limit < LARGEST_DATA_URI:
            sha256 = known.digest.sha256
            limits[sha256] = min(slot.data_uri_limit, limits.get(sha256, LARGEST_DATA_URI))
    return {sha256: replace(each, data_limit=limits.get(sha256)) for sha256, each in inputs.items()}


def _marked(value: Any, path: Path, seen: Mapping[Path, Seen], inputs: dict[str, MediaInput]) -> Any:
    if isinstance(value, Mapping):
        return {name: _marked(each, (*path, name), seen, inputs) for name, each in value.items()}
    if isinstance(value, list):
        return [_marked(each, (*path, number), seen, inputs) for number, each in enumerate(value)]
    if isinstance(value, WrittenMedia | Artifact):
        return _media_mark(seen[path], inputs)
    if isinstance(value, EnvValue):
        return {TEXT: [{ENV: value.name}]}
    if isinstance(value, SecretText):
        return {TEXT: [{ENV: part.name} if isinstance(part, EnvValue) else part for part in value.parts]}
    return value


def _media_mark(seen: Seen, inputs: dict[str, MediaInput]) -> dict[str, str]:
    if isinstance(seen, UploadedMedia):
        return {URI: seen.uri}
    if not isinstance(seen, KnownMedia):
        raise TypeError(f"{type(seen).__name__} has no digest")
    known = inputs.get(seen.digest.sha256)
    if known is None or known.url is None:  # the same bytes twice: an address that serves them is worth keeping
        inputs[seen.digest.sha256] = MediaInput(seen.digest, seen.facts.media_type, seen.url)
    return {MEDIA: seen.digest.sha256}
