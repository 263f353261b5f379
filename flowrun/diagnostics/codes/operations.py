"""Codes of checking a request against the operation catalogue."""

from __future__ import annotations

from flowrun.diagnostics.codes.model import Code

CODES = (
    Code(
        "unknown-operation",
        "A node's `uses` names an operation that neither the API nor flowrun has. The API's operations are the last "
        "segment of its endpoints, such as `text_to_image`; local ones begin with `media/`; a module is a path to a "
        "manifest.",
    ),
    Code(
        "unknown-model",
        "The operation exists, but no such model does it. One model may do several operations and most do one; the "
        "hint names the operation a model belongs to, or the model that was probably meant. A model newer than flowrun is "
        "made known by an overlay (`[catalogue]` in `flowrun.toml`), or let through unchecked by `--allow-unknown-models`.",
    ),
    Code(
        "unknown-input",
        "The model has no input of this name, and the API refuses a request that holds one. Inputs are spelled as the "
        "API spells them (`promptText`, not `prompt_text`), and models of one operation differ in what they take.",
    ),
    Code(
        "missing-input",
        "The model cannot work without this input, and the API refuses a request that lacks it. It may be given in "
        "the node's `with`, or for many nodes at once under `defaults`.",
    ),
    Code(
        "wrong-type",
        "The input takes another type of value: a number where text stands, a list where a mapping stands, or no "
        "media where media stands. Quotes make text of a number; a lone template expression keeps the type of its "
        "value.",
    ),
    Code(
        "not-allowed",
        "The input takes one of a few values, and this is none of them. The values differ from model to model, ratios "
        "above all, so a value that one model takes may be refused by the next.",
    ),
    Code(
        "out-of-range",
        "The number is smaller or larger than the model takes. The message gives the bounds, both of them allowed.",
    ),
    Code(
        "too-long",
        "A text, a list or a URI is longer than the model takes. Text is measured as the API measures it, in UTF-16 "
        "code units: most characters count one, an emoji two or more.",
    ),
    Code(
        "too-short",
        "A text, a list or a URI is shorter than the model takes. An empty text is no prompt; leave an optional input "
        "out instead.",
    ),
    Code(
        "bad-pattern",
        "The text has not the form that is asked for here: a tag of lower-case letters, digits and underscores, or an "
        "address with one of the schemes that the API reads media from.",
    ),
    Code(
        "wrong-media-kind",
        "The input takes one kind of media (image, video or audio) and was given another. Where a `type` stands "
        "beside it, the two must agree. Found before anything runs, where the API would fail the task.",
    ),
    Code(
        "unsupported-format",
        "The file is media of the right kind, but in a container or codec that the API does not take: a GIF, Ogg sound, a "
        "WAV that is not PCM. What a file is was found by looking into it; its name does not count.",
    ),
    Code(
        "discouraged-format",
        "The API may take this container or codec, but advises against it: AVI, FLV, MPEG-2, Motion JPEG. Converting the "
        "file first is safer than a task that fails.",
        warns=True,
    ),
    Code(
        "aspect-window",
        "The picture is wider or taller than the model takes. The message gives the window, as width divided by height. "
        "Checked for files at once, and for what another node makes as soon as its size is known.",
    ),
    Code(
        "duplicate-tag",
        "Two reference images of one request bear the same tag, so the prompt's `@tag` could mean either. Rename one "
        "of them.",
    ),
    Code(
        "duplicate-position",
        "Two images claim the same frame of a video. There is one first and one last frame; keep one image for each.",
    ),
    Code(
        "only-last-frame",
        "A last frame was given without a first one, and the model does not generate from that alone. Add a first "
        "frame.",
    ),
    Code(
        "too-many-references",
        "The API takes at most one reference for this model, although its schema lets the list grow. Keep the one "
        "that matters most.",
    ),
    Code(
        "duration-window",
        "The media is shorter or longer than the model works on. Its length is known from the file itself, so this is "
        "found before the request is made and paid for. Cut it, or take another.",
    ),
    Code(
        "live-refuses",
        "The API's description allows this, but the live API of today refuses it, by an overlay of the catalogue. It is a "
        "warning where nothing would be sent there (a result that is in the store, the sandbox), and an error where it would.",
        warns=True,
    ),
    Code(
        "unchecked-model",
        "No catalogue has this model, and `--allow-unknown-models` lets it through: its inputs are not checked before they "
        "are sent, and its price is unknown.",
        warns=True,
    ),
    Code(
        "overlay-invalid",
        "An overlay of the catalogue, named under `[catalogue]` in `flowrun.toml`, has something in it that an overlay does not "
        "have, or that does not fit what it is laid over.",
    ),
    Code(
        "retired-model",
        "The live API has taken the model out of service and refuses requests for it; results made with it stay in "
        "the store and go on to be used. The sandbox still has it. To generate anew, change to the successor that the "
        "hint names.",
        warns=True,
    ),
)
