"""A good request for each model, and shorthands. Used by the tests beside it."""

from __future__ import annotations

import copy
from typing import Any

from flowrun.operations.catalogue import catalogue as today
from flowrun.operations.catalogue import described as catalogue
from flowrun.operations.model import Problem
from flowrun.operations.spec import ModelSpec

IMAGE = "https://media.example/a.png"
VIDEO = "https://media.example/a.mp4"
VOICE = {"type": "runway-preset", "presetId": "Maya"}

GOOD: dict[tuple[str, str], dict[str, Any]] = {
    ("image_to_video", "gen4_turbo"): {
        "promptImage": IMAGE,
        "ratio": "1280:720",
        "duration": 5,
        "promptText": "a fox",
        "seed": 7,
    },
    ("image_to_video", "gen3a_turbo"): {
        "promptImage": [{"uri": IMAGE, "position": "last"}],
        "promptText": "a fox",
        "duration": 5,
    },
    ("image_to_video", "veo3.1"): {
        "promptImage": [{"uri": IMAGE, "position": "last"}, {"uri": IMAGE, "position": "first"}],
        "ratio": "1280:720",
        "duration": 8,
        "audio": False,
    },
    ("image_to_video", "veo3.1_fast"): {"promptImage": IMAGE, "ratio": "1280:720"},
    ("image_to_video", "veo3"): {"promptImage": IMAGE, "ratio": "1280:720", "duration": 8},
    ("text_to_video", "veo3.1"): {"promptText": "a fox", "ratio": "1280:720", "duration": 4},
    ("text_to_video", "veo3.1_fast"): {"promptText": "a fox", "ratio": "1280:720", "duration": 6},
    ("text_to_video", "veo3"): {"promptText": "a fox", "ratio": "1280:720", "duration": 8},
    ("video_to_video", "gen4_aleph"): {
        "videoUri": VIDEO,
        "promptText": "in snow",
        "ratio": "1280:720",
        "references": [{"type": "image", "uri": IMAGE}],
    },
    ("text_to_image", "gen4_image"): {"promptText": "a fox", "ratio": "1920:1080"},
    ("text_to_image", "gen4_image_turbo"): {
        "promptText": "@fox",
        "ratio": "720:720",
        "referenceImages": [{"uri": IMAGE, "tag": "fox"}, {"uri": IMAGE}],
    },
    ("text_to_image", "gemini_2.5_flash"): {"promptText": "a fox", "ratio": "1344:768"},
    ("character_performance", "act_two"): {
        "character": {"type": "image", "uri": IMAGE},
        "reference": {"type": "video", "uri": VIDEO},
        "bodyControl": True,
        "expressionIntensity": 3,
    },
    ("sound_effect", "eleven_text_to_sound_v2"): {"promptText": "rain", "duration": 2.5, "loop": True},
    ("speech_to_speech", "eleven_multilingual_sts_v2"): {"media": {"type": "video", "uri": VIDEO}, "voice": VOICE},
    ("text_to_speech", "eleven_multilingual_v2"): {"promptText": "Once.", "voice": VOICE},
    ("voice_dubbing", "eleven_voice_dubbing"): {
        "audioUri": "https://media.example/a.mp3",
        "targetLang": "de",
        "numSpeakers": 2,
    },
    ("voice_isolation", "eleven_voice_isolation"): {"audioUri": "runway://a-file-of-mine"},
}

PAIRS = list(GOOD)


def spec_of_today(operation: str, model: str) -> ModelSpec:
    """With the overlays that ship."""
    found = today().find(operation, model)
    assert found is not None
    return found


def spec_of(operation: str, model: str) -> ModelSpec:
    found = catalogue().find(operation, model)
    assert found is not None
    return found


def good(operation: str, model: str, /, **changes: Any) -> dict[str, Any]:
    """A good request with some inputs changed; None takes one away."""
    request = {"model": model, **copy.deepcopy(GOOD[operation, model]), **changes}
    return {name: value for name, value in request.items() if value is not None}


def errors(operation: str, model: str, /, **changes: Any) -> list[Problem]:
    """Errors in a good request with some inputs changed."""
    return [each for each in spec_of(operation, model).check(good(operation, model, **changes)) if each.is_error]


def the_error(operation: str, model: str, /, **changes: Any) -> Problem:
    found = errors(operation, model, **changes)
    assert len(found) == 1, found
    return found[0]
