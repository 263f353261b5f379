"""Bringing an https input into the store. Owns what is remembered of it; the rules of fetching are runway's."""

from __future__ import annotations

from flowrun.engine.failure import AttemptError, Failure, Verdict
from flowrun.media.errors import NotMediaError
from flowrun.media.probe import probe
from flowrun.production.binding import Bound
from flowrun.runway.errors import FetchError
from flowrun.secret import mask, without_query
from flowrun.store.protocol import FetchedUrl

LARGEST_INPUT = 200_000_000  # bytes; the API's own limit for an upload


async def fetch_input(url: str, at: Bound) -> None:
    """Fetch, probe, store, remember. Raises AttemptError: nothing was submitted for whoever needs it."""
    if at.options.offline:
        message = mask(
            f"{without_query(url)} was never fetched, and --offline fetches nothing. Nothing was submitted for it."
        )
        hint = "apply again without --offline"
        raise AttemptError(Failure(Verdict.FAIL, "input-not-fetched", message, hint, charged=0))
    try:
        fetched = await _fetched(url, at)
    except (FetchError, NotMediaError, OSError) as error:
        message = mask(f"{without_query(url)} cannot be used as an input: {error}. Nothing was submitted for it.")
        hint = "check the address, or download the file and name that"
        raise AttemptError(Failure(Verdict.FAIL, "input-not-fetched", message, hint, charged=0)) from error
    at.store.urls.set(fetched)
    at.inputs.fetched(url)


async def _fetched(url: str, at: Bound) -> FetchedUrl:
    from flowrun.runway.fetch import fetch, system_resolve
    from flowrun.runway.http import open_http, proxied
    from flowrun.runway.media_in import travels_by_url

    around, resolve = at.around, at.around.resolve or system_resolve
    pin = around.web is None and not proxied(url)
    async with open_http(around.web) as http:
        with at.store.blobs.writer() as writer:
            got = await fetch(http, url, writer.write, max_bytes=LARGEST_INPUT, resolve=resolve, pin=pin)
            facts = await around.offload(lambda: probe(writer.path))
            digest = writer.commit()
    by_url = travels_by_url(url, digest.size, facts.media_type, content_type=got.content_type, direct=got.direct)
    return FetchedUrl(url, digest, facts, got.etag, around.clock.now(), by_url)
