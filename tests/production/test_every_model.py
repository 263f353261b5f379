"""Every operation with every model, from a manifest through client and sandbox to media that decode, and the table of it:
`docs/reference/coverage.md` is what these tests saw.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowrun.ids import TaskId
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.media.picture import tiny_size
from flowrun.operations.catalogue import Catalogue, catalogue, described
from flowrun.operations.data import document
from flowrun.plan.model import Cost
from flowrun.production.account import account
from flowrun.production.costs import By, costs
from flowrun.production.options import Surroundings
from flowrun.runway.errors import GoneError
from tests.sandbox.asking import NUMBERS, TEXTS
from tests.support.coverage_page import Row, asked_size, page, rows
from tests.support.golden import check_golden
from tests.support.schema_places import FRAMES, UNDESCRIBED, places, requests, used
from tests.support.virtual_time import VirtualClock, run_virtual
from tests.support.whole_api import SECONDS, Call, Ran, Whole, complaints, inputs, pairs, with_outputs

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "coverage.md"
BY_HAND = (Path(__file__).parent / "every_model.yaml").read_text(encoding="utf-8")
OVER = {  # nodes of it that make something as long as what they are given
    "restyled": "street",
    "acted": "actor",
    "acted_in_a_film": "actor",
    "revoiced": "speech",
    "revoiced_film": "actor",
    "dubbed": "speech",
    "isolated": "interview",
}
QUICK = (
    "still_gen4_image_turbo",
    "still_gen4_image",
    "still_gemini",
    "shot_gen4_turbo",
    "restyled",
    "effect",
    "spoken",
)
CLOSE = 0.15  # seconds: a packet of sound, or a frame of a small film


# -- what is run, once for all tests of a process


class Runs:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cache  # noqa: B019
    def by_hand(self) -> Ran:
        return run(self.folder / "described", BY_HAND)
