"""Taking a request for a generation: checks, media, price, quota, and the course of the task that comes of it.

Owns the order of these: what is refused is neither charged nor counted. What is wrong with a body is the catalogue's to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowrun.canonical import CanonicalError, sha256
from flowrun.media.chance import Chance
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.operations.catalogue import Catalogue
from flowrun.operations.model import Path, Problem
from flowrun.operations.price import estimate
from flowrun.operations.spec import ModelSpec
from flowrun.sandbox import failures
from flowrun.sandbox.faults import Effects
from flowrun.sandbox.inputs import InputError, Resolver, addresses
from flowrun.sandbox.lifecycle import TaskStatus, slot_time
from flowrun.sandbox.messages import CUSTOM, Issue, RefusalError, Response, invalid, json_response
from flowrun.sandbox.naming import uuid4_of
from flowrun.sandbox.output import Output, OutputError, output_of
from flowrun.sandbox.recipe import Input, Wanted, recipe_of
from flowrun.sandbox.records import Task
from flowrun.sandbox.scenario import Scenario
from flowrun.sandbox.tiers import DAY, Limits
from flowrun.sandbox.unions import nested

PENDING_SHARE = 0.1  # of a task's time, PENDING before it runs
SHORT = {MediaKind.IMAGE: 0.3, MediaKind.VIDEO: 1.0, MediaKind.AUDIO: 0.3}  # seconds that tasks take, unless realistic

CODES = {  # what the API's own checks call it
    "wrong-type": "invalid_type",
    "missing-input": "invalid_type",
    "not-allowed": "invalid_value",
    "unknown-input": "unrecognized_keys",
    "bad-pattern": "invalid_format",
    "too-long": "too_big",
    "too-short": "too_small",
    "out-of-range": "invalid_value",
}


@dataclass(frozen=True, slots=True)
class Account:
    """The terms that a generation is taken on. `limits`: by model; `balance`: credits; `salt`: makes ids differ."""

    catalogue: Catalogue
    limits: Mapping[str, Limits]
    balance: int
    scenario: Scenario
    realistic: bool
    salt: str

    def produces(self, spec: ModelSpec) -> MediaKind:
        return self.catalogue.operations[spec.operation].produces


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is in order. `identity`: equal for requests that ask for the same, wherever their media came from."""

    spec: ModelSpec
    body: Mapping[str, Any]
    inputs: tuple[Input, ...]
    output: Output
    identity: str
    cost: int

    @property
    def prompt(self) -> str:
        return str(self.body.get("promptText", ""))


def create(operation: str, body: Any, account: Account, effects: Effects, resolver: Resolver) -> Response:
    """``POST /v1/<operation>``. Raises RefusalError: 400 invalid or not paid for, 429 too many in a day."""
    asked = check(account.catalogue, operation, body, resolver)
    books, now = resolver.books, resolver.now
    limits = account.limits[asked.spec.model]
    if limits.daily is not None and books.created_since(asked.spec.model, now - DAY) >= limits.daily:
        raise RefusalError(429, f"The daily limit of {limits.daily} generations of {asked.spec.model} is reached.")
    if account.balance < asked.cost:
        raise RefusalError(400, "You do not have enough credits to run this task.")
    task = _accepted(asked, account, effects, resolver, limits.concurrent)
    books.add_task(task)
    answer: dict[str, object] = {"id": task.id}
    if account.catalogue.tells_cost:
        answer["estimatedCost"] = {"credits": task.cost}
    return json_response(200, answer)


def check(catalogue: Catalogue, operation: str, body: Any, resolver: Resolver) -> Asked:
    """Everything about a request that does not depend on the account. Raises RefusalError 400 with all issues of a kind.

    A price that is not known counts as 0.
    """
    spec = _spec(catalogue, operation, body)
    _refuse(spec, body, spec.check(_as_https(body, resolver.base_url)))
    inputs = _resolved(spec, body, resolver)
    facts = {each.path: each.facts for each in inputs}
    _refuse(spec, body, spec.check(_as_https(body, resolver.base_url), facts.get))
    output = _output(spec, catalogue.operations[operation].produces, body, inputs)
    cost = estimate(spec, body, lambda path: _seconds_at(facts, path)).high or 0
    try:
        identity = sha256([operation, _with_content(body, {each.path: each.source.content for each in inputs})])
    except CanonicalError:
        raise invalid(Issue((), "The body holds text or numbers that are not valid.", "invalid_type")) from None
    return Asked(spec, body, inputs, output, identity, cost)


def _output(spec: ModelSpec, produces: MediaKind, body: Any, inputs: tuple[Input, ...]) -> Output:
    try:
        return output_of(spec, produces, body, [(each.path, each.facts) for each in inputs])
    except OutputError as error:
        raise invalid(Issue(error.path, str(error))) from None


