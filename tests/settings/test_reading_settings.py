"""Layers over each other, where each value came from, and every mistake with its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.diagnostics.render import to_text
from flowrun.settings.keys import KEYS, by_section
from flowrun.settings.model import Layer, Settings
from flowrun.settings.reading import explained, read_settings, user_settings_file

KEY = "key_" + "0a" * 64


class Place:
    """A project and a user's file on a temporary disk."""

    def __init__(self, root: Path) -> None:
        self.project, self.user = root / "work", root / "home" / ".config" / "flowrun" / "config.toml"
        self.project.mkdir()
        self.user.parent.mkdir(parents=True)
        self.home = root / "home"

    def read(
        self, project: str = "", user: str = "", environ: Mapping[str, str] | None = None, **rest: Any
    ) -> Settings:
        (self.project / "flowrun.toml").write_text(project, encoding="utf-8")
        self.user.write_text(user, encoding="utf-8")
        around = {"HOME": str(self.home), **(environ or {})}
        return read_settings(self.project, around, cwd=self.project, **rest)

    def wrong(self, project: str = "", user: str = "", environ: Mapping[str, str] | None = None) -> list[Diagnostic]:
        with pytest.raises(DiagnosticError) as found:
            self.read(project, user, environ)
        return list(found.value.diagnostics)

    def one(self, project: str = "", environ: Mapping[str, str] | None = None) -> Diagnostic:
        (diagnostic,) = self.wrong(project, "", environ)
        return diagnostic


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_nothing_written_is_all_built_in(tmp_path: Path) -> None:
    settings = read_settings(tmp_path, {})
    assert settings == Settings()
    assert {origin.layer for _, _, origin in explained(settings)} == {Layer.BUILT_IN}
    assert str(settings.origin("cache.dir")) == "built-in"


def test_each_layer_lies_over_the_ones_before(place: Place) -> None:
    user = '[provider]\naccount = "home"\nname = "runway"\nresend_502 = false\n'
    project = '[provider]\naccount = "studio"\nname = "runway"\n'
    environ = {"FLOWRUN_PROVIDER_NAME": "sandbox"}
    settings = place.read(project, user, environ)
    assert settings.provider.account == "studio"
    assert settings.provider.name == "sandbox"
    assert settings.provider.resend_502 is False
    assert str(settings.origin("provider.account")) == "flowrun.toml:2:11"
    assert str(settings.origin("provider.name")) == "environment FLOWRUN_PROVIDER_NAME"
    assert str(settings.origin("provider.resend_502")).endswith("config.toml:4:14")
    assert settings.origin("provider.resend_502").layer is Layer.USER
    flagged = place.read(project, user, environ, flags={"provider.name": ("runway", "--live")})
    assert flagged.provider.name == "runway"
    assert str(flagged.origin("provider.name")) == "--live"


def test_origins_as_json(place: Place) -> None:
    settings = place.read('[project]\nname = "Fox"\n')
    found = settings.origin("project.name").to_json()
    assert found == {"layer": "project", "name": None, "file": "flowrun.toml", "line": 2, "column": 8}
    assert settings.origin("cache.dir").to_json() == {"layer": "built-in", "name": None}


def test_limits_of_models_are_joined_model_by_model(place: Place) -> None:
    settings = place.read(
        '[limits.concurrency]\n"veo3.1" = 2\n',
        "[limits]\nconcurrency = {gen4_turbo = 4, gen4_aleph = 3}\n",
        {"FLOWRUN_LIMITS_CONCURRENCY": "gen4_turbo=1, gen4_image = 5"},
    )
    assert settings.limits.concurrency == {"gen4_turbo": 1, "gen4_aleph": 3, "veo3.1": 2, "gen4_image": 5}
    assert str(settings.origin("limits.concurrency.veo3.1")) == "flowrun.toml:2:1"
    assert settings.origin("limits.concurrency.gen4_turbo").layer is Layer.ENVIRONMENT
    rows = {key: value for key, value, _ in explained(settings)}
    assert rows["limits.concurrency.gen4_aleph"] == 3
    assert "limits.concurrency" not in rows


