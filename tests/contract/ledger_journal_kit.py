"""The contract every ledger keeps, as tests over a `Bench`: runs that register, and the journal they write."""

from __future__ import annotations

import pytest

from flowrun.ids import RunId, TaskId
from flowrun.ledger import journal
from flowrun.ledger.journal import Written
from flowrun.ledger.protocol import Adopted, Forgotten, IntentRow, Limits, RegisteredRun, Resend, Succeeded, TaskRow

from .ledger_bench import ANNE, BOB, FAILURE, MODEL, ORIGIN, OTHER_RUN, RUN, START, a_doc


class Lines:
    """A journal in memory."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, line: bytes) -> None:
        self.data += line

    def close(self) -> None:
        """Nothing to let go of."""

    def read(self) -> Written:
        written = journal.read(self.data)
        assert written is not None
        assert written.damaged == 0
        return written

    def __len__(self) -> int:
        return len(self.read().lines)


class JournalKit:
    @pytest.fixture
    def lines(self, bench) -> Lines:
        found = Lines()
        bench.ledger.begin(RUN, ANNE, ORIGIN.store, "studio", found)
        return found

    def test_runs_are_listed_in_the_order_of_their_beginning(self, bench, lines):
        bench.now += 5
        bench.other.begin(OTHER_RUN, BOB, "/q/.flowrun", "studio", Lines())
        assert bench.ledger.runs() == (
            RegisteredRun(RUN, ANNE, ORIGIN.store, START),
            RegisteredRun(OTHER_RUN, BOB, "/q/.flowrun", START + 5),
        )

    def test_a_run_ends_with_its_owner_whether_in_good_order_or_not(self, bench, lines):
        bench.other.begin(OTHER_RUN, BOB, "/q", "studio", Lines())
        bench.now += 9
        bench.ledger.retire(ANNE)
        assert [run.ended_at for run in bench.other.runs()] == [START + 9, None]
        bench.now += 9
        assert bench.reap_all() == (BOB,)
        assert [run.ended_at for run in bench.other.runs()] == [START + 9, START + 18]

    def test_the_first_line_says_whose_journal_it_is(self, bench, lines):
        written = lines.read()
        assert written.run == RegisteredRun(RUN, ANNE, ORIGIN.store, START)
        assert written.account == "studio"
        assert written.lines == ()

    def test_what_matters_to_money_is_written_and_nothing_else(self, bench, lines):
        claim = bench.claimed()
        bench.ledger.reserve(claim, MODEL, 5, Limits())
        bench.ledger.heartbeat(ANNE)
        assert len(lines) == 0
        intent = bench.ledger.intend(claim, "digest", {})
        assert len(lines) == 1
        bench.ledger.submitted(intent, TaskId("t"))
        assert len(lines) == 2
        bench.ledger.ended(TaskId("t"), "SUCCEEDED")
        assert len(lines) == 2
        bench.ledger.settle(TaskId("t"), Succeeded(), 7)
        bench.ledger.settle(TaskId("t"), Succeeded(), 7)
        assert len(lines) == 3
        assert [line.number for line in lines.read().lines] == [1, 2, 3]

    @pytest.mark.parametrize("word", [Forgotten(), Resend(), Adopted(TaskId("found"))])
    def test_a_lost_answer_and_a_persons_word_are_written(self, bench, lines, word):
        intent = bench.intended()
        bench.ledger.lost(intent, {"error": "reset"})
        bench.ledger.decide(intent.intent, word)
        assert len(lines) == 3

    def test_a_refusal_is_written(self, bench, lines):
        bench.ledger.refused(bench.intended())
        assert len(lines) == 2

    def test_every_line_has_the_documents_of_its_actions_once(self, bench, lines):
        bench.settled(outcome=FAILURE)
        facts = [fact for line in lines.read().lines for fact in line.facts]
        documents = [fact for fact in facts if not isinstance(fact, IntentRow | TaskRow)]
        assert [each.key for each in documents] == [a_doc().key]
        assert facts.index(documents[0]) == 0

    def test_two_runs_share_one_row_of_numbers(self, bench, lines):
        others = Lines()
        bench.other.begin(OTHER_RUN, BOB, "/q", "studio", others)
        bench.submitted("a")
        claim = bench.other.claim(a_doc("b"), ORIGIN, OTHER_RUN, BOB).claim
        bench.other.reserve(claim, MODEL, 5, Limits())
        bench.other.intend(claim, "digest", {})
        bench.settled("c")
        numbers = [[line.number for line in each.read().lines] for each in (lines, others)]
        assert numbers == [[1, 2, 4, 5, 6], [3]]
        assert lines.read().epoch == others.read().epoch

    def test_what_reaping_makes_uncertain_is_written_by_who_reaps(self, bench, lines):
        bench.intended()
        others = Lines()
        bench.other.begin(OTHER_RUN, BOB, "/q", "studio", others)
        bench.other.reap(1e9, lambda owner: owner == ANNE)
        ((fact,),) = [[each for each in line.facts if isinstance(each, IntentRow)] for line in others.read().lines]
        assert fact.outcome.value == "uncertain"

    def test_a_run_that_registers_again_goes_on_in_its_new_journal(self, bench, lines):
        second = Lines()
        bench.ledger.begin(RunId("next"), ANNE, ORIGIN.store, "studio", second)
        bench.submitted()
        assert (len(lines), len(second)) == (0, 2)
