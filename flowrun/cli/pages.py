"""What commands say in Markdown and to GitHub's runner: pages, annotations, the step's summary. Owns where they go.

Each does nothing in the other forms, and imports nothing then. The words are ui's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.cli.flags import carried, repeated
from flowrun.cli.output import Form, Output

if TYPE_CHECKING:
    from flowrun.diagnostics.model import Diagnostic
    from flowrun.production.applying import Applied
    from flowrun.production.production import Production
    from flowrun.production.proposing import Proposal
    from flowrun.ui.annotations import Places


def tell_plan(production: Production, proposal: Proposal, file: Path, output: Output, *, verbose: bool) -> None:
    """The plan as a page; to GitHub its warnings and totals as annotations too."""
    if output.form not in (Form.MARKDOWN, Form.GITHUB):
        return
    from flowrun.cli.plan import facts_of
    from flowrun.ui.annotations import plan_annotations
    from flowrun.ui.plan_markdown import plan_markdown

    facts, flags = facts_of(proposal), carried(production.options)
    if output.form is Form.GITHUB:
        output.commands(plan_annotations(facts, _places(production), file=str(file), flags=flags))
    output.page(plan_markdown(facts, file=str(file), verbose=verbose, flags=flags))


def tell_applied(
    production: Production, applied: Applied, proposal: Proposal | None, file: Path, elapsed: float, output: Output
) -> None:
    """The summary of a run as a page; to GitHub its troubles as annotations too."""
    if output.form not in (Form.MARKDOWN, Form.GITHUB):
        return
    from flowrun.ui.annotations import summary_annotations
    from flowrun.ui.ending import Ending
    from flowrun.ui.summary_markdown import summary_markdown

    ending = Ending(
        file=str(file),
        exit_code=int(applied.exit),
        elapsed=elapsed,
        cap=proposal.cap if proposal else None,
        provider=proposal.provider if proposal else "runway",
        flags=carried(production.options),
        again=repeated(production),
        written=proposal.caps.written if proposal else None,
    )
    if output.form is Form.GITHUB:
        output.commands(summary_annotations(applied.summary, _places(production), ending))
    output.page(summary_markdown(applied.summary, ending))


def tell_found(diagnostics: Sequence[Diagnostic], output: Output) -> None:
    """All mistakes of a pass: a list, or an annotation each."""
    if output.form not in (Form.MARKDOWN, Form.GITHUB) or not diagnostics:
        return
    from flowrun.diagnostics.github import commands
    from flowrun.diagnostics.markdown import items
    from flowrun.ui.markdown import listing, page
    from flowrun.ui.numbers import plural

    if output.form is Form.GITHUB:
        output.commands(commands(diagnostics, in_repository))
    errors = sum(each.is_error for each in diagnostics)
    counts = [
        plural(count, word) for count, word in ((errors, "error"), (len(diagnostics) - errors, "warning")) if count
    ]
    head = f"### {'❌' if errors else '⚠️'} {', '.join(counts)}"
    output.page(page([head, listing(items(diagnostics), "diagnostic")], more="`flowrun validate` lists all."))


def tell_error(message: str, hint: str | None, output: Output) -> None:
    """The one reason why a command cannot go on."""
    if output.form not in (Form.MARKDOWN, Form.GITHUB):
        return
    from flowrun.diagnostics.escaping import markdown
    from flowrun.diagnostics.github import annotation
    from flowrun.ui.markdown import quote

    if output.form is Form.GITHUB:
        lines = [message, f"hint: {hint}"] if hint else [message]
        output.commands([annotation("error", "flowrun", lines, None, in_repository)])
    output.page(quote(f"❌ **flowrun**: {markdown(message)}", *([f"💡 {markdown(hint)}"] if hint else [])))


def valid_page(files: Sequence[Path]) -> str:
    """That there is nothing to say of these manifests."""
    from flowrun.diagnostics.escaping import code

    return "\n".join(f"- ✅ {code(file)}: valid" for file in files)


# -- places


def _places(production: Production) -> Places:
    from flowrun.ui.annotations import Places

    return Places({name: node.key_span for name, node in production.flow.nodes.items()}, in_repository)


def in_repository(name: str) -> str | None:
    """A file as GitHub finds it: relative to the checkout, else to the repository around this folder, else to the folder itself.
    None for what is no file, such as a flag."""
    path = Path(name).resolve()
    if not path.is_file():
        return None
    here = Path.cwd().resolve()
    around = next((each for each in (here, *here.parents) if (each / ".git").exists()), here)
    roots = [Path(root).resolve() for root in (os.environ.get("GITHUB_WORKSPACE"), around) if root]
    inside = (path.relative_to(root).as_posix() for root in roots if path.is_relative_to(root))
    return next(inside, str(path))
