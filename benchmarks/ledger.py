"""What the ledger costs for each generation, and what its journal and its copies add. Run: ``python -m benchmarks.ledger [N]``.

N generations (200) from claim to settlement on a real disk, each commit synced: alone, and with the run's journal. Then one copy
of a ledger of 100, 1,000 and 10,000 tasks, as a run makes one when it begins; and rebuilding that ledger from its copy and a
journal of N generations. Ratios are of one run on one machine: numbers, not tests.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from flowrun.action import ActionDoc
from flowrun.ids import ActionKey, OwnerId, RecipeKey, RunId, TaskId
from flowrun.ledger.protocol import Limits, Mine, Origin, Succeeded
from flowrun.ledger.rebuilding import rebuild
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.production.journals import DiskJournal

OWNER, RUN = OwnerId("bench"), RunId("run")
REQUEST = {"promptText": "a red fox with a green scarf, 35mm film, soft light, " * 8, "ratio": "1280:720"}


def document(name: str) -> ActionDoc:
    recipe = RecipeKey(f"recipe-{name}")
    return ActionDoc(ActionKey(name), recipe, "runway", "v", "text_to_image", "m", "/v1/text_to_image", REQUEST)


def generate(ledger: SqliteLedger, store: str, count: int, label: str) -> float:
    """Seconds for `count` generations."""
    began = time.perf_counter()
    for number in range(count):
        name = f"{label}-{number}"
        origin = Origin(store, "/project", "flow", "", "flow.yaml", f"shot[{number}]#1")
        mine = ledger.claim(document(name), origin, RUN, OWNER)
        assert isinstance(mine, Mine)
        ledger.reserve(mine.claim, "m", 5, Limits(concurrency=9, daily=10**6, balance=10**9))
        ledger.submitted(ledger.intend(mine.claim, "digest", {}), TaskId(name))
        ledger.ended(TaskId(name), "SUCCEEDED")
        ledger.settle(TaskId(name), Succeeded(), 5)
    return time.perf_counter() - began


def journaled(folder: Path, count: int) -> tuple[float, float]:
    """Seconds without and with a journal, in turns, so that the disk's mood is shared."""
    plain, more = (SqliteLedger(folder / name / "l.sqlite3", time.time) for name in ("plain", "more"))
    more.begin(RUN, OWNER, str(folder), "account", DiskJournal(folder / "store/journals/run.ndjson"))
    without = with_it = 0.0
    for turn in range(10):
        without += generate(plain, str(folder), count // 10, f"t{turn}")
        with_it += generate(more, str(folder), count // 10, f"t{turn}")
    plain.close()
    more.close()
    return without, with_it


def copied(folder: Path, tasks: int, count: int) -> tuple[int, float, float]:
    """A ledger's size in bytes, seconds for a copy of it, and for rebuilding it."""
    path = folder / f"{tasks}" / "l.sqlite3"
    with closing(SqliteLedger(path, time.time)) as ledger:
        ledger._storage._connection.execute("PRAGMA synchronous=OFF")
        generate(ledger, str(folder), tasks, "old")
        journal = folder / str(tasks) / "journals/run.ndjson"
        ledger.begin(RUN, OWNER, str(folder), "account", DiskJournal(journal))
        began = time.perf_counter()
        copy = ledger.back_up()
        seconds = time.perf_counter() - began
        generate(ledger, str(folder), count, "new")
    path.write_bytes(b"garbage")
    began = time.perf_counter()
    rebuilt = rebuild(path, "account", lambda store: {"run": journal.read_bytes()}, str(folder), time.time())
    assert not rebuilt.gaps
    return copy.stat().st_size, seconds, time.perf_counter() - began


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory(dir=".") as name:
        without, with_it = journaled(Path(name), count)
        print(f"{count} generations: {1000 * without / count:.1f} ms each, with a journal {1000 * with_it / count:.1f} ms:"
              f" {with_it / without:.2f} x")  # fmt: skip
        for tasks in (100, 1_000, 10_000):
            size, seconds, again = copied(Path(name), tasks, count)
            told = f"{size / 1e6:.1f} MB, copied in {1000 * seconds:.0f} ms, rebuilt with {count} more in {1000 * again:.0f} ms"
            print(f"a ledger of {tasks:,} tasks: {told}")


if __name__ == "__main__":
    main()
