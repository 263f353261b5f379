"""Real processes on one ledger file: limits hold between them, and a kill between intent and answer is uncertain."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from flowrun.ids import ActionKey, OwnerId, RecipeKey, RunId
from flowrun.ledger.protocol import IntentOutcome
from flowrun.ledger.sqlite import SqliteLedger

PRELUDE = """
import os, sys, time
from pathlib import Path
from flowrun.action import ActionDoc
from flowrun.ledger.protocol import Granted, Limits, Origin, Over, Succeeded, Wait
from flowrun.ledger.sqlite import SqliteLedger
path, me = Path(sys.argv[1]), sys.argv[2]
origin = Origin("/s", "p", "f", "", "f.yaml", "a")
doc = lambda n: ActionDoc(f"{me}-{n}", f"r{n}", "runway", "v", "text_to_image", "m", "/v1/text_to_image", {})
"""
HAMMER = """
ledger = SqliteLedger(path, time.time)  # all four may be the one that makes the file
limits = Limits(concurrency=3, balance=100, balance_at=0.0)
sent = 0
while True:
    claim = ledger.claim(doc(sent), origin, "run", me).claim
    answer = ledger.reserve(claim, "m", 7, limits)
    if isinstance(answer, Over):
        break
    if isinstance(answer, Wait):
        ledger.release(claim)
        continue
    held = ledger.in_flight()["m"]
    assert held <= 3, held
    intent = ledger.intend(claim, "digest", {})
    task = f"{me}-{sent}"
    ledger.submitted(intent, task)
    held = ledger.in_flight()["m"]
    assert held <= 3, held
    ledger.ended(task, "SUCCEEDED")
    ledger.settle(task, Succeeded(), None)
    sent += 1
ledger.retire(me)
"""
VICTIM = """
ledger = SqliteLedger(path, time.time)
claim = ledger.claim(doc(0), origin, "run", me).claim
ledger.reserve(claim, "m", 7, Limits())
ledger.intend(claim, "digest", {"seen": 41})
print("intended", flush=True)
sys.stdin.read()
"""


def start(program: str, path: Path, name: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", PRELUDE + program, str(path), name]
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=root)


def test_four_processes_share_three_slots_and_one_balance(tmp_path):
    path = tmp_path / "new" / "ledger.sqlite3"
    racers = [start(HAMMER, path, f"racer-{n}") for n in range(4)]
    for racer in racers:
        _, errors = racer.communicate(timeout=60)
        assert racer.returncode == 0, errors
    ledger = SqliteLedger(path, time.time)
    rows = ledger.tasks()
    assert len(rows) == 14  # 14 * 7 = 98 of 100 credits
    assert ledger.committed(RunId("run")) == 98
    moments = sorted([(row.submitted_at, 1) for row in rows] + [(row.ended_at, -1) for row in rows])
    held = [sum(step for _, step in moments[: n + 1]) for n in range(len(moments))]
    assert max(held) <= 3
    assert (ledger.in_flight(), ledger.owners(), ledger.uncertain()) == ({}, (), ())
    ledger.close()


def test_killed_between_intent_and_answer_is_uncertain_once_reaped(tmp_path):
    path = tmp_path / "ledger.sqlite3"
    victim = start(VICTIM, path, "victim")
    assert victim.stdout.readline() == "intended\n"
    victim.send_signal(signal.SIGKILL)
    victim.communicate(timeout=60)
    ledger = SqliteLedger(path, time.time)
    key = ActionKey("victim-0")
    assert [row.outcome for row in ledger.last([key])[key].open_intents] == [IntentOutcome.OPEN]
    assert ledger.reap(60, lambda owner: owner == "victim") == (OwnerId("victim"),)
    (row,) = ledger.uncertain()
    assert (row.key, row.owner, row.credits, row.evidence) == (key, "victim", 7, {"seen": 41})
    assert ledger.document(key).recipe == RecipeKey("r0")
    assert ledger.in_flight() == {"m": 1}
    ledger.close()
