"""Codes of reading manifests, their values and their data files."""

from __future__ import annotations

from flowrun.diagnostics.codes.model import Code

CODES = (
    Code(
        "file-unreadable",
        "A file that was named cannot be opened, or is far larger than a text that people write. Paths in a manifest are "
        "relative to the manifest, those of flags to the working directory.",
    ),
    Code(
        "unknown-key",
        "A key stands where flowrun knows none of that name. Unknown keys are never ignored: a misspelt one would silently "
        "change what is made. Keys are the same for everybody, so the hint names the likely one.",
    ),
    Code(
        "missing-key",
        "A mapping lacks a key that it cannot do without. The place shown is the key of the mapping that lacks it.",
    ),
    Code(
        "wrong-kind",
        "A value is of another kind than its key takes. Nothing is converted on the quiet: a number in quotes is text, and "
        "`yes` or `on` is text too, since only `true` and `false` are booleans in YAML 1.2.",
    ),
    Code(
        "bad-id",
        "Ids of nodes, variables, assets, outputs and tags stand in templates, where a hyphen is a minus and a dot leads on. "
        "So they are made of letters, digits and underscores and do not begin with a digit.",
    ),
    Code(
        "bad-name",
        "Names of flows and profiles become names of folders and files on every system: small letters, digits, `_` and `-`, "
        "beginning with a letter or digit. A flow without a `name` takes its file's stem, which must then be such a name.",
    ),
    Code(
        "not-supported-yet",
        "The manifest uses a part of the language that this version cannot carry out. It is refused rather than ignored, "
        "because ignoring it would make something else than was asked for.",
    ),
    Code("bad-asset", "An asset in the long form has exactly one of `path` and `url`: where its bytes are."),
    Code(
        "bad-foreach",
        "A foreach takes a list, a mapping, an integer, a template that gives one of them, or a mapping with one of `file` and "
        "`items`. A mapping whose keys are all among `file`, `items` and `key` is that long form.",
    ),
    Code(
        "no-nodes",
        "The manifest is valid and makes nothing, which is rarely meant. Nodes are declared under `nodes`.",
        warns=True,
    ),
    Code(
        "out-of-scope",
        "A template speaks of something that is not known where it stands. Assets and defaults are settled before any node, so "
        "they see `vars` and `flow` alone; values of `env` are secrets and may stand in a node's `with` alone.",
    ),
    Code(
        "literal-template",
        "Values of variables are taken as they stand and are never rendered: what arrives from outside cannot become a "
        "template. The text is used with its braces. Put the template where the variable is used.",
        warns=True,
    ),
    Code(
        "template-not-here",
        "Operations, order and key fields are literal, so that the graph's form is known from the text alone.",
    ),
    Code("wrong-value", "A value of a variable is not of its type, not among its choices, or out of its range."),
    Code("unknown-variable", "A value was given for a variable that the manifest does not declare under `vars`."),
    Code(
        "unset-variable",
        "A variable is declared as required and nobody gave it a value: no default, no vars file and no `--var`. `validate` "
        "does without.",
    ),
    Code(
        "bad-var-flag",
        "`--var` takes a name, an equals sign and a value. Quote the whole of it where the value holds spaces.",
    ),
    Code("unknown-profile", "The profile asked for is not among the manifest's `profiles`."),
    Code(
        "unknown-data-file",
        "A foreach reads CSV, JSON and YAML and knows them by the end of the file's name: .csv, .json, .yaml or .yml.",
    ),
    Code(
        "bad-csv",
        "The text is not comma-separated as RFC 4180 has it: a quote is never closed, text follows a closing quote, a column "
        "has no heading, or there is no line at all.",
    ),
    Code(
        "ragged-row",
        "A row has more or fewer cells than there are headings, so it is not known which is which. A cell that holds a comma "
        "needs double quotes.",
    ),
    Code(
        "repeated-heading",
        "Two columns have one heading, so a reference to it would be ambiguous. Rename one of the two.",
    ),
    Code(
        "csv-separator",
        "A file with a single column whose heading holds semicolons or tabs was probably exported with another separator. "
        "Columns are separated by commas.",
        warns=True,
    ),
    Code(
        "bad-key",
        "Keys of instances stand in addresses, file names and selectors: 1 to 80 characters of composed Unicode text without "
        "controls, quotes or any of `[ ] # , & / \\`. The `slug` filter makes one of any text.",
    ),
    Code(
        "repeated-key",
        "Two items of one fan-out have the same key, or keys that differ by letter case alone, which some file systems cannot "
        "tell apart. Each instance needs a name of its own.",
    ),
    Code(
        "missing-key-field", "A record lacks the field that gives the keys of its fan-out. Every record must have it."
    ),
    Code(
        "numbered-items",
        "Items without keys are numbered by their place. That works, but inserting or sorting rows renames all the later ones, "
        "and picks and exports go by name. Results are found by content and are not lost.",
        warns=True,
    ),
    Code(
        "fan-out-too-large",
        "One node fans out to at most 10,000 instances, so that a slip in a data file cannot become an outage.",
    ),
)
