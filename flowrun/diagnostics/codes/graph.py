"""Codes of the graph: names and references, media inputs, outputs and exports."""

from __future__ import annotations

from flowrun.diagnostics.codes.model import Code

CODES = (
    Code(
        "unknown-name",
        "A name in a template belongs to no scope. Every name starts with one of `vars`, `assets`, `nodes`, `each`, `flow` and "
        "`env`, as far as the place has them, or is bound in the template itself by `for`, `set` or `with`.",
    ),
    Code(
        "misplaced-reference",
        "The name exists, but not here: `each` is known only in a node with `foreach` and in the path of an output, secrets "
        "of `env` only in `with`, and what decides the form of the graph may not depend on what nodes make.",
    ),
    Code(
        "unknown-reference",
        "A reference leads to nothing: no variable, asset or node of that name is declared, the fan-out has no instance of "
        "that key, or the result has no such part. A reference that is guarded by `is defined` or `default` may name an "
        "instance that is not there.",
    ),
    Code(
        "dynamic-node",
        "Which node a reference means is part of the graph's form, so its id is written out. The key of an instance may be "
        "an expression: `nodes.shot[each.key].output`.",
    ),
    Code(
        "fan-out-as-one",
        "A fan-out makes many things, so it has no single `output`. Name one instance by its key, `nodes.shot['intro'].output`, "
        "or take them all as a list, `nodes.shot.outputs`.",
    ),
    Code(
        "bare-node",
        "A node itself is no value. Its first file is `.output`, all files of its task are `.outputs`, and the results of all "
        "its takes are `.takes`.",
    ),
    Code(
        "cycle",
        "Nodes wait for each other in a circle, so none of them can ever start. The place shown is the reference in the first "
        "of them; the notes follow the circle back to it. References in `when` and entries of `needs` count too.",
    ),
    Code(
        "bad-need",
        "`needs` names a node, which means all of its instances, or one instance with its key in brackets. A take or a node "
        "of another manifest cannot be waited for.",
    ),
    Code(
        "not-known-yet",
        "The number of instances, their keys, a model or the number of takes must be known before anything runs, because the "
        "plan and its cost hang on them. This one depends on what a node will make, or on an input not fetched yet.",
    ),
    Code(
        "empty-fan-out",
        "The file of a `foreach` has no rows, or its list or mapping no items, so the node has no instances and makes "
        "nothing. That may be meant; `foreach: 0` says the same without a warning.",
        warns=True,
    ),
    Code(
        "bad-cell",
        "A cell of a CSV file is text. Only where it alone fills an input that takes a number or a boolean is it read as one: "
        "a number as in JSON, `true` or `false`. This cell is none of these.",
    ),
    Code(
        "missing-file",
        "A local file that the manifest names is not there. Relative paths count from the file they are written in: the "
        "manifest, or the CSV, JSON or YAML file of a row; those of `--var` count from the working directory.",
    ),
    Code(
        "outside-project",
        "Local inputs lie inside of the project, so that a colleague's checkout has them too and no manifest can reach for "
        "other files. `--allow-outside` lifts that for one command.",
    ),
    Code("unreadable-file", "A local input is there, but the system does not let it be read."),
    Code(
        "not-media",
        "A local input is no image, video or sound that can be decoded, whatever its name ends in. Every input is looked at "
        "before anything is sent.",
    ),
    Code(
        "bad-data-uri",
        "A `data:` URI in a media input does not decode to an image, video or sound. It has the form "
        "`data:image/png;base64,` and then the bytes.",
    ),
    Code(
        "bad-media-url",
        "An address in a media input is an https URL under a public domain, a `runway://` or a `data:` URI; anything else is "
        "a path. Other schemes, bare IP addresses and local names cannot be fetched by the API.",
    ),
    Code(
        "input-too-large",
        "There is no way to send a file of this size to the API: an address that it fetches itself serves 16 MB of image or "
        "32 MB of video or sound, a data URI less, and an upload ends at 200 MB.",
    ),
    Code(
        "pin-mismatch",
        "The asset is pinned by `sha256:`, and its bytes are others. Either the file was changed, then restore it, or the new "
        "bytes are meant, then change the pin.",
    ),
    Code(
        "upload-uri",
        "A `runway://` URI written by hand names an upload that nobody else can read. It is known by its text alone and "
        "expires within 24 hours. Name the file itself: flowrun uploads it whenever that is needed.",
        warns=True,
    ),
    Code(
        "bad-output",
        "An output is what a node makes: one reference to it, alone in its braces, or a list of such. Facts, assets and texts "
        "are no files to export.",
    ),
    Code(
        "unsafe-path",
        "The path of an export stays below the export folder: it is relative, has no `..` and no backslashes, and no part of "
        "it is empty.",
    ),
    Code(
        "wrong-extension",
        "The path of an export ends like another kind of media than the output is, such as `.mp4` for an image. Without an "
        "extension the right one is added.",
    ),
    Code(
        "corrected-extension",
        "The path of an export has an extension of the right kind but not of this format, such as `.png` for a JPEG. The file "
        "is exported under the right one.",
        warns=True,
    ),
    Code(
        "seed-repeated",
        "A node with several takes has a seed. It is sent with every take, so the takes come out much alike, and each of them "
        "is paid for. Without a seed each take gets one of its own, which is recorded with its result.",
        warns=True,
    ),
    Code(
        "env-not-seen",
        "A result is used that was made with the value of an environment variable. Such values are secrets: a recipe holds "
        "their names alone, so a changed value makes nothing new.",
        warns=True,
    ),
    Code(
        "export-clash",
        "Two files would be exported to one path, or to paths that some file systems cannot tell apart. The paths of a "
        "fan-out differ when they hold `{{ each.key }}`.",
    ),
)
