"""From an action's document to the body that is sent: media by whichever way is valid at this moment, secrets by name,
the derived seed. Owns nothing that is kept but remembered uploads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, BinaryIO

from flowrun.action import ENV, MEDIA, TEXT, URI, ActionDoc, MediaInput
from flowrun.engine.failure import AttemptError, Failure, Verdict
from flowrun.engine.ports import Attempt, Ports, Run
from flowrun.media.types import extension
from flowrun.runway.errors import Afterwards, KeyRefusedError, RunwayError
from flowrun.runway.media_in import (
    CannotTravel,
    DataUri,
    NeedsUpload,
    Transport,
    Uploaded,
    Url,
    data_uri,
    transport_for,
)
from flowrun.runway.policy import AFTERWARDS
from flowrun.runway.values import Upload
from flowrun.secret import Secret
from flowrun.store.protocol import Upload as RememberedUpload


async def build_body(attempt: Attempt) -> dict[str, Any]:
    """The request as JSON. Uploads what has to be. Raises AttemptError; OSError from the store."""
    doc, ports = attempt.doc, attempt.ports
    media = {sha256: await _text_of(each, attempt) for sha256, each in doc.inputs.items()}
    body = {name: _filled(value, media, ports.env) for name, value in doc.request.items()}
    if doc.seed is not None:
        body["seed"] = doc.seed
    return body


async def prepare(attempt: Attempt) -> None:
    """Make the uploads that the body will need, so that no slot is held meanwhile. Raises AttemptError, OSError."""
    for each in attempt.doc.inputs.values():
        if isinstance(_transport(each, attempt.ports, attempt.run), NeedsUpload):
            await _upload(each, attempt)


def needs_preparing(doc: ActionDoc, ports: Ports, run: Run) -> bool:
    """Whether something has to be uploaded before the request can name it."""
    return any(isinstance(_transport(each, ports, run), NeedsUpload) for each in doc.inputs.values())


def _transport(media: MediaInput, ports: Ports, run: Run, *, uploads_work: bool = True) -> Transport:
    now, digest = ports.clock.now(), media.digest
    fetchable = digest.sha256 not in ports.unfetched
    remembered = ports.uploads.get(ports.account, digest, now)
    return transport_for(
        digest.size,
        media.media_type,
        data_limit=media.data_limit,
        fresh=ports.fresh.get(digest.sha256) if fetchable else None,
        remembered=Upload(remembered.uri, remembered.expires_at) if remembered else None,
        https=media.url if run.sends_urls and fetchable else None,
        now=now,
        uploads_work=uploads_work,
    )


def give_up_urls(attempt: Attempt, body: Mapping[str, Any]) -> bool:
    """The API could not fetch an input: from now on all that `body` gave by an address go another way. False: it gave none.
    What was sent counts: another request may have given the same addresses up meanwhile."""
    by_url = {sha256 for sha256, text in sent_media(attempt.doc.request, body) if text.startswith("https://")}
    attempt.ports.unfetched.update(by_url)
    return bool(by_url)


def sent_media(request: Any, body: Any) -> Iterator[tuple[str, str]]:
    """The sha256 of each media input in a document's `request`, with what stood for it in the `body` that was sent."""
    if isinstance(request, Mapping) and MEDIA in request:
        yield request[MEDIA], body
    elif isinstance(request, Mapping) and isinstance(body, Mapping):  # the other marks stand for texts
        for name, each in request.items():
            yield from sent_media(each, body[name])
    elif isinstance(request, list) and isinstance(body, list):
        for each, sent in zip(request, body, strict=True):
            yield from sent_media(each, sent)


async def _text_of(media: MediaInput, attempt: Attempt) -> str:
    """What stands in the request for one media input."""
    transport = _transport(media, attempt.ports, attempt.run)
    if isinstance(transport, NeedsUpload):
        transport = await _upload(media, attempt)
    if isinstance(transport, Uploaded):
        return transport.uri
    if isinstance(transport, Url):
        return transport.url.reveal()
    if isinstance(transport, DataUri):
        with attempt.ports.blobs.open(media.digest) as stream:
            return data_uri(media.media_type, stream.read())
    raise AttemptError(_cannot_travel(transport))


async def _upload(media: MediaInput, attempt: Attempt) -> Transport:
    """Upload and remember it; where uploads fail, whatever way is left."""
    ports, digest = attempt.ports, media.digest
    name = f"{digest.sha256[:16]}{extension(media.media_type)}"
    source: partial[BinaryIO] = partial(ports.blobs.open, digest)
    try:
        made = await ports.provider.upload(name, media.media_type, source, digest.size, ports.clock.now())
    except KeyRefusedError:
        raise
    except RunwayError as error:
        transport = _transport(media, ports, attempt.run, uploads_work=False)
        if isinstance(transport, CannotTravel):
            raise AttemptError(_cannot_travel(transport, error)) from error
        return transport
    ports.uploaded[made.uri] = ports.clock.now()
    ports.uploads.set(RememberedUpload(ports.account, digest, made.uri, made.expires_at))
    return Uploaded(made.uri)


def _cannot_travel(transport: Transport, error: Exception | None = None) -> Failure:
    reason = transport.reason if isinstance(transport, CannotTravel) else "no way is left"
    details = f" ({error})" if error else ""
    rule = AFTERWARDS[Afterwards.UPLOAD_FAILED]
    message = f"{rule.what} ({reason}{details})"
    return Failure(Verdict.FAIL, Afterwards.UPLOAD_FAILED.value, message, rule.change, charged=0)


def _filled(value: Any, media: Mapping[str, str], env: Mapping[str, Secret]) -> Any:
    """Marks replaced by what they stand for."""
    if isinstance(value, Mapping):
        if MEDIA in value:
            return media[value[MEDIA]]
        if URI in value:
            return value[URI]
        if TEXT in value:
            return "".join(env[part[ENV]].reveal() if isinstance(part, Mapping) else part for part in value[TEXT])
        return {name: _filled(each, media, env) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, media, env) for each in value]
    return value
