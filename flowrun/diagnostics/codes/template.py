"""Codes of templates: text with `{{ expressions }}` in it."""

from __future__ import annotations

from flowrun.diagnostics.codes.model import Code

CODES = (
    Code(
        "template-syntax",
        "The text has template marks in it (`{{`, `{%` or `{#`) and cannot be read as a template. The span is where the reader "
        "stopped, or the mark that is never closed. Braces that are meant as text stand between {% raw %} and {% endraw %}.",
    ),
    Code(
        "unknown-filter",
        "A filter, test or function of this name does not exist. The filters are those of Jinja2 that only compute (no "
        "randomness, no HTML links), and `slug`, `basename` and `stem`.",
    ),
    Code(
        "undefined-reference",
        "A name in an expression has no value. A dot means a key, never a method: `vars.items` is the variable called items. "
        "Where something may be missing, say so with the filter `default` or the test `is defined`.",
    ),
    Code(
        "artifact-in-text",
        "A reference to a node's output or to an asset is a file, and a file cannot be put into a sentence. Let it stand alone "
        "in a media input, or use one of its facts, such as its duration.",
    ),
    Code(
        "secret-in-expression",
        "A value of `env` is a secret. It can be put out, alone or inside text, and nothing can be computed from it, so that "
        "no part of it shows in a plan, a path or a log.",
    ),
    Code(
        "null-in-text",
        "A value that is null has no text. Where that is expected, give it one: the filter `default` with `true` as its second "
        "argument replaces null and everything empty.",
    ),
    Code(
        "structure-in-text",
        "A list or mapping has no one spelling in text. Join a list with the filter `join`, write it as JSON with `tojson`, or "
        "name the part that is meant.",
    ),
    Code(
        "bad-operation",
        "An operator, filter, test or call does not fit what it was given: a text where a number is needed, a division by "
        "zero, a wrong number of arguments. The message names both kinds.",
    ),
    Code(
        "template-too-large",
        "Templates are bounded, so that a small text cannot exhaust the machine: a million characters of text, a hundred "
        "thousand entries of a list, a fixed amount of work. What is larger belongs into a file.",
    ),
)
