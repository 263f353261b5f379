"""What follows from a failure: what becomes of the request, of the money, and the words a person reads. Owns those rules.

Four tables, by when it went wrong: SUBMISSIONS (a creation that was certainly not accepted), LOST (one of which nobody
knows), AFTERWARDS (looking at an accepted task and fetching what it made), FAILURES (a task that failed, by code).
`taxonomy` says which event is taken as which; waiting times are `pace`'s; carrying out is the engine's.

Codes are matched by their leading components, the longest match wins, and the set is open: what nobody knows is not
repeated. Retried are only those of which a refund is known, so that a retry cannot pay twice for one failure.
Source: the API's pages on errors and task failures, and what public clients observed (2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from flowrun.runway.errors import Afterwards, Lost, SubmitFailure


class Follows(StrEnum):
    """What follows from an event, first of all."""

    FINAL = "final"  # the node has ended: failed, or rejected for good
    RESEND = "resend"  # the same request again after a while, within the attempt: certainly not accepted
    RETRY = "retry"  # a further attempt, after seconds
    RETRY_ONCE = "retry once"  # a single blind one
    RETRY_LATER = "retry later"  # after minutes: it is someone else's outage
    ASK_AGAIN = "ask again"  # of calls that cost nothing
    PAUSE_MODEL = "pause the model"  # nothing of this model is sent for a while; nothing has failed
    PAUSE_RUN = "pause the run"  # nothing more is sent in this run; nothing has failed
    STOP_RUN = "stop the run"  # the surroundings fail: nothing more is sent in this run
    UNCERTAIN = "uncertain"  # nobody knows whether it was accepted: nothing is sent again unasked


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
    def follows(self) -> Follows:
        return _FOLLOWS[self.retry.kind]

    @property
    def words(self) -> str:
        return f"{self.what} {self.change}"

    def credits(self, charged: int | None) -> int | None:
        """What to book: the task's own figure where it gave one; 0 for a known refund; None: the estimate stands."""
        if charged is not None:
            return charged
        return 0 if self.charged is Charged.NO else None


_NEVER = Retry(RetryKind.NEVER)
_FOLLOWS = {
    RetryKind.NEVER: Follows.FINAL,
    RetryKind.ONCE: Follows.RETRY_ONCE,
    RetryKind.RETRY: Follows.RETRY,
    RetryKind.LATER: Follows.RETRY_LATER,
}

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


@dataclass(frozen=True, slots=True)
class Rule:
    """What follows from a kind of failure that is no task's. `charged`: what it cost, as far as is known."""

    follows: Follows
    what: str
    change: str
    charged: Charged = Charged.NO

    @property
    def words(self) -> str:
        return f"{self.what} {self.change}"


SUBMISSIONS: Mapping[SubmitFailure, Rule] = MappingProxyType(
    {
        SubmitFailure.REFUSED_INPUT: Rule(
            Follows.FINAL, "The API refused the request; nothing was charged.", "Change the fields it names."
        ),
        SubmitFailure.INPUT_UNFETCHED: Rule(
            Follows.RESEND,
            "The API could not fetch an input from its address; nothing was charged.",
            "An input that went by its address is uploaded and sent once more; else name a local file in its place.",
        ),
        SubmitFailure.TOO_LARGE: Rule(
            Follows.FINAL,
            "The request is larger than the API takes; nothing was charged.",
            "Make the inputs smaller, or shorten the prompt.",
        ),
        SubmitFailure.KEY_REFUSED: Rule(
            Follows.STOP_RUN,
            "The API refused the key; nothing was charged.",
            "Check RUNWAYML_API_SECRET (whole, for api.dev.runwayml.com, not disabled) and the account's standing.",
        ),
        SubmitFailure.NO_CREDITS: Rule(
            Follows.PAUSE_RUN,
            "The account has too few credits for this generation; nothing was charged.",
            "Buy credits in the developer portal and apply again; what is finished is kept.",
        ),
        SubmitFailure.QUOTA: Rule(
            Follows.PAUSE_MODEL,
            "The model's generations of the last 24 hours are used up; nothing was charged.",
            "It goes on as places come free; a higher tier has more.",
        ),
        SubmitFailure.OVERLOADED: Rule(
            Follows.RESEND,
            "The API is overloaded and did not take the request; nothing was charged.",
            "It is sent again by itself for some minutes; if it stays so, apply again later.",
        ),
        SubmitFailure.NAME_UNKNOWN: Rule(
            Follows.RESEND,
            "The API's host name could not be resolved; nothing was sent or charged.",
            "It is sent again by itself for some minutes; if it stays so, check network, name server and RUNWAYML_BASE_URL.",
        ),
        SubmitFailure.UNREACHABLE: Rule(
            Follows.RESEND,
            "No connection to the API could be opened; nothing was sent or charged.",
            "It is sent again by itself for some minutes; if it stays so, check network, proxy and RUNWAYML_BASE_URL.",
        ),
        SubmitFailure.TLS_FAILED: Rule(
            Follows.RESEND,
            "No trusted (TLS) connection to the API could be opened; nothing was sent or charged.",
            "It is sent again by itself for some minutes; if it stays so, check the clock, RUNWAYML_BASE_URL and, behind a "
            "proxy that opens TLS, SSL_CERT_FILE.",
        ),
        SubmitFailure.CONNECT_TIMEOUT: Rule(
            Follows.RESEND,
            "The API did not answer the attempt to connect; nothing was sent or charged.",
            "It is sent again by itself for some minutes; if it stays so, check network, firewall and proxy.",
        ),
        SubmitFailure.NO_FREE_CONNECTION: Rule(
            Follows.RESEND,
            "All of flowrun's connections were busy for too long; nothing was sent or charged.",
            "It is sent again by itself for some minutes; if it stays so, lower limits.concurrency.",
        ),
        SubmitFailure.PROXY_REFUSED: Rule(
            Follows.RESEND,
            "The proxy did not open a way to the API; nothing was sent or charged.",
            "It is sent again by itself for some minutes; if it stays so, check HTTPS_PROXY and NO_PROXY.",
        ),
        SubmitFailure.ENDPOINT_GONE: Rule(
            Follows.FINAL,
            "The API has no such endpoint; nothing was charged.",
            "Check RUNWAYML_BASE_URL; the endpoint may have been withdrawn, or moved to another API version.",
        ),
    }
)