def _spec(catalogue: Catalogue, operation: str, body: Any) -> ModelSpec:
    if not isinstance(body, dict):
        raise invalid(Issue((), "Expected an object.", "invalid_type"))
    model = body.get("model")
    spec = catalogue.find(operation, model) if isinstance(model, str) else None
    if spec is None:
        known = ", ".join(catalogue.operations[operation].models)
        raise invalid(Issue(("model",), f"Expected one of {known}.", "invalid_union"))
    return spec


def _refuse(spec: ModelSpec, body: Any, problems: tuple[Problem, ...]) -> None:
    issues = [_issue(each) for each in problems if each.is_error]
    if issues:
        raise invalid(*nested(spec.schema, body, issues))


def _issue(problem: Problem) -> Issue:
    path = (*problem.path, *([problem.missing] if problem.missing else []))
    return Issue(path, problem.message, CODES.get(problem.code, CUSTOM))


def _as_https(value: Any, base_url: str) -> Any:
    """The body with the sandbox's own addresses as the https ones that the API takes."""
    if isinstance(value, dict):
        return {name: _as_https(each, base_url) for name, each in value.items()}
    if isinstance(value, list):
        return [_as_https(each, base_url) for each in value]
    if isinstance(value, str) and value.startswith(base_url + "/") and base_url.startswith("http://"):
        return "https://" + value.removeprefix("http://")
    return value


def _resolved(spec: ModelSpec, body: Any, resolver: Resolver) -> tuple[Input, ...]:
    """The request's media, in order. Raises RefusalError that names every place whose media cannot be taken."""
    inputs, issues = [], []
    slots = spec.slots(body)
    for slot in (*slots, *addresses(body, slots)):
        try:
            inputs.append(resolver.resolve(_at(body, slot.path), slot))
        except InputError as error:
            issues.append(Issue(slot.path, str(error)))
    if issues:
        raise invalid(*issues)
    return tuple(inputs)


def _at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _with_content(value: Any, contents: Mapping[Path, str], path: Path = ()) -> Any:
    """The body with each address replaced by what it stands for."""
    if path in contents:
        return {"content": contents[path]}
    if isinstance(value, dict):
        return {name: _with_content(each, contents, (*path, name)) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_content(each, contents, (*path, index)) for index, each in enumerate(value)]
    return value


def _seconds_at(facts: Mapping[Path, MediaFacts], path: Path) -> float | None:
    found = facts.get(path)
    return found.duration if found else None


def _accepted(asked: Asked, account: Account, effects: Effects, resolver: Resolver, limit: int | None) -> Task:
    """The task, with its whole course."""
    spec, books, now = asked.spec, resolver.books, resolver.now
    repeat = books.count(f"repeat:{asked.identity}") - 1
    drawn = seconds_of(account, spec, Chance.of("duration", asked.identity, repeat))
    duration = drawn if effects.takes is None else effects.takes
    starts = slot_time(books.free_times(spec.model, limit), limit, now)
    outcome, message, code = _outcome(asked, effects)
    variation = 0 if account.scenario.identical else repeat
    tiny = account.scenario.media == "tiny"
    wanted = Wanted(spec, asked.output, asked.body, asked.inputs, variation, tiny)
    ordinal = books.count("ordinal:task")
    return Task(
        ordinal=ordinal,
        id=uuid4_of("task", account.salt, ordinal),
        operation=spec.operation,
        model=spec.model,
        prompt=asked.prompt,
        created=now,
        starts=starts,
        ends=starts + duration,
        pending=duration * PENDING_SHARE if starts == now else 0.0,
        duration=duration,
        outcome=outcome.value,
        failure=message,
        failure_code=code,
        cost=asked.cost,
        refunded=outcome is not TaskStatus.SUCCEEDED and failures.refunded(code or ""),
        recipe=recipe_of(wanted),
    )


def seconds_of(account: Account, spec: ModelSpec, chance: Chance) -> float:
    """How long a task of this model takes: by the scenario, like the live service where realistic, else short. `chance`: the
    task's own, for a range."""
    scripted = account.scenario.durations
    for name in (spec.model, spec.operation, "default"):
        if name in scripted:
            said = scripted[name]
            return chance.between("seconds", *said) if isinstance(said, list) else said
    if account.realistic:
        return account.catalogue.typical_seconds(spec.operation, spec.model)
    return SHORT[account.produces(spec)]


def _outcome(asked: Asked, effects: Effects) -> tuple[TaskStatus, str | None, str | None]:
    """How the task ends, and why it fails if it does."""
    deed = effects.outcome
    if deed is not None and deed.cancelled:
        return TaskStatus.CANCELLED, None, None
    code = deed.fail if deed is not None else failures.MODERATED if failures.TRIGGER in asked.prompt else None
    if code is None:
        return TaskStatus.SUCCEEDED, None, None
    message = deed.message if deed is not None and deed.message else failures.message_for(code)
    return TaskStatus.FAILED, message, code
