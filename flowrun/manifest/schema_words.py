"""What the editor's schema says of each key, operation and input, in a sentence. Owns the words; the shape is `json_schema`'s.

An input that has no words here is offered without any: a newer description of the API needs no change of code.
"""

from __future__ import annotations

from collections.abc import Mapping

KEYS: Mapping[str, Mapping[str, str]] = {  # by model of `models`, then by key
    "Document": {
        "flowrun": "The version of the format. Always 1.",
        "name": "What the flow is called, and its folder of exports. Without it, the file's name.",
        "description": "For people.",
        "vars": "Values that the rest of the file refers to as `vars.NAME`.",
        "assets": "Media files with a name: `assets.NAME` stands for the file.",
        "defaults": "Inputs for many nodes at once, by operation or operation/model. The more specific wins, then `with`.",
        "profiles": "Variants of `vars` and `defaults`, chosen with `--profile NAME`.",
        "nodes": "What is made: one entry for each generation, or for each fan-out of them.",
        "outputs": "What is exported, and where to.",
        "limits": "What no apply goes beyond.",
        "env": "Names of environment variables that `with` may use as `env.NAME`. Their values are secrets.",
    },
    "Variable": {
        "type": "What kind of value it takes; a `--var` is read by it.",
        "default": "The value, if nobody gives another.",
        "enum": "The only values allowed.",
        "minimum": "The least number allowed.",
        "maximum": "The greatest number allowed.",
        "required": "Whether somebody must give a value.",
        "description": "For people.",
    },
    "Asset": {
        "path": "A file of the project. It counts from the manifest's folder.",
        "url": "An https address. It is fetched once and kept.",
        "sha256": "The digest of the bytes: others are an error.",
        "license": "A note for people.",
        "consent": "A note for people.",
        "description": "For people.",
    },
    "Output": {
        "from": 'One reference to media, as in "{{ nodes.hero.output }}".',
        "path": "Where the file goes below the export folder. Without an ending it gets the right one.",
        "description": "For people.",
    },
    "LongForeach": {
        "file": "A CSV, JSON or YAML file of rows. It counts from the manifest's folder.",
        "items": "A list, a mapping, an integer or a template that gives one.",
        "key": "The field of the rows that is their key. Without it `key`, then `id`.",
    },
    "Limits": {
        "credits": "The most credits that one apply may commit.",
        "concurrency": "Generations at once, by model: lowers what the API allows, never raises it.",
        "queue_ahead": "Generations of each model that may wait in the API's own queue.",
    },
    "Profile": {
        "vars": "Other values of variables.",
        "defaults": "Other defaults, laid over the manifest's input by input.",
    },
    "Node": {
        "uses": "The operation that makes it.",
        "with": "The operation's inputs, and `model`. What is not written comes from `defaults`; null takes a default away.",
        "foreach": "One instance for each item: a list, a mapping, an integer, a template, or `{file: …, key: …}`.",
        "needs": "Nodes, or instances such as shot[intro], that must be done first, without data.",
        "when": "False: the node is skipped. A boolean, or a template that gives one.",
        "takes": "How many independent results of one recipe; the picked one flows on.",
        "tags": "Words to select by: `--select tag:NAME`.",
        "retry": "Further attempts after a failure that is worth another; 0 for none.",
        "timeout": "How long a task may run before this apply stops waiting: 90s, 20m, 1h.",
        "cache": "A word or number that makes the recipe another one; or false: a new result with each apply.",
        "description": "For people.",
    },
}

OPERATIONS: Mapping[str, str] = {
    "image_to_video": "A film that begins from an image.",
    "text_to_video": "A film from words alone.",
    "video_to_video": "A film made over by words and references.",
    "text_to_image": "An image from words, and from reference images if you like.",
    "character_performance": "A character that moves and speaks as somebody does in a reference film.",
    "sound_effect": "A sound from words.",
    "speech_to_speech": "The same speech in another voice.",
    "text_to_speech": "A voice that reads a text.",
    "voice_dubbing": "The same speech in another language.",
    "voice_isolation": "The voice alone, without what else is heard.",
}

INPUTS: Mapping[str, str] = {  # by name, wherever it stands
    "audio": "Whether the film has sound.",
    "audioUri": "The sound to begin from.",
    "bodyControl": "Whether the body follows the reference too, not the face alone.",
    "character": "Who acts: an image or a film of them.",
    "contentModeration": "How strictly content is judged.",
    "disableVoiceCloning": "Whether a stock voice speaks instead of one like the original.",
    "dropBackgroundAudio": "Whether only the voices are kept.",
    "duration": "Length in seconds.",
    "expressionIntensity": "How strongly the expressions show.",
    "loop": "Whether the end of the sound leads over to its beginning.",
    "media": "The speech to begin from: sound, or a film with sound.",
    "model": "Which model makes it. A template or nothing: any input of any of the operation's models may stand here.",
    "numSpeakers": "How many people speak.",
    "position": "Whether the image is the first or the last frame.",
    "presetId": "The name of a stock voice.",
    "promptImage": "The first frame, or a list of frames with their positions.",
    "promptText": "What is to be seen or heard, in words.",
    "publicFigureThreshold": "How strictly the likeness of known people is judged.",
    "ratio": "Width and height in pixels, in quotes.",
    "reference": "The performance to follow: a film of somebody who acts.",
    "referenceImages": "Images to take looks from. One with a tag is spoken of as @tag in the prompt.",
    "references": "What the result is to look like.",
    "removeBackgroundNoise": "Whether noise is taken out first.",
    "seed": "A number for similar results again. Left out, each take gets one of its own.",
    "tag": "A name for the prompt to use, as @tag.",
    "targetLang": "The language to speak, as a two- or three-letter code.",
    "type": "Which form this has.",
    "uri": "A path, an https address or a reference to media.",
    "videoUri": "The film to begin from.",
    "voice": "Who speaks.",
}
