"""The registry of codes: each once, each with something to say, and each that reading makes is in it."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from flowrun.diagnostics import codes
from flowrun.diagnostics.codes.model import Code


def test_every_code_is_kebab_case_and_explained() -> None:
    for name, code in codes.registry().items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
        assert name == code.name
        assert len(code.explanation.split()) > 8
        assert "\n" not in code.explanation


def test_explaining() -> None:
    assert "neither is taken" in str(codes.explain("duplicate-key"))
    assert codes.explain("no-such-code") is None


def test_a_code_listed_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = SimpleNamespace(CODES=(Code("a", "x"), Code("a", "y")))
    monkeypatch.setattr(codes, "import_module", lambda _name: twice)
    with pytest.raises(ValueError, match="a is listed twice"):
        codes.registry.__wrapped__()