_SETTLE = "Look at the account's usage, then say whether to send it again."
LOST: Mapping[Lost, Rule] = MappingProxyType(
    {
        kind: Rule(Follows.UNCERTAIN, what, _SETTLE, Charged.UNKNOWN)
        for kind, what in {
            Lost.WHILE_SENDING: "The connection broke while the request was being sent.",
            Lost.NO_ANSWER: "The request was sent and no answer came in time.",
            Lost.BROKEN_OFF: "The request was sent and the connection broke before an answer.",
            Lost.NO_HTTP: "The request was sent and what came back is no answer of the API.",
            Lost.CANNOT_TELL: "The request was sent and answered by an error that does not say whether it was accepted.",
            Lost.NO_TASK: "The request was sent and answered, but without a task id that can be read.",
            Lost.STOPPED: "The request was sent and flowrun was stopped before an answer.",
            Lost.OTHERWISE: "The request was sent and no answer could be had.",
        }.items()
    }
)

AFTERWARDS: Mapping[Afterwards, Rule] = MappingProxyType(
    {
        Afterwards.UNANSWERED: Rule(
            Follows.ASK_AGAIN,
            "The API does not tell about a task for now; the task goes on.",
            "It is asked again for as long as it takes.",
        ),
        Afterwards.NOT_TOLD: Rule(
            Follows.FINAL,
            "The API does not tell about the task. It stays on record; nothing is lost.",
            "Apply again later to collect it.",
            Charged.UNKNOWN,
        ),
        Afterwards.GONE: Rule(
            Follows.FINAL,
            "The API no longer knows the task; its result is lost, and its credits with it.",
            "Apply again to generate it anew.",
            Charged.UNKNOWN,
        ),
        Afterwards.CANCELLED: Rule(
            Follows.FINAL,
            "The task was cancelled at the API; whether its credits come back depends on how far it was.",
            "Apply again to generate it anew.",
            Charged.UNKNOWN,
        ),
        Afterwards.KEY_REFUSED: Rule(
            Follows.STOP_RUN,
            "The API refused the key. Tasks in flight stay on record; nothing is lost.",
            "Check RUNWAYML_API_SECRET and the account's standing, then apply again to collect them.",
            Charged.UNKNOWN,
        ),
        Afterwards.LINK_EXPIRED: Rule(
            Follows.ASK_AGAIN,
            "A link to an output no longer serves.",
            "The task is asked for a fresh one.",
        ),
        Afterwards.NOT_COLLECTED: Rule(
            Follows.FINAL,
            "The task succeeded, but its output could not be collected.",
            "It stays at the API and on record: apply again to collect it without paying again.",
            Charged.YES,
        ),
        Afterwards.NO_OUTPUT: Rule(
            Follows.FINAL,
            "The task succeeded without any output.",
            "Apply again to look once more.",
            Charged.YES,
        ),
        Afterwards.UPLOAD_FAILED: Rule(
            Follows.FINAL,
            "An input could not be uploaded; nothing was submitted or charged.",
            "Make it smaller, or apply again later.",
        ),
    }
)


class Fetch(StrEnum):
    """Why the API could not take an input, told within a 400."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    STATUS = "status"
    NOT_HTTPS = "not-https"
    NO_DOMAIN = "no-domain"
    BAD_URL = "bad-url"
    BAD_DATA = "bad-data"
    WRONG_TYPE = "wrong-type"


FETCHES: Mapping[Fetch, str] = MappingProxyType(
    {
        Fetch.TIMEOUT: "its server was too slow for the API; that can pass",
        Fetch.UNREACHABLE: "the API could not reach its server; that can pass",
        Fetch.STATUS: "its server refused the API (a redirect counts as a refusal too)",
        Fetch.NOT_HTTPS: "only https addresses are taken",
        Fetch.NO_DOMAIN: "the address must name a host, not an IP number",
        Fetch.BAD_URL: "it is no address that the API understands",
        Fetch.BAD_DATA: "its data URI cannot be read",
        Fetch.WRONG_TYPE: "the API does not take media of this type here",
    }
)