def test_paths_count_from_the_file_they_stand_in(place: Place) -> None:
    assert place.read('cache.dir = "../common"\n').cache.dir == place.project / "../common"
    assert place.read("", 'cache.dir = "store"\n').cache.dir == place.user.parent / "store"
    assert place.read("", "", {"FLOWRUN_CACHE_DIR": "store"}).cache.dir == place.project / "store"
    assert place.read('cache.dir = "/var/x"\n').cache.dir == Path("/var/x")


def test_a_home_is_expanded_and_an_unknown_one_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert place.read('cache.dir = "~/x"\n').cache.dir == Path("/home/me/x")
    assert "home folder" in place.one('cache.dir = "~nobody-of-that-name/x"\n').message


def test_words_of_the_environment(place: Place) -> None:
    environ = {
        "FLOWRUN_LINT_IGNORE": "no-nodes, upload-uri,no-nodes",
        "FLOWRUN_PROVIDER_RESEND_502": "false",
        "FLOWRUN_LIMITS_QUEUE_AHEAD": "3",
        "FLOWRUN_NOTIFY_COMMAND": "notify-send done",
        "FLOWRUN_PROJECT_NAME": "Fox",
    }
    settings = place.read("", "", environ)
    assert settings.lint.ignore == ("no-nodes", "upload-uri")
    assert settings.provider.resend_502 is False
    assert settings.limits.queue_ahead == 3
    assert settings.notify.command == "notify-send done"
    assert settings.project.name == "Fox"


def test_other_variables_are_none_of_ours_and_an_empty_one_is_not_set(place: Place) -> None:
    others = {"FLOWRUN_STATE_DIR": "x", "FLOWRUN_RUN": "1", "FLOWRUN_PROJECT": "/p", "FLOWRUN_PROVIDER": "runway"}
    settings = place.read("", "", {**others, "FLOWRUN_CACHE_DIR": "", "FLOWRUN_LIMITS_QUEUE_AHEAD": " "})
    assert settings.origins == {}


def test_the_sdks_own_address_wins_and_is_left_to_the_client(place: Place) -> None:
    environ = {"RUNWAYML_BASE_URL": "http://odd.example", "FLOWRUN_PROVIDER_BASE_URL": "https://a.example"}
    settings = place.read('provider.base_url = "https://b.example"\n', "", environ)
    assert settings.provider.base_url == "http://odd.example"
    assert str(settings.origin("provider.base_url")) == "environment RUNWAYML_BASE_URL"


@pytest.mark.parametrize(
    "address", ["localhost:8642", "ftp://a", "https://", "http://u:hidden@127.0.0.1:1", "http://[", "http://a:x"]
)
def test_the_sdks_own_variable_must_hold_an_address(place: Place, address: str) -> None:
    """Else a plan would only find that nobody answers."""
    (problem,) = place.wrong("", "", {"RUNWAYML_BASE_URL": address})
    assert (problem.code, problem.span) == ("wrong-setting", None)
    assert problem.message.startswith("RUNWAYML_BASE_URL ")
    assert "hidden" not in problem.message


def test_a_command_is_words_or_a_text_for_the_shell(place: Place) -> None:
    assert place.read('notify.command = ["say", "it is done"]\n').notify.command == ("say", "it is done")
    assert place.read('notify.command = "say done | tee x"\n').notify.command == "say done | tee x"


