"""The log of a run: everything that happened, nothing that is secret, and never in the way."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import stat
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from flowrun import log
from flowrun.production import run_log
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.masking import Masker
from flowrun.production.run_log import KEEP, RunLog, log_of, write_bug
from tests.production.test_main_path import CHAIN
from tests.support.stage import Stage

KEY = "key_" + "ab12" * 32
SECRET = 'canary "4711" für\nKöln'
ONE = """
    flowrun: 1
    name: one
    env: [CLIENT]
    nodes:
      hero:
        uses: text_to_speech
        with:
          model: eleven_multilingual_v2
          promptText: "made for {{ env.CLIENT }}"
          voice: {type: runway-preset, presetId: Maya}
"""
LINE = re.compile(r"(    .*|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ +flowrun\.\w+ \S.*)")


def text_of(done: Any) -> str:
    assert done.log is not None
    return str(done.log.read_text(encoding="utf-8"))


def lines(text: str, *words: str) -> list[str]:
    return [each for each in text.splitlines() if all(word in each for word in words)]


def test_a_run_is_told_from_its_first_request_to_its_exit(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN, scenario="faults: [{on: image_to_video, match: {nth: 1}, do: {status: 503}}]\n")
    done = stage.apply(max_credits=500)
    text = text_of(done)
    assert done.log == tmp_path / ".flowrun" / "logs" / f"{done.run}.log"
    assert stat.S_IMODE(done.log.stat().st_mode) == 0o600
    assert all(LINE.fullmatch(each) for each in text.splitlines())
    assert "path=/v1/organization status=200" in text.splitlines()[0]
    assert lines(text, "flowrun.run flowrun version=", "python=", "platform=")
    assert lines(text, "plan instances=3 run=1 undecided=2 credits=", "cap=500")
    assert lines(text, "decided address=shot[a] decision=run", "units=1:run:gen4_turbo:25")
    assert lines(text, "request method=POST", "path=/v1/image_to_video for=shot[a]#1", "status=503")
    assert lines(text, "request method=POST", "for=shot[a]#1 retry=1 status=200 seconds=", "request_id=")
    assert lines(text, "attempt-failed unit=shot[a]#1 verdict=resend code=overloaded", "WARNING")
    assert lines(text, "received path=/outputs/", "bytes=")
    assert text.splitlines()[-1].endswith("done exit=0 exits=0")


def test_nothing_secret_is_on_the_disk_after_a_faulty_run(tmp_path: Path) -> None:
    hidden = KEY.replace("a", "\\u0061", 1)  # the answer's JSON says it so that no file of ours holds a key
    fault = f'faults: [{{on: text_to_speech, do: {{status: 400, body: \'{{"error": "bad {hidden}"}}\'}}}}]\n'
    stage = Stage(tmp_path, ONE, scenario=fault, environ={"CLIENT": SECRET, "RUNWAYML_API_SECRET": KEY})
    done = stage.apply(vars=(), select=("hero",))
    assert done.exit is Exit.FAILED
    assert lines(text_of(done), "attempt-failed", "code=refused-input", "bad key_****")
    assert not leaks(tmp_path, KEY, "4711")


def test_no_token_of_an_output_is_on_the_disk(tmp_path: Path) -> None:
    done = Stage(tmp_path, CHAIN, scenario="faults: [{on: download, match: {nth: 1}, do: {status: 503}}]\n").apply()
    assert lines(text_of(done), "path=/outputs/", "status=503")
    assert not leaks(tmp_path, "_jwt=", "?token", "Bearer")


def leaks(folder: Path, *canaries: str) -> list[tuple[Path, str]]:
    """Where in a folder a text stands, in logs and everywhere else but in what the sandbox keeps as the API would."""
    files = [path for path in folder.rglob("*") if path.is_file() and "api" not in path.parts]
    assert any(path.suffix == ".log" for path in files)
    return [(path, each) for path in files for each in canaries if each.encode() in path.read_bytes()]


def test_a_mask_knows_the_forms_a_secret_takes() -> None:
    masked = Masker([SECRET, "  padded-value ", "ab"])
    forms = [SECRET, repr(SECRET), json.dumps(SECRET), quote(SECRET), quote_plus(SECRET), "padded-value", KEY]
    shown = masked(" ".join(forms) + " https://u:pw@h.com/a.png?anything=1#2 is ab but not cab")
    for each in ("4711", "padded", KEY, "pw@", "anything"):
        assert each not in shown
    assert "https://h.com/a.png?********" in shown
    assert shown.endswith("is ******** but not cab")
    assert Masker([])("plain") == "plain"
    assert "4711" not in Masker.of_all()(f"later: {SECRET}")


def test_a_declined_apply_and_a_refused_key_leave_no_log(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)
    with pytest.raises(FlowrunError):
        stage.apply(confirm=lambda proposal: False)
    assert not (tmp_path / ".flowrun" / "logs").exists()


def test_a_bug_is_in_the_log_with_its_traceback_and_names_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, ONE, environ={"CLIENT": SECRET})

    def broken(*args: object) -> object:
        raise LookupError(f"nobody foresaw {SECRET}")

    monkeypatch.setattr("flowrun.production.applying.export_all", broken)
    with pytest.raises(LookupError) as bug:
        stage.apply()
    named = log_of(bug.value)
    assert named is not None
    text = Path(named).read_text(encoding="utf-8")
    assert "unforeseen error" in text
    assert "    LookupError: nobody foresaw ********" in text
    assert "canary" not in text
    assert log_of(ExceptionGroup("several", [bug.value])) == named
    assert log_of(ValueError()) is None


@pytest.mark.parametrize("where", ["open", "write"])
def test_a_disk_that_takes_no_log_does_not_disturb_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    stage = Stage(tmp_path, CHAIN)
    real = getattr(os, where)

    def full(first: Any, *rest: Any, **named: Any) -> Any:
        ours = str(first).endswith(".log") if where == "open" else True
        if ours:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(first, *rest, **named)

    monkeypatch.setattr(run_log.os, where, full)
    done = stage.apply()
    assert done.exit is Exit.DONE
    assert [each for each in done.warnings if "could not be written: No space left" in each] == done.warnings
    assert len(done.warnings) == 1


def test_the_newest_logs_are_kept_and_others_files_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / ".flowrun" / "logs"
    folder.mkdir(parents=True)
    for number in range(KEEP + 5):
        (folder / f"20230101-{number:06}-abcdef.log").touch()
    (folder / "mine.log").touch()
    done = Stage(tmp_path, CHAIN).apply()
    kept = sorted(each.name for each in folder.iterdir())
    assert done.log is not None
    assert done.log.name in kept
    assert "mine.log" in kept
    assert len(kept) == KEEP + 1
    assert "20230101-000005-abcdef.log" not in kept


def test_reports_of_bugs_are_kept_apart_and_never_written_over(tmp_path: Path) -> None:
    one, two = (write_bug(tmp_path, f"report {number}", "20260101-000000") for number in (1, 2))
    assert (one.read_text(), two.read_text()) == ("report 1", "report 2")
    assert (tmp_path / ".flowrun" / ".gitignore").read_text() == "*\n"
    for number in range(KEEP + 1):
        write_bug(tmp_path, "later", f"20270101-{number:06}")
    assert len(list(one.parent.iterdir())) == KEEP
    assert not one.exists()


def test_nothing_is_printed_and_no_logger_is_changed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger("flowrun").level, logging.getLogger().level
    Stage(tmp_path, CHAIN, scenario="faults: [{on: image_to_video, do: {status: 503}}]\n").apply()
    assert (logging.getLogger("flowrun").level, logging.getLogger().level) == before
    assert capfd.readouterr() == ("", "")


def test_two_logs_at_once_do_not_hear_each_other(tmp_path: Path) -> None:
    with RunLog(tmp_path, lambda: 0.0, ()) as one:
        one.begin("20260101-000000-aaaaaa")
        with RunLog(tmp_path, lambda: 0.0, ()) as two:
            two.begin("20260101-000000-bbbbbb")
            log.say("run", "inner", text="a\nb", empty=None, share=0.5, kinds=("x", "y"))
        log.say("run", "outer")
    assert one.path is not None
    assert two.path is not None
    assert (
        two.path.read_text() == '1970-01-01T00:00:00.000Z INFO    flowrun.run inner text="a\\nb" share=0.5 kinds=x,y\n'
    )
    assert one.path.read_text().endswith("flowrun.run outer\n")
    assert "inner" not in one.path.read_text()


def test_a_host_program_hears_what_its_levels_let_through(caplog: pytest.LogCaptureFixture) -> None:
    log.say("run", "quiet")
    log.say("run", "loud", level=log.WARNING, what="x y")
    assert [record.getMessage() for record in caplog.records] == ['loud what="x y"']


def test_an_odd_value_ends_the_log_and_not_the_run(tmp_path: Path) -> None:
    with RunLog(tmp_path, lambda: float("nan"), ()) as odd:
        odd.begin("20260101-000000-aaaaaa")
        log.say("run", "what")
    assert odd.trouble is not None
