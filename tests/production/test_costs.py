"""What was spent: sums by node, tag, model and day from the ledger, and how they stand beside the API's own."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from flowrun.clock import Clock
from flowrun.ids import TaskId
from flowrun.ledger.location import ledger_path
from flowrun.ledger.protocol import Failed, Granted, Limits, Mine, Origin, Resend, Succeeded
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.production.costs import By, Costs, Period, costs
from flowrun.production.exits import FlowrunError
from flowrun.production.options import Options, Surroundings
from flowrun.runway.client import RunwayClient
from flowrun.runway.errors import TransientError
from flowrun.runway.values import UsageRow
from tests.contract.ledger_bench import ANNE, RUN, a_doc
from tests.support.http_sandbox import KEY
from tests.support.stage import Stage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


class Standing(Clock):
    def now(self) -> float:
        return NOW

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")


def around(folder: Path, **environ: str) -> Surroundings:
    given = {"FLOWRUN_STATE_DIR": str(folder / "state"), "XDG_CONFIG_HOME": str(folder / "config"), **environ}
    return Surroundings(environ=given, cwd=folder, clock=Standing(), rng=random.Random(1))


class Book:
    """A ledger of the account ``studio`` that the project has used, filled by hand."""

    def __init__(self, folder: Path, account: str = "studio") -> None:
        self.folder, self.account, self.now, self.count = folder, account, NOW, 0
        (folder / ".git").mkdir(exist_ok=True)
        (folder / ".flowrun" / "ledgers").mkdir(parents=True, exist_ok=True)
        (folder / ".flowrun" / "ledgers" / account).write_bytes(b"")
        (folder / ".flowrun" / "results" / "a").mkdir(parents=True, exist_ok=True)
        (folder / ".flowrun" / "results" / "a" / "r.json").write_text("{}")  # so that it is Runway's without a key
        self.ledger = SqliteLedger(ledger_path(folder / "state", account), lambda: self.now)

    def intended(
        self, address: str, *, model: str = "veo3.1", credits: int | None = 80, tags: Sequence[str] = (),
        manifest: str = "flow.yaml", project: str | None = None, days: float = 0.0,
    ) -> Any:  # fmt: skip
        self.count, self.now = self.count + 1, NOW - days * DAY
        where = Origin("s", project or str(self.folder), "small", "", manifest, f"{address}#1", tuple(tags))
        doc = a_doc(f"{self.account}-{self.count}")
        mine = self.ledger.claim(doc, where, RUN, ANNE)
        assert isinstance(mine, Mine)
        assert self.ledger.reserve(mine.claim, model, credits, Limits()) == Granted()
        return self.ledger.intend(mine.claim, "digest", {})

    def task(self, address: str, **more: Any) -> TaskId:
        intent, task = self.intended(address, **more), TaskId(f"{self.account}-{self.count}")
        self.ledger.submitted(intent, task)
        return task

    def made(self, address: str, charged: int | None = None, **more: Any) -> None:
        self.ledger.settle(self.task(address, **more), Succeeded(), charged)

    def failed(self, address: str, charged: int | None = None, **more: Any) -> None:
        self.ledger.settle(self.task(address, **more), Failed("INTERNAL", "it broke"), charged)


@pytest.fixture
def book(tmp_path: Path) -> Book:
    book = Book(tmp_path)
    (tmp_path / "flow.yaml").write_text("flowrun: 1\n")
    return book


def told(book: Book, *by: By, file: str | None = None, environ: dict[str, str] | None = None, **period: date) -> Costs:
    book.ledger.close()
    path = None if file is None else Path(file)
    first, last = period.get("since"), period.get("until")
    return costs(path, by, first, last, Options(), around(book.folder, **(environ or {})))


def sums(found: Costs) -> dict[tuple[str, ...], tuple[int, int, int]]:
    """Sent, estimated and charged, by names."""
    return {row.names: (row.sent, row.estimated.credits, row.charged.credits) for row in found.rows}


def test_by_model_and_day_without_a_key(book: Book) -> None:
    book.made("hero", 70)
    book.made("hero", days=1)
    book.made("cut", model="gen4_image", credits=5, days=1)
    found = told(book, By.DAY, By.MODEL)
    assert sums(found) == {
        ("2026-11-21", "gen4_image"): (1, 5, 5),
        ("2026-11-21", "veo3.1"): (1, 80, 80),
        ("2026-11-22", "veo3.1"): (1, 80, 70),
    }
    assert (found.total.sent, found.total.charged.credits, found.total.charged.assumed) == (3, 155, 2)
    assert (found.ledgers, found.not_compared) == (("studio",), "there is no key to ask it with")
    assert found.total.told is None


def test_by_node_and_tag(book: Book) -> None:
    book.made("shot[a]", tags=("shots", "b"))
    book.made("shot[b]", tags=("shots",))
    book.made("ep[s1].hero")
    assert sums(told(book, By.NODE)) == {("small: ep.hero",): (1, 80, 80), ("small: shot",): (2, 160, 160)}
    assert sums(told(Book(book.folder), By.TAG)) == {("",): (1, 80, 80), ("b",): (1, 80, 80), ("shots",): (2, 160, 160)}


def test_each_end_is_counted(book: Book) -> None:
    book.made("a", 80)
    book.failed("a", 0)
    book.failed("a", 80)
    book.failed("a")
    book.task("a")
    (row,) = told(book, By.MODEL).rows
    assert (row.sent, row.made, row.failed, row.refunded, row.open) == (5, 1, 3, 1, 1)
    assert (row.estimated.credits, row.charged.credits, row.charged.assumed) == (400, 320, 2)


def test_what_nobody_knows_is_unknown_and_not_nothing(book: Book) -> None:
    book.made("a", credits=None)
    book.made("a", 7, credits=None)
    (row,) = told(book, By.NODE, file="flow.yaml").rows
    assert (row.names, row.estimated.unknown, row.charged.unknown, row.charged.credits) == (("a",), 2, 1, 7)
    assert row.difference is None


def test_requests_without_a_task_are_in_no_sum(book: Book) -> None:
    lost = [book.intended("a"), book.intended("a", credits=None), book.intended("a")]
    for intent in lost:
        book.ledger.lost(intent, {})
    book.ledger.decide(lost[2].intent, Resend())
    book.ledger.refused(book.intended("a"))
    book.intended("a", days=40)
    found = told(book, By.MODEL)
    assert (found.rows, found.total.sent) == ([], 0)
    assert (found.uncertain.requests, found.uncertain.at_most.credits, found.uncertain.at_most.unknown) == (2, 80, 1)
    assert (found.given_up.requests, found.given_up.at_most.credits) == (1, 80)


def test_a_period_is_whole_days(book: Book) -> None:
    for days in (0, 0.5, 0.51, 29, 31):
        book.made("a", days=days)
    assert told(book, By.MODEL).total.sent == 4  # thirty days, today among them
    one = told(Book(book.folder), By.DAY, since=date(2026, 11, 21), until=date(2026, 11, 21))
    assert sums(one) == {("2026-11-21",): (1, 80, 80)}
    assert told(Book(book.folder), By.DAY, since=date(2026, 10, 1)).total.sent == 5
    assert told(Book(book.folder), By.DAY, until=date(2026, 10, 23)).total.sent == 1
    with pytest.raises(FlowrunError, match="is before"):
        told(Book(book.folder), By.DAY, since=date(2026, 11, 2), until=date(2026, 11, 1))


def test_a_manifest_has_its_own_tasks_alone(book: Book) -> None:
    book.made("a")
    book.made("a", manifest="other.yaml")
    book.made("a", project="/elsewhere")
    found = told(book, By.MODEL, file="flow.yaml")
    assert sums(found) == {("veo3.1",): (1, 80, 80)}
    assert "which manifest" in str(found.not_compared)
    with pytest.raises(FlowrunError, match=r"no file nothing\.yaml"):
        told(Book(book.folder), By.MODEL, file="nothing.yaml")


def test_every_ledger_that_the_project_has_used_counts(book: Book) -> None:
    book.made("a")
    other = Book(book.folder, "another")
    other.made("a", model="gen4_image", credits=5)
    other.ledger.close()
    found = told(book, By.MODEL)
    assert sums(found) == {("gen4_image",): (1, 5, 5), ("veo3.1",): (1, 80, 80)}
    assert set(found.ledgers) == {"another", "studio"}


# beside the API's numbers


def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[..., Any]) -> list[tuple[date, date]]:
    asked: list[tuple[date, date]] = []

    async def usage(self: RunwayClient, first: date, after: date) -> Any:
        asked.append((first, after))
        return answer(first, after)

    monkeypatch.setattr(RunwayClient, "usage", usage)
    monkeypatch.setattr(RunwayClient, "check_provider", lambda self, name: None)
    return asked


def test_the_apis_sums_stand_beside_ours(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    book.made("a", days=1)
    book.made("a", 70)
    book.made("a", model="gen4_image", credits=None)
    rows = (
        UsageRow("2026-11-22", "veo3.1", 75), UsageRow("2026-11-22", "gen4_image", 5), UsageRow("2026-11-20", "veo3.1", -40)
    )  # fmt: skip
    answering(monkeypatch, lambda first, after: rows)
    found = told(book, By.DAY, By.MODEL, environ={"RUNWAYML_API_SECRET": KEY})
    seen = {row.names: (row.told, row.difference) for row in found.rows}
    assert seen == {
        ("2026-11-20", "veo3.1"): (-40, -40),
        ("2026-11-21", "veo3.1"): (0, -80),
        ("2026-11-22", "gen4_image"): (5, None),  # ours is unknown
        ("2026-11-22", "veo3.1"): (75, 5),
    }
    assert (found.total.told, found.total.sent, found.not_compared) == (40, 3, None)
    assert [row.names for row in found.rows if not row.sent] == [("2026-11-20", "veo3.1")]


def test_long_periods_are_asked_for_in_pieces(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, lambda first, after: (UsageRow(str(first), "veo3.1", 1),))
    key = {"RUNWAYML_API_SECRET": KEY}
    found = told(book, By.MODEL, environ=key, since=date(2026, 1, 1), until=date(2026, 7, 1))
    assert asked == [
        (date(2026, 1, 1), date(2026, 4, 1)), (date(2026, 4, 1), date(2026, 6, 30)), (date(2026, 6, 30), date(2026, 7, 2))
    ]  # fmt: skip
    assert sums(found) == {("veo3.1",): (0, 0, 0)}
    assert found.rows[0].told == 3
    assert [*Period(date(2026, 1, 1), date(2026, 3, 31)).queries()] == [(date(2026, 1, 1), date(2026, 4, 1))]


@pytest.mark.parametrize(
    ("by", "options", "why"),
    [
        ((By.NODE,), Options(), "by model and day alone"),
        ((By.MODEL, By.TAG), Options(), "by model and day alone"),
        ((By.MODEL,), Options(offline=True), "--offline"),
    ],
)
def test_where_they_cannot_be_compared_nobody_asks(
    book: Book, monkeypatch: pytest.MonkeyPatch, by: tuple[By, ...], options: Options, why: str
) -> None:
    asked = answering(monkeypatch, lambda first, after: ())
    book.made("a")
    book.ledger.close()
    found = costs(None, by, None, None, options, around(book.folder, RUNWAYML_API_SECRET=KEY))
    assert (asked, found.total.sent) == ([], 1)
    assert why in str(found.not_compared)


def test_an_api_that_does_not_answer_takes_nothing_away(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(first: date, after: date) -> Any:
        raise TransientError("POST /v1/organization/usage: no connection")

    answering(monkeypatch, unreachable)
    book.made("a")
    found = told(book, By.MODEL, environ={"RUNWAYML_API_SECRET": KEY})
    assert sums(found) == {("veo3.1",): (1, 80, 80)}
    assert str(found.not_compared).startswith("it could not be asked: POST")


def test_after_a_real_run_the_sandbox_and_the_ledger_agree(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path,
        """
        flowrun: 1
        nodes:
          still:
            foreach: 3
            tags: [stills]
            uses: text_to_image
            with: {model: gen4_image, promptText: "fox {{ each.key }}", ratio: "1280:720"}
        """,
        scenario="faults: [{on: text_to_image, match: {nth: 2}, do: {fail: INTERNAL}}]\n",
        now=NOW - 600,
    )
    stage.apply()
    found = costs(None, (By.DAY, By.MODEL), None, None, stage.options(), around(tmp_path))
    (row,) = found.rows
    assert (row.names, row.sent, row.made, row.failed, row.refunded) == (("2026-11-22", "gen4_image"), 4, 3, 1, 1)
    assert (row.estimated.credits, row.charged.credits, row.told, row.difference) == (20, 15, 15, 0)
