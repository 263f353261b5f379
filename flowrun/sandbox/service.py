"""The sandbox: an emulator of the Runway API as a pure core with one door. Owns the order in which a request is looked at.

`handle` is a function of the request, the state and the time it is told: no clock, no threads, no waiting, no network. What an
answer asks of the connection (to be slow, to break) it says in the `Response`; adapters do it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from mmap import mmap
from typing import Any, ClassVar

from flowrun.media.facts import MediaKind
from flowrun.operations.catalogue import Catalogue
from flowrun.operations.catalogue import catalogue as todays
from flowrun.sandbox import answers, downloads, faults, generations, organization, report, routes, uploads
from flowrun.sandbox.books import Books
from flowrun.sandbox.faults import Effects, Subject
from flowrun.sandbox.generations import Account
from flowrun.sandbox.inputs import Resolver
from flowrun.sandbox.messages import POLL_HEADER, Issue, RefusalError, Request, Response, invalid
from flowrun.sandbox.naming import uuid4_of
from flowrun.sandbox.routes import Route
from flowrun.sandbox.scenario import Scenario
from flowrun.sandbox.state import StateStore
from flowrun.sandbox.tiers import TIERS, Limits, Tier

API_VERSION = "2024-11-06"
BASE_URL = "https://sandbox.flowrun.invalid"  # a name that is reserved, so that it never leads anywhere
TIER, CREDITS = 3, 100_000
POLL, REALISTIC_POLL = 0.2, 5.0  # seconds between polls; the second is what the API asks of its clients


class _Unreadable:
    """The type of `UNREADABLE`."""


UNREADABLE = _Unreadable()


@dataclass(frozen=True, slots=True)
class Visit:
    """One request at its endpoint, with what it is answered from. `body`: JSON, None where there is none."""

    books: Books
    route: Route
    request: Request
    body: Any


class Sandbox:
    """One account at the emulated API, over one state.

    `tier` (1 to 5) and `credits`, with which the account begins, go before the scenario's, which go before the defaults:
    tier 3, 100,000 credits.
    `base_url`: where this sandbox is reached, no slash at its end; its links begin so. `salt`: changes the ids it gives,
    for a server whose clients may remember an earlier one's. `catalogue`: what is served; the one with the overlays that ship
    answers as today's API does.
    """

    def __init__(
        self,
        state: StateStore,
        *,
        tier: int | None = None,
        credits: int | None = None,  # the API's word, and nobody calls the builtin
        scenario: Scenario | None = None,
        realistic: bool = False,
        base_url: str = BASE_URL,
        salt: str = "",
        catalogue: Catalogue | None = None,
    ) -> None:
        self.state = state
        self.catalogue = catalogue or todays()
        self.base_url = base_url.rstrip("/")
        self._scenario = scenario or Scenario()
        self.tier = tier or self._scenario.tier or TIER
        self.credits = next(each for each in (credits, self._scenario.credits, CREDITS) if each is not None)
        self._realistic = realistic
        self._salt = salt

    @property
    def poll(self) -> float:
        """Seconds between two polls of one task that this sandbox allows."""
        usual = REALISTIC_POLL if self._realistic else POLL
        return usual if self._scenario.poll is None else self._scenario.poll

    @property
    def mark(self) -> str:
        """What `X-Flowrun-Sandbox` says on every answer."""
        return f"poll={self.poll:g}"

    def handle(self, request: Request, now: float) -> Response:
        """The answer to one request that arrived at `now` (seconds since 1970). One transaction on the state."""
        with self.state.transaction() as books:
            number = books.count("ordinal:request")
            try:
                response = self._answer(books, request, now)
            except RefusalError as refusal:
                response = self._refused(refusal)
        support = uuid4_of("request", self._salt, number).partition("-")[0]
        return response.with_headers({POLL_HEADER: self.mark, "apigw-requestid": support})

    def close(self) -> None:
        """Let go of the state's file; the next request opens it again."""
        self.state.close()

    def report(self, now: float | None = None) -> dict[str, Any]:
        """What was asked of this state so far, and what came of it, for tests; see `report.make`."""
        with self.state.transaction() as books:
            return report.make(books, self.credits, now, self._scenario.refund_delay)

    def _answer(self, books: Books, request: Request, now: float) -> Response:
        route = self._route(books, request)
        visit = Visit(books, route, request, _read(request.body) if route.takes_json else None)
        report.note_visit(books, route, now)
        effects = self._effects(visit)
        now = _time(books, effects, now)
        if effects.tier is not None:
            self._set_tier(books, effects.tier, now)
        if effects.lost_before:
            books.count("lost:before")
            return Response(0, lost=True, delay=effects.delay)
        if effects.lost_after:
            books.count("lost:after")
        try:
            response = effects.refusal() or self._carried_out(visit, effects, now)
        except RefusalError as refusal:
            response = self._refused(refusal)
        return replace(response, delay=effects.delay, lost=effects.lost_after)

    def _refused(self, refusal: RefusalError) -> Response:
        return refusal.response(plain=self._scenario.errors == "plain")

    def _route(self, books: Books, request: Request) -> Route:
        try:
            route = routes.find(self.catalogue, request.method, request.path)
        except RefusalError:
            books.count("request:unknown")
            raise
        books.count(f"request:{route.place}")
        return route

    def _effects(self, visit: Visit) -> Effects:
        """The scenario's faults for a request, which is matched by its own model and prompt, or its task's."""
        task = visit.books.task(visit.route.task_id) if visit.route.task_id else None
        if task is not None:
            model, prompt = task.model, task.prompt
        else:
            body = visit.body if isinstance(visit.body, dict) else {}
            model, prompt = str(body.get("model", "")), str(body.get("promptText", ""))
        subject = Subject(visit.route.place, visit.route.generates, model, prompt)
        return faults.find(self._scenario, visit.books, subject, visit.request)

    def _carried_out(self, visit: Visit, effects: Effects, now: float) -> Response:
        place = visit.route.place
        if place == "storage":
            return uploads.store(visit.books, self.state.blobs, visit.request, now)
        if place == "download":
            return self._download(visit, effects, now)
        _authorize(visit.request)
        if visit.route.takes_json:
            _check_body(visit)
        if visit.route.generates:
            resolver = Resolver(visit.books, self.state.blobs, self.base_url, now)
            return generations.create(place, visit.body, self._account(visit.books, now), effects, resolver)
        return self._ENDPOINTS[place](self, visit, now)

    def _download(self, visit: Visit, effects: Effects, now: float) -> Response:
        request = visit.request
        render = downloads.find(visit.books, request.path, request.argument("_jwt"), self.state.blobs, now)
        return downloads.answer(render, request, effects)

    def _task(self, visit: Visit, now: float) -> Response:
        task = answers.find(visit.books, visit.route.task_id or "")
        urls = downloads.links(task, self.state.blobs, self.base_url, now + self._scenario.url_ttl)
        back, tells_cost = self._scenario.refund_delay, self.catalogue.tells_cost
        return answers.describe(task, urls, now, back=back, tells_cost=tells_cost)

    def _cancel(self, visit: Visit, now: float) -> Response:
        task = answers.find(visit.books, visit.route.task_id or "")
        return answers.remove(visit.books, task, self._limits(visit.books)[task.model].concurrent, now)

    def _organization(self, visit: Visit, now: float) -> Response:
        books, tier = visit.books, self._current_tier(visit.books)
        return organization.describe(books, self._limits(books), tier.monthly, self._balance(books, now), now)

    def _usage(self, visit: Visit, now: float) -> Response:
        """Today's API books what it gives back on the day that it does, so that a day's sum may be negative."""
        back = self._scenario.refund_delay if self.catalogue.tells_cost else None
        return organization.usage(visit.books, visit.body, now, back)

    def _uploads(self, visit: Visit, now: float) -> Response:
        ttl = self._scenario.upload_ttl
        return uploads.create(visit.books, visit.body, base_url=self.base_url, ttl=ttl, salt=self._salt, now=now)

    _ENDPOINTS: ClassVar[dict[str, Callable[[Sandbox, Visit, float], Response]]] = {
        "tasks": _task,
        "cancel": _cancel,
        "organization": _organization,
        "usage": _usage,
        "uploads": _uploads,
    }

    # the account

    def _account(self, books: Books, now: float) -> Account:
        limits, balance = self._limits(books), self._balance(books, now)
        return Account(self.catalogue, limits, balance, self._scenario, self._realistic, self._salt)

    def _balance(self, books: Books, now: float) -> int:
        return self.credits - books.spent(now - self._scenario.refund_delay)

    def _current_tier(self, books: Books) -> Tier:
        return TIERS[books.counter("tier") or self.tier]

    def _set_tier(self, books: Books, tier: int, now: float) -> None:
        books.put("tier", tier)
        for model, limits in self._limits(books).items():
            answers.replan(books, model, limits.concurrent, now)

    def _limits(self, books: Books) -> dict[str, Limits]:
        """By model, as the scenario has them, else the tier; a model that does several operations has the limits of the first."""
        tier = self._current_tier(books)
        known = {
            model: self._limited(model, tier.limits(operation.produces))
            for operation in reversed([*self.catalogue.operations.values()])
            for model in operation.models
        }
        return _ByModel(known, lambda model: self._limited(model, tier.limits(MediaKind.VIDEO)))

    def _limited(self, model: str, usual: Limits) -> Limits:
        scripted = self._scenario.limits.get(model) or self._scenario.limits.get("default")
        if scripted is None:
            return usual
        return replace(usual, **{name: getattr(scripted, name) for name in scripted.model_fields_set})


