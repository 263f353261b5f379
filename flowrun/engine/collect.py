"""From a succeeded task to a committed result: download, probe, blob, result, in that order. Owns what makes a result
complete; a task is settled only after this."""

from __future__ import annotations

from dataclasses import asdict

from flowrun import log
from flowrun.action import ActionDoc
from flowrun.engine.failure import AttemptError, Failure, Verdict
from flowrun.engine.follow import ask
from flowrun.engine.ports import Attempt, Ports
from flowrun.engine.verdicts import of_disk
from flowrun.media.facts import MediaFacts
from flowrun.media.probe import NotMediaError, normalized, same_kind
from flowrun.runway.errors import Afterwards, RunwayError, TransientError, UrlExpiredError
from flowrun.runway.media_in import OUTPUT_URL_LIFE, FreshUrl
from flowrun.runway.pace import poll_backoff, poll_delay
from flowrun.runway.policy import AFTERWARDS
from flowrun.runway.values import Downloaded, OutputUrl, Task
from flowrun.store.protocol import BlobWriter, Result, StoredFile, result_id_of

TRIES = 8  # of one download; the task keeps its output, so a later apply can go on


async def collect(attempt: Attempt, seen: Task, submitted_at: float) -> Result:
    """Bring all files of the task into the store and commit the result. Raises AttemptError; the task stays open."""
    try:
        files = [await _fetch(attempt, seen, number) for number in range(len(seen.outputs))]
        if not files:
            raise AttemptError(_no_output(seen))
        result = _result(attempt, seen, tuple(files), submitted_at)
        attempt.ports.results.commit(result)
    except OSError as error:
        raise AttemptError(of_disk(error, seen.id)) from error
    return result


def _result(attempt: Attempt, seen: Task, files: tuple[StoredFile, ...], submitted_at: float) -> Result:
    doc, origin, now = attempt.doc, attempt.origin, attempt.now()
    return Result(
        id=result_id_of(seen.id),
        key=doc.key,
        recipe=doc.recipe,
        task=seen.id,
        provider=doc.provider,
        operation=doc.operation,
        model=doc.model,
        take=doc.take,
        outputs=files,
        ingredients=doc.ingredients,
        origin=asdict(origin),
        seed=doc.seed,
        credits=seen.charged if seen.charged is not None else doc.credits,
        submitted_at=submitted_at,
        ended_at=now,
        committed_at=now,
        forced=origin.forced,
    )


async def _fetch(attempt: Attempt, seen: Task, number: int) -> StoredFile:
    """One output, with patience: an expired URL is renewed by asking for the task again."""
    outputs, failures, ports = seen.outputs, 0, attempt.ports
    while True:
        try:
            return await _download(attempt.doc, outputs[number], ports)
        except UrlExpiredError as error:
            failures = _count(failures, error, seen)
            await ports.clock.sleep(poll_delay(ports.rng, ports.poll_seconds()))
            outputs = (await ask(attempt, seen.id)).outputs
            if number >= len(outputs):
                raise AttemptError(_no_output(seen)) from error
        except (TransientError, NotMediaError) as error:
            failures = _count(failures, error, seen)
            await ports.clock.sleep(poll_backoff(failures, ports.rng))
        except RunwayError as error:
            raise AttemptError(_not_collected(seen, error)) from error


def _count(failures: int, error: Exception, seen: Task) -> int:
    log.say("engine", "not-downloaded", level=log.WARNING, task=seen.id, tries=failures + 1, message=str(error))
    if failures + 1 >= TRIES:
        raise AttemptError(_not_collected(seen, error)) from error
    return failures + 1


async def _download(doc: ActionDoc, url: OutputUrl, ports: Ports) -> StoredFile:
    with ports.blobs.writer() as writer:
        came = await ports.provider.download(url, writer.write)
        facts = await ports.offload(lambda: _probe(doc, writer, ports))
        digest = writer.commit()
    _compare(came, facts, doc)
    if same_kind(came.media_type or facts.media_type, facts.media_type):  # the API takes the server's word for the type
        ports.fresh[digest.sha256] = FreshUrl(url, ports.clock.now() + OUTPUT_URL_LIFE)
    return StoredFile(digest, facts)


def _probe(doc: ActionDoc, writer: BlobWriter, ports: Ports) -> MediaFacts:
    """Raises NotMediaError for what is no media, or media of another kind than the operation makes."""
    facts = ports.probe(writer.path)
    if facts.kind.value != doc.produces:
        raise NotMediaError(f"{doc.operation} makes {doc.produces}, but the file is {facts.media_type}")
    return facts


def _compare(came: Downloaded, facts: MediaFacts, doc: ActionDoc) -> None:
    """What the bytes are is what counts; a server that says otherwise is noted."""
    if came.media_type is not None and normalized(came.media_type) != facts.media_type:
        told = {"operation": doc.operation, "model": doc.model, "said": came.media_type, "found": facts.media_type}
        log.say("engine", "type-differs", level=log.WARNING, **told)


def _not_collected(seen: Task, error: Exception) -> Failure:
    """This node fails, this time; the others go on."""
    rule = AFTERWARDS[Afterwards.NOT_COLLECTED]
    message = f"{rule.what} (task {seen.id}: {error})"
    return Failure(Verdict.FAIL, Afterwards.NOT_COLLECTED.value, message, rule.change, seen.id, seen.charged)


def _no_output(seen: Task) -> Failure:
    rule = AFTERWARDS[Afterwards.NO_OUTPUT]
    message = f"{rule.what} (task {seen.id})"
    return Failure(Verdict.FAIL, Afterwards.NO_OUTPUT.value, message, rule.change, seen.id, seen.charged)