WRONG = [
    ("limits.queue_ahead = -1\n", "wrong-setting", "flowrun.toml:1:22", "from 0 to 1000, not -1"),
    ("limits.queue_ahead = true\n", "wrong-setting", "flowrun.toml:1:22", "not a boolean"),
    ("limits.queue_ahead = 1.0\n", "wrong-setting", "flowrun.toml:1:22", "not a number"),
    ("limits.concurrency = 2\n", "wrong-setting", "flowrun.toml:1:22", "not an integer"),
    ("limits.concurrency = {a = 0}\n", "wrong-setting", "flowrun.toml:1:27", "'a' takes a whole number from 1"),
    ("[limits.concurrency]\nveo3.1 = 2\n", "wrong-setting", "flowrun.toml:2:1", "not a table"),
    ("limits = 3\n", "wrong-setting", "flowrun.toml:1:10", "is a section"),
    ("[limits]\nqueue_ahed = 1\n", "unknown-setting", "flowrun.toml:2:1", "no key `queue_ahed`"),
    ('[projekt]\nname = "x"\n', "unknown-setting", "flowrun.toml:1:2", "no section `projekt`"),
    ("zzz = 1\n", "unknown-setting", "flowrun.toml:1:1", "no section `zzz`"),
    ('account = "x"\n', "unknown-setting", "flowrun.toml:1:1", "no section `account`"),
    ('[limits]\naccount = "x"\n', "unknown-setting", "flowrun.toml:2:1", "no key `account`"),
    ('[notify]\nzzzzzz = "x"\n', "unknown-setting", "flowrun.toml:2:1", "no key `zzzzzz`"),
    ('provider.name = "runwy"\n', "wrong-setting", "flowrun.toml:1:17", '"runway" or "sandbox"'),
    ("provider.name = 1979-05-27\n", "wrong-setting", "flowrun.toml:1:17", "not a date"),
    ('provider.account = "../x"\n', "wrong-setting", "flowrun.toml:1:20", "1 to 80 letters"),
    ("provider.account = 3\n", "wrong-setting", "flowrun.toml:1:20", "takes a name"),
    ('provider.resend_502 = "no"\n', "wrong-setting", "flowrun.toml:1:23", "true or false, not text"),
    ('provider.base_url = "http://a.example"\n', "wrong-setting", "flowrun.toml:1:21", "without TLS"),
    ('provider.base_url = "a.example"\n', "wrong-setting", "flowrun.toml:1:21", "https://host"),
    ('provider.base_url = "https://[a"\n', "wrong-setting", "flowrun.toml:1:21", "no address"),
    ('cache.dir = ""\n', "wrong-setting", "flowrun.toml:1:13", "not empty"),
    ("cache.dir = 3\n", "wrong-setting", "flowrun.toml:1:13", "takes a path"),
    ('lint.ignore = ["no-nodez"]\n', "wrong-setting", "flowrun.toml:1:16", "no diagnostic 'no-nodez'"),
    ('lint.ignore = ["unknown-key"]\n', "wrong-setting", "flowrun.toml:1:16", "errors are never ignored"),
    ("lint.ignore = [\n  3]\n", "wrong-setting", "flowrun.toml:2:3", "an integer"),
    ('lint.ignore = "no-nodes"\n', "wrong-setting", "flowrun.toml:1:15", "not text"),
    ("notify.command = []\n", "wrong-setting", "flowrun.toml:1:18", "not empty"),
    ("notify.command = ['a', 1]\n", "wrong-setting", "flowrun.toml:1:24", "an integer"),
    ("notify.command = 1\n", "wrong-setting", "flowrun.toml:1:18", "takes a command"),
    ('project.name = ""\n', "wrong-setting", "flowrun.toml:1:16", "1 to 80"),
    ("limits.credits_per_day = -1\n", "wrong-setting", "flowrun.toml:1:26", "0"),
    ("limits.credits_per_day = 1.5\n", "wrong-setting", "flowrun.toml:1:26", "whole number"),
    ('limits.credits_per_day = "400"\n', "wrong-setting", "flowrun.toml:1:26", "not text"),
    ('cache.remote = "s3://x"\n', "setting-not-available", "flowrun.toml:1:16", "shared remotes"),
    ('catalogue.base = "x"\n', "setting-not-available", "flowrun.toml:1:18", "this version"),
    ('catalogue.overlays = ["x"]\n', "wrong-setting", "flowrun.toml:1:23", "no overlay 'x'"),
    ('catalogue.overlays = "x.yaml"\n', "wrong-setting", "flowrun.toml:1:22", "an array of overlays"),
    ('catalogue.overlays = ["x.yaml", 7]\n', "wrong-setting", "flowrun.toml:1:33", "an integer"),
    ("a = 1\na = 2\n", "setting-twice", "flowrun.toml:2:1", "`a`"),
    ("[limits\n", "bad-toml", "flowrun.toml:1:8", "TOML"),
]


