"""Codes of reading YAML and JSON text."""

from __future__ import annotations

from flowrun.diagnostics.codes.model import Code

CODES = (
    Code(
        "not-utf8",
        "Files are read as UTF-8. A byte was met that begins no UTF-8 character, so the text cannot be known. Most editors have "
        "a command to save a file with another encoding; choose UTF-8, with or without a byte order mark.",
    ),
    Code(
        "control-character",
        "YAML and JSON allow no control characters but tab and line breaks. They usually arrive by copying from a terminal or a "
        "word processor and are invisible there. Delete the character; where it is meant, write it as an escape in a "
        "double-quoted text.",
    ),
    Code(
        "yaml-syntax",
        "The text is not YAML, so nothing can be said about what it means. The message names what the reader tripped over, "
        "which may lie a little after the cause: look at the indentation, quotes and colons of the lines just above. Text that "
        "holds `: ` or ` #`, or begins with one of `{ [ & * ! | > ' \" % @`, needs quotes.",
    ),
    Code(
        "json-syntax",
        "A file whose name ends in .json is read as JSON, which is stricter than YAML: keys and texts in double quotes, no "
        "comma after the last item, no comments, no NaN.",
    ),
    Code(
        "tab-indent", "YAML is indented with spaces; a tab has no agreed width. Let the editor turn tabs into spaces."
    ),
    Code(
        "unquoted-template",
        "A value that begins with two braces is two nested mappings to YAML. Put the whole value in quotes; a template that is "
        "the whole value keeps its type all the same, so a quoted integer expression still gives an integer.",
    ),
    Code(
        "duplicate-key",
        "A key stands twice in one mapping. Readers of YAML disagree on which of the two counts, so neither is taken: remove "
        "one, or give it another name.",
    ),
    Code(
        "merge-key",
        "The merge key `<<` belongs to YAML 1.1 and is not part of YAML 1.2. What several nodes share is said once under "
        "`defaults`, by operation or by operation and model.",
    ),
    Code(
        "key-not-text",
        "Every key of a mapping is a text. A bare 1, true or null is read as a number, a boolean or nothing; in quotes it is a "
        "text like any other.",
    ),
    Code(
        "several-documents",
        "A `---` line begins a second document. One file holds one manifest or one set of data; move the rest to a file of its "
        "own.",
    ),
    Code(
        "too-deep",
        "Lists and mappings are read up to 100 levels deep, so that a small text cannot exhaust the machine.",
    ),
    Code(
        "alias-bomb",
        "Aliases are written in a few characters and can stand for very much, each level multiplying the one below. What they "
        "expand to is bounded to 100,000 values and 100 levels.",
    ),
    Code(
        "recursive-alias",
        "An alias stands inside the very value that its anchor names, so the value would have no end. Name an inner part "
        "instead.",
    ),
    Code(
        "unknown-alias",
        "An alias `*name` needs an anchor `&name` earlier in the same file. Quote a text that begins with `*`.",
    ),
    Code(
        "unknown-tag",
        "Tags beginning with `!` ask for application types. Only YAML's core tags are read: !!str, !!int, !!float, !!bool, "
        "!!null, !!seq and !!map. Quote a text that begins with `!`.",
    ),
    Code("bad-tag", "A core tag such as `!!int` stands before a value that cannot be read as that type."),
    Code(
        "secret-in-file",
        "Something that looks like a Runway API key stands in a file. Files are shared, committed and backed up, so the key must "
        "be taken as known to others: revoke it, make a new one, and hand it over as RUNWAYML_API_SECRET. The key itself is "
        "never shown.",
    ),
)
