"""How generations fail. Owns the texts that go with failure codes, and who pays for which.

Refunds follow the API's page on task failures (2026): only rejected input is kept. Its moderation page says that moderated
output costs the same, so that is kept as well.
"""

from __future__ import annotations

TRIGGER = "[moderated]"
"""A prompt that holds this text is rejected by the sandbox's moderation."""

MODERATED = "SAFETY.INPUT.TEXT"
_CHARGED = ("SAFETY.",)
_MESSAGES = (  # the first that the code begins with
    ("SAFETY.INPUT", "The input was rejected by the sandbox's moderation."),
    ("SAFETY.OUTPUT", "The output was held back by the sandbox's moderation."),
    ("INPUT_PREPROCESSING.SAFETY", "The input was rejected by the sandbox's moderation while it was prepared."),
    ("INPUT_PREPROCESSING", "Preparing the input did not work."),
    ("INTERNAL.BAD_OUTPUT", "The model made nothing usable of this input."),
    ("ASSET.INVALID", "An input's dimensions, length or encoding do not fit the model."),
    ("THIRD_PARTY.UNAVAILABLE", "The service behind this model does not answer."),
    ("THIRD_PARTY", "The service behind this model did not take the input."),
)


def message_for(code: str) -> str:
    """A text for `failure`: never empty, clients show it."""
    return next((text for prefix, text in _MESSAGES if code.startswith(prefix)), "An unexpected error occurred.")


def refunded(code: str) -> bool:
    """Whether a task that failed so gives its credits back."""
    return not code.startswith(_CHARGED)
