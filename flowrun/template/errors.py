"""What can go wrong with a template, as exceptions. Owns their shape; callers turn offsets into spans of a file."""

from __future__ import annotations


class TemplateError(Exception):
    """The text is no template. `offset` and `length` count code points of the text that was parsed.

    `code` is `template-syntax`, `unknown-filter` (tests and functions too) or `template-too-large`.
    """

    def __init__(
        self, message: str, offset: int, length: int, hint: str | None = None, code: str = "template-syntax"
    ) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.length = length
        self.hint = hint
        self.code = code


class EvaluationError(Exception):
    """The template has no value in this scope. Offsets as in TemplateError.

    `code` is one of `undefined-reference`, `artifact-in-text`, `secret-in-expression`, `null-in-text`,
    `structure-in-text`, `bad-operation`, `template-too-large`.
    """

    def __init__(self, message: str, offset: int, length: int, code: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.length = length
        self.code = code
        self.hint = hint


class Unresolved(Exception):
    """A value that will exist but is not known yet. Scope objects raise it; evaluation lets it pass untouched."""

    def __init__(self, what: object) -> None:
        super().__init__(f"{what} is not known yet")
        self.what = what


class RefusalError(Exception):
    """An operation that cannot be done, before it is known where it stands. Never leaves this package."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
