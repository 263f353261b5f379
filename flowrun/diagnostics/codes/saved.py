"""Codes of saved plans: files that are none, and plans that do not hold any more."""

from __future__ import annotations

from flowrun.diagnostics.codes.model import Code

CODES = (
    Code(
        "plan-moved",
        "A saved plan is carried out exactly or not at all. Between saving and applying something became other than planned: the "
        "manifest, a file it reads, a result in the store, a price, a limit, the provider or the account. Each note names a node "
        "and what it was and is. What the plan itself has achieved in an apply that was interrupted does not count. Nothing was "
        "submitted. Look at a new plan and save that.",
    ),
    Code(
        "saved-plan-damaged",
        "The file begins as a saved plan and is not one as `plan --save` writes it: cut short, edited, or not JSON. Nothing was "
        "submitted. Save the plan again.",
    ),
    Code(
        "saved-plan-version",
        "The saved plan has a format that this version of flowrun does not read. Nothing was submitted. Apply it with the "
        "version that made it, or save the plan again.",
    ),
    Code(
        "not-saved-plan",
        "The file is what `plan --json` prints, for people and programs to read. It does not hold the options and digests that "
        "an apply needs; `plan --save` writes a file that does.",
    ),
)
