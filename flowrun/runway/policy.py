"""What follows from a failure: two tables. Owns FAILURES (a task that failed, by code) and SUBMISSIONS (a creation that
was not accepted, by kind), with the words a person reads. Waiting times are `pace`'s; carrying out is the engine's.

Codes are matched by their leading components, the longest match wins, and the set is open: what nobody knows is not
repeated. Retried are only those of which a refund is known, so that a retry cannot pay twice for one failure.
Source: the API's pages on errors and task failures, and what public clients observed (2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from flowrun.runway.errors import SubmitFailure


class RetryKind(StrEnum):
    NEVER = "never"
    ONCE = "once"  # a single blind try
    RETRY = "retry"  # after seconds
    LATER = "later"  # after minutes: it is someone else's outage


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts`: further attempts at most; `delay`: seconds before the first of them, growing (`pace.later`)."""

    kind: RetryKind
    attempts: int = 0
    delay: float = 0.0


class Charged(StrEnum):
    """What is known of the credits when the task itself does not tell. UNKNOWN is booked as if charged."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FailureRule:
    """What follows from one class of failure codes, once its retries are used up.

    `rejected`: for good, remembered, and not sent again unasked. `input_refused`: that hangs on the recipe, whatever
    the take. `what`: what happened; `change`: what to change.
    """

    prefix: str
    retry: Retry
    rejected: bool
    input_refused: bool
    charged: Charged
    what: str
    change: str

    @property
    def words(self) -> str:
        return f"{self.what} {self.change}"

    def credits(self, charged: int | None) -> int | None:
        """What to book: the task's own figure where it gave one; 0 for a known refund; None: the estimate stands."""
        if charged is not None:
            return charged
        return 0 if self.charged is Charged.NO else None


_NEVER = Retry(RetryKind.NEVER)

_RULES = (
    FailureRule(
        prefix="SAFETY.INPUT",
        retry=_NEVER,
        rejected=True,
        input_refused=True,
        charged=Charged.YES,
        what="Moderation refused the prompt or an input; the credits are not refunded.",
        change="Change the prompt and the inputs together (the code's last word is a guess); repeated refusals can "
        "suspend the account.",
    ),
    FailureRule(
        prefix="SAFETY",
        retry=_NEVER,
        rejected=True,
        input_refused=False,
        charged=Charged.UNKNOWN,
        what="Moderation stopped the generation; count its credits as spent.",
        change="Reword the prompt or change the inputs; repeated refusals can suspend the account.",
    ),
    FailureRule(
        prefix="SAFETY.OUTPUT",
        retry=_NEVER,
        rejected=True,
        input_refused=False,
        charged=Charged.UNKNOWN,
        what="Moderation withheld what was made; count its credits as spent.",
        change="Reword the prompt, or try another seed or take, before sending it again.",
    ),
    FailureRule(
        prefix="INPUT_PREPROCESSING.SAFETY",
        retry=_NEVER,
        rejected=True,
        input_refused=True,
        charged=Charged.UNKNOWN,
        what="A check before the generation refused the prompt or an input; whether it was refunded is not known.",
        change="Change the prompt and the inputs; repeated refusals can suspend the account.",
    ),
    FailureRule(
        prefix="INPUT_PREPROCESSING.INTERNAL",
        retry=Retry(RetryKind.RETRY, attempts=2, delay=30.0),
        rejected=False,
        input_refused=False,
        charged=Charged.NO,
        what="The API's own check of the inputs broke down; nothing was charged.",
        change="Apply again later; the request itself is not at fault.",
    ),
    FailureRule(
        prefix="INTERNAL.BAD_OUTPUT",
        retry=Retry(RetryKind.ONCE, attempts=1, delay=15.0),
        rejected=True,
        input_refused=False,
        charged=Charged.NO,
        what="The model's output was unusable, twice; nothing was charged.",
        change="Remove logos, watermarks and overlaid text from the inputs, and do not ask for written text in the prompt.",
    ),
    FailureRule(
        prefix="ASSET.INVALID",
        retry=_NEVER,
        rejected=True,
        input_refused=False,
        charged=Charged.NO,
        what="An input's dimensions, proportions, duration or codec do not suit the model; nothing was charged.",
        change="Convert the input to what the model takes.",
    ),
    FailureRule(
        prefix="THIRD_PARTY.UNAVAILABLE",
        retry=Retry(RetryKind.LATER, attempts=3, delay=180.0),
        rejected=False,
        input_refused=False,
        charged=Charged.NO,
        what="The partner that runs this model is not available; nothing was charged.",
        change="Apply again later, or take another model.",
    ),
    FailureRule(
        prefix="THIRD_PARTY.INPUT_VALIDATION",
        retry=_NEVER,
        rejected=True,
        input_refused=False,
        charged=Charged.UNKNOWN,
        what="The partner that runs this model refused the inputs; whether it was refunded is not known.",
        change="Check the inputs against what the model takes, or take another model.",
    ),
    FailureRule(
        prefix="INTERNAL",
        retry=Retry(RetryKind.RETRY, attempts=2, delay=20.0),
        rejected=False,
        input_refused=False,
        charged=Charged.NO,
        what="The API failed by itself; nothing was charged.",
        change="Apply again later; the request itself is not at fault.",
    ),
)

