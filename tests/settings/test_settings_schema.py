"""The schema takes what flowrun takes and refuses what it refuses; the guide's table is the declaration's."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema_rs
import pytest

from flowrun.ledger.location import ledger_path
from flowrun.settings.keys import ACCOUNT, KEYS
from flowrun.settings.reading import read_settings
from flowrun.settings.schema import settings_schema, settings_table
from tests.settings.test_reading_settings import WRONG

ROOT = Path(__file__).parents[2]
GOOD = """
project.name = "Fox"
[provider]
name = "runway"
account = "studio"
base_url = "http://localhost:8080"
uncertain = "stop"
resend_502 = false
[cache]
dir = "../store"
[limits]
credits_per_day = 500
queue_ahead = 2
[limits.concurrency]
gen4_turbo = 2
"veo3.1" = 1
[catalogue]
overlays = []
[lint]
ignore = ["no-nodes", "retired-model"]
[notify]
command = ["say", "done"]
"""
# What a schema cannot say: the API's address needs more than a pattern, and TOML itself is read before.
BEYOND = ("http://a.example", "a.example", "https://[a", "a = 1\na = 2", "[limits\n", "1979")


def is_valid(text: str) -> bool:
    return bool(jsonschema_rs.validator_for(settings_schema()).is_valid(tomllib.loads(text)))


@pytest.mark.parametrize("text", ["", GOOD, 'notify.command = "say done"\n'])
def test_what_flowrun_takes_the_schema_takes(tmp_path: Path, text: str) -> None:
    (tmp_path / "flowrun.toml").write_text(text)
    read_settings(tmp_path, {})
    assert is_valid(text)


@pytest.mark.parametrize("text", [text for text, *_ in WRONG if not any(each in text for each in BEYOND)])
def test_what_flowrun_refuses_the_schema_refuses(text: str) -> None:
    assert not is_valid(text) or "1.0" in text, "a schema cannot tell 1.0 from 1"


def test_the_schema_in_the_repository_is_current() -> None:
    written = json.loads((ROOT / "schemas" / "config-1.json").read_text(encoding="utf-8"))
    assert written == settings_schema()


def test_every_key_is_described() -> None:
    for section in settings_schema()["properties"].values():
        assert section["description"]
        assert all(len(each["description"].split()) > 3 for each in section["properties"].values())


def test_the_guide_has_the_table_of_all_keys() -> None:
    guide = (ROOT / "docs" / "guides" / "settings.md").read_text(encoding="utf-8")
    assert "\n".join(settings_table()) in guide
    assert all(f"`{key.dotted}`" in guide for key in KEYS)


@pytest.mark.parametrize("name", ["studio", "a.b-c_d", "x" * 80, "", ".x", "a/b", "x" * 81, "é"])
def test_accounts_are_names_that_the_ledger_takes(tmp_path: Path, name: str) -> None:
    import re

    try:
        ledger_path(tmp_path, name)
    except ValueError:
        assert not re.fullmatch(ACCOUNT, name)
    else:
        assert re.fullmatch(ACCOUNT, name)