@pytest.mark.parametrize(("text", "code", "where", "words"), WRONG)
def test_every_mistake_has_its_place(place: Place, text: str, code: str, where: str, words: str) -> None:
    found = place.one(text)
    assert (found.code, str(found.span)) == (code, where)
    assert words in found.message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[limits]\nqueue_ahed = 1\n", "queue_ahead"),
        ("[provder]\nx = 1\n", "provider"),
        ('account = "x"\n', "[provider]"),
        ('[limits]\naccount = "x"\n', "[provider]"),
        ('provider.name = "sanbox"\n', "sandbox"),
        ('lint.ignore = ["no-node"]\n', "no-nodes"),
        ('provider.uncertain = "trust-counter"\n', "trust-counters"),
    ],
)
def test_hints_say_what_to_write(place: Place, text: str, hint: str) -> None:
    assert hint in (place.one(text).hint or "")


def test_overlays_are_names_of_those_that_ship_or_paths_from_the_file(place: Place) -> None:
    assert place.read().catalogue.overlays == ("runwayml-5.24.0",)
    assert place.read("catalogue.overlays = []\n").catalogue.overlays == ()
    ours = place.read('catalogue.overlays = ["runwayml-5.24.0", "mine.yaml", "../b/c", "mine.yaml"]\n')
    assert ours.catalogue.overlays == ("runwayml-5.24.0", place.project / "mine.yaml", place.project / "../b/c")
    theirs = place.read(user='catalogue.overlays = ["mine.json"]\n')
    assert theirs.catalogue.overlays == (place.user.parent / "mine.json",)
    spoken = place.read(environ={"FLOWRUN_CATALOGUE_OVERLAYS": "runwayml-5.24.0, ~/mine.yml"})
    assert spoken.catalogue.overlays[0] == "runwayml-5.24.0"
    assert str(spoken.catalogue.overlays[1]).endswith("/mine.yml")
    hint = place.one('catalogue.overlays = ["runwayml-5.24"]\n').hint
    assert hint is not None
    assert "runwayml-5.24.0" in hint


@pytest.mark.parametrize("word", ["stop", "trust-counters"])
def test_what_follows_from_a_lost_answer_is_one_of_two(place: Place, word: str) -> None:
    assert place.read(f'provider.uncertain = "{word}"\n').provider.uncertain == word


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("FLOWRUN_LIMITS_QUEUE_AHEAD", "many", "whole number"),
        ("FLOWRUN_LIMITS_QUEUE_AHEAD", "-1", "not -1"),
        ("FLOWRUN_LIMITS_CONCURRENCY", "gen4_turbo", "models with numbers"),
        ("FLOWRUN_LIMITS_CONCURRENCY", "a=1,a=2", "models with numbers"),
        ("FLOWRUN_PROVIDER_RESEND_502", "no", "true or false"),
        ("FLOWRUN_CACHE_REMOTE", "s3://x", "this version"),
        ("FLOWRUN_LINT_IGNORE", "no-nodez", "no-nodez"),
    ],
)
def test_a_wrong_variable_is_named(place: Place, variable: str, text: str, words: str) -> None:
    found = place.one("", {variable: text})
    assert found.span is None
    assert variable in found.message
    assert words in found.message


@pytest.mark.parametrize(
    ("variable", "near"),
    [("FLOWRUN_CACHE_DIRR", "FLOWRUN_CACHE_DIR"), ("FLOWRUN_LIMITS_QUEUEAHEAD", "FLOWRUN_LIMITS_QUEUE_AHEAD")],
)
def test_a_misspelt_variable_of_a_known_section_is_an_error(place: Place, variable: str, near: str) -> None:
    found = place.one("", {variable: "x"})
    assert (found.code, found.span) == ("unknown-setting", None)
    assert near in (found.hint or "")


def test_all_mistakes_of_all_layers_are_told_at_once(place: Place) -> None:
    found = place.wrong("a = 1\n[limits]\nb = 2\nqueue_ahead = -3\n", "c = 1\n", {"FLOWRUN_CACHE_DIRR": "x"})
    assert len(found) == 5
    assert [each.span is None for each in found] == [True, False, False, False, False]