class _ByModel(dict[str, Limits]):
    """Limits by model; one that an open catalogue lets through without having it gets those that `otherwise` gives."""

    def __init__(self, known: Mapping[str, Limits], otherwise: Callable[[str], Limits]) -> None:
        super().__init__(known)
        self._otherwise = otherwise

    def __missing__(self, model: str) -> Limits:
        return self._otherwise(model)


def _time(books: Books, effects: Effects, now: float) -> float:
    """The sandbox's own time, which faults may have moved. What was seen last is kept for the report."""
    moved = books.count("clock", round(effects.jump * 1_000_000))
    now += moved / 1_000_000
    books.put("latest", math.ceil(now * 1_000_000))
    return now


def _read(body: bytes | mmap) -> Any:
    """The body as JSON; UNREADABLE where it is none, None where it is empty."""
    if not body:
        return None
    try:
        return json.loads(body[:], parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return UNREADABLE


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _authorize(request: Request) -> None:
    """Any key will do. Raises RefusalError: 401 without one, 400 without a version that is known."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise RefusalError(401, "The request has no API key. Send it as: Authorization: Bearer <key>.")
    if request.headers.get("x-runway-version") != API_VERSION:
        raise RefusalError(400, f"The header X-Runway-Version must be given, and be {API_VERSION}.")


def _check_body(visit: Visit) -> None:
    if visit.request.body and visit.request.content_type != "application/json":
        raise RefusalError(415, "The body must be sent as Content-Type: application/json.")
    if visit.body is UNREADABLE:
        raise invalid(Issue((), "The body is not valid JSON.", "invalid_json"))
