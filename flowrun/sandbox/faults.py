"""Which of a scenario's faults hit a request, and what the request asks for itself by header. Owns matching and counting; the
service and the adapters do what they say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flowrun.canonical import sha256
from flowrun.sandbox.books import Books
from flowrun.sandbox.messages import RefusalError, Request, Response
from flowrun.sandbox.scenario import Deed, Fault, Scenario, bytes_of, read_deeds

HEADER = "x-flowrun-scenario"

MESSAGES = {
    401: "The key was not accepted.",
    429: "Too many requests. Wait before the next one.",
    500: "Something went wrong inside the sandbox, as its scenario asks.",
    502: "The sandbox is shedding load, as its scenario asks. Try again later.",
    503: "The sandbox is shedding load, as its scenario asks. Try again later.",
    504: "The sandbox was too busy to answer in time, as its scenario asks.",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What faults are matched by: the endpoint, whether a task is created there, and the model and prompt that the request
    is about, or empty."""

    place: str
    generates: bool
    model: str
    prompt: str


@dataclass(frozen=True, slots=True)
class Effects:
    """The deeds of all faults that hit one request."""

    deeds: tuple[Deed, ...] = ()

    @property
    def delay(self) -> float:
        return sum(deed.delay or 0.0 for deed in self.deeds)

    @property
    def lost_before(self) -> bool:
        return any(deed.lost == "before" for deed in self.deeds)

    @property
    def lost_after(self) -> bool:
        return any(deed.lost == "after" for deed in self.deeds)

    @property
    def outcome(self) -> Deed | None:
        """The first deed that decides how the task ends."""
        return next((deed for deed in self.deeds if deed.fail or deed.cancelled), None)

    @property
    def cut(self) -> int | None:
        return next((deed.cut for deed in self.deeds if deed.cut is not None), None)

    @property
    def takes(self) -> float | None:
        """Seconds that the task runs."""
        return next((deed.takes for deed in self.deeds if deed.takes is not None), None)

    @property
    def rate(self) -> int | None:
        """Bytes a second."""
        return next((bytes_of(deed.rate) for deed in self.deeds if deed.rate), None)

    @property
    def pad(self) -> int:
        return sum(bytes_of(deed.pad) for deed in self.deeds if deed.pad)

    @property
    def content_type(self) -> str | None:
        return next((deed.content_type for deed in self.deeds if deed.content_type), None)

    @property
    def wrong_content(self) -> str | None:
        return next((deed.wrong_content for deed in self.deeds if deed.wrong_content), None)

    @property
    def jump(self) -> float:
        return sum(deed.jump or 0.0 for deed in self.deeds)

    @property
    def tier(self) -> int | None:
        return next((deed.tier for deed in self.deeds if deed.tier), None)

    def refusal(self) -> Response | None:
        """The error answer that stands in for the real one, if any."""
        deed = next((deed for deed in self.deeds if deed.status), None)
        if deed is None or deed.status is None:
            return None
        if deed.body is not None:
            body = deed.body.encode()
            headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
            return Response(deed.status, {**headers, **(deed.headers or {})}, body)
        message = MESSAGES.get(deed.status, f"The sandbox answers {deed.status}, as its scenario asks.")
        return RefusalError(deed.status, message, headers=deed.headers).response()


def find(scenario: Scenario, books: Books, subject: Subject, request: Request) -> Effects:
    """The effects on one request, counted. Raises RefusalError where the request's own fault header cannot be read."""
    deeds = [
        fault.do for index, fault in enumerate(scenario.faults) if _fits(fault, subject) and _due(fault, index, books)
    ]
    return Effects((*deeds, *_asked(request)))


def _asked(request: Request) -> Iterable[Deed]:
    """What the request asks for itself, by header."""
    text = request.headers.get(HEADER)
    if text is None:
        return ()
    try:
        return read_deeds(text)
    except ValueError as error:
        raise RefusalError(400, f"The header {HEADER} cannot be read: {error}") from None


def _fits(fault: Fault, subject: Subject) -> bool:
    on, match = fault.on, fault.match
    if on not in ("any", subject.place) and not (on == "generations" and subject.generates):
        return False
    if match.model is not None and match.model != subject.model:
        return False
    return match.prompt is None or match.prompt in subject.prompt


def _due(fault: Fault, index: int, books: Books) -> bool:
    """Count one more matching request, and say whether it is one of those that are hit."""
    digest = sha256(fault.model_dump(mode="json"))[:16]
    count, nth, times = books.count(f"fault:{index}:{digest}"), fault.match.nth, fault.do.times
    if nth is None or nth == "every":
        return times is None or count <= times
    firsts = nth if isinstance(nth, list) else [nth]
    return any(first <= count < first + (times or 1) for first in firsts)