def test_an_api_key_in_a_file_is_an_error_and_never_shown(place: Place) -> None:
    text = f'[provider]\naccount = "{KEY}"\n'
    found = place.one(text)
    assert (found.code, str(found.span)) == ("secret-in-file", "flowrun.toml:2:12")
    assert "0a0a" not in to_text([found], lambda name: text, False) + repr(found)


def test_a_key_is_told_beside_broken_toml_and_behind_escapes(place: Place) -> None:
    assert [each.code for each in place.wrong(f"# {KEY}\n[a\n")] == ["secret-in-file", "bad-toml"]
    spelt = KEY.replace("_", "\\u005f")
    assert place.one(f'notify.command = ["x", "{spelt}"]\n').code == "secret-in-file"


def test_a_key_in_a_variable_is_not_echoed(place: Place) -> None:
    found = place.one("", {"FLOWRUN_PROVIDER_NAME": KEY})
    assert "0a0a" not in repr(found)


def test_what_cannot_be_read_is_told(place: Place) -> None:
    (place.project / "flowrun.toml").write_bytes(b'project.name = "\xff"\n')
    with pytest.raises(DiagnosticError) as found:
        read_settings(place.project, {}, cwd=place.project)
    assert found.value.diagnostics[0].code == "not-utf8"
    (place.project / "flowrun.toml").unlink()
    (place.project / "flowrun.toml").mkdir()
    with pytest.raises(DiagnosticError) as unreadable:
        read_settings(place.project, {}, cwd=place.project)
    assert unreadable.value.diagnostics[0].code == "file-unreadable"


def test_a_file_beyond_all_reason_is_not_read(place: Place) -> None:
    found = place.one("#" * ((1 << 20) + 1))
    assert (found.code, "larger" in found.message) == ("file-unreadable", True)


def test_a_byte_order_mark_moves_nothing(place: Place) -> None:
    found = place.one("\ufefflimits.queue_ahead = -1\n")
    assert str(found.span) == "flowrun.toml:1:22"


def test_where_the_users_file_lies() -> None:
    assert user_settings_file({"HOME": "/home/me"}) == Path("/home/me/.config/flowrun/config.toml")
    assert user_settings_file({"USERPROFILE": "/home/me"}) == Path("/home/me/.config/flowrun/config.toml")
    environ = {"HOME": "/home/me", "XDG_CONFIG_HOME": "/cfg"}
    assert user_settings_file(environ) == Path("/cfg/flowrun/config.toml")
    assert user_settings_file(environ | {"XDG_CONFIG_HOME": "odd"}) == Path("/home/me/.config/flowrun/config.toml")
    assert user_settings_file({}) is None


def test_a_file_outside_of_the_working_folder_is_shown_whole(place: Place) -> None:
    found = place.wrong("", "a = 1\n")
    assert found[0].span is not None
    assert found[0].span.file == str(place.user)


def test_the_declaration_and_the_types_agree() -> None:
    settings = Settings()
    for section, keys in by_section().items():
        assert tuple(keys) == tuple(getattr(settings, section).__dataclass_fields__)
    assert {key.variable for key in KEYS} >= {"FLOWRUN_CACHE_DIR", "FLOWRUN_LIMITS_CREDITS_PER_DAY"}


def test_only_warnings_are_ignored() -> None:
    from flowrun.diagnostics.model import Severity
    from flowrun.settings.model import LintSettings

    settings = Settings(lint=LintSettings(("no-nodes",)))
    assert settings.ignores(Diagnostic("no-nodes", "x", severity=Severity.WARNING))
    assert not settings.ignores(Diagnostic("no-nodes", "x"))
    assert not settings.ignores(Diagnostic("upload-uri", "x", severity=Severity.WARNING))


def test_an_overlay_below_a_home_that_nobody_has_is_named(place: Place) -> None:
    with pytest.raises(DiagnosticError) as caught:
        place.read('catalogue.overlays = ["~nobody-of-that-name/mine.yaml"]\n')
    [found] = caught.value.diagnostics
    assert found.code == "wrong-setting"
    assert "names a home folder that this system does not know" in found.message
    assert (found.span.line, found.span.column) == (1, 23)