UNKNOWN_CODE = FailureRule(
    prefix="",
    retry=_NEVER,
    rejected=True,
    input_refused=False,
    charged=Charged.UNKNOWN,
    what="The task failed for a reason flowrun does not know; count its credits as spent.",
    change="Look the code up in the API's list of task failures; to send it again as it is, use --retry-rejected.",
)

FAILURES: Mapping[str, FailureRule] = MappingProxyType({rule.prefix: rule for rule in _RULES})


def rule_for(code: str | None) -> FailureRule:
    """The rule of the longest prefix of `code`, by components. A task that failed without a code failed by itself."""
    parts = (code or "").strip().upper().split(".")
    if parts == [""]:
        return FAILURES["INTERNAL"]
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((FAILURES[prefix] for prefix in prefixes if prefix in FAILURES), UNKNOWN_CODE)


class Scope(StrEnum):
    """What a creation that was not accepted stops."""

    NODE = "node"  # it has failed
    REQUEST = "request"  # it is resent after a while, within the attempt
    MODEL = "model"  # nothing of this model is sent for a while; nothing has failed
    RUN = "run"  # nothing more is sent in this run


@dataclass(frozen=True, slots=True)
class SubmitRule:
    """`scope`: what it stops. `what` and `change`: as in a FailureRule."""

    scope: Scope
    what: str
    change: str

    @property
    def words(self) -> str:
        return f"{self.what} {self.change}"


SUBMISSIONS: Mapping[SubmitFailure, SubmitRule] = MappingProxyType(
    {
        SubmitFailure.REFUSED_INPUT: SubmitRule(
            Scope.NODE, "The API refused the request; nothing was charged.", "Change the fields it names."
        ),
        SubmitFailure.KEY_REFUSED: SubmitRule(
            Scope.RUN,
            "The API refused the key; nothing was charged.",
            "Check RUNWAYML_API_SECRET (whole, for api.dev.runwayml.com, not disabled) and the account's standing.",
        ),
        SubmitFailure.NO_CREDITS: SubmitRule(
            Scope.RUN,
            "The account has too few credits for this generation; nothing was charged.",
            "Buy credits in the developer portal and apply again; what is finished is kept.",
        ),
        SubmitFailure.QUOTA: SubmitRule(
            Scope.MODEL,
            "The model's generations of the last 24 hours are used up; nothing was charged.",
            "It goes on as places come free; a higher tier has more.",
        ),
        SubmitFailure.OVERLOADED: SubmitRule(
            Scope.REQUEST,
            "The API is overloaded and did not take the request; nothing was charged.",
            "It is sent again.",
        ),
        SubmitFailure.UNREACHABLE: SubmitRule(
            Scope.REQUEST,
            "No connection to the API could be opened; nothing was charged.",
            "It is sent again; check network, proxy and RUNWAYML_BASE_URL if it stays so.",
        ),
        SubmitFailure.ENDPOINT_GONE: SubmitRule(
            Scope.NODE,
            "The API has no such endpoint; nothing was charged.",
            "Check RUNWAYML_BASE_URL; the endpoint may have been withdrawn, or moved to another API version.",
        ),
    }
)
