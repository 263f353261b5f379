"""The table of moves: nothing is out of reach, nothing is a trap, and everything that is not in it is refused."""

from __future__ import annotations

from itertools import product

import pytest

from flowrun.engine.states import FINAL, IN_FLIGHT, TRANSITIONS, USABLE, IllegalMoveError, Move, NodeState, moved

NOT_OF_UNITS_YET = {NodeState.GATED}  # gates hold instances; no unit gets there by itself


def reachable(start: NodeState) -> set[NodeState]:
    found, edge = {start}, [start]
    while edge:
        for state in TRANSITIONS[edge.pop()].values():
            if state not in found:
                found.add(state)
                edge.append(state)
    return found


def test_every_state_stands_in_the_table():
    assert set(TRANSITIONS) == set(NodeState)


def test_every_other_state_is_reachable_from_blocked():
    assert reachable(NodeState.BLOCKED) == set(NodeState) - NOT_OF_UNITS_YET


@pytest.mark.parametrize("state", sorted(set(NodeState) - NOT_OF_UNITS_YET))
def test_every_state_leads_to_an_end(state):
    assert reachable(state) & FINAL


@pytest.mark.parametrize("state", sorted(FINAL))
def test_the_end_is_the_end(state):
    assert not TRANSITIONS[state]


@pytest.mark.parametrize(("state", "move"), list(product(NodeState, Move)))
def test_a_move_is_in_the_table_or_refused(state, move):
    if move in TRANSITIONS[state]:
        assert moved(state, move) is TRANSITIONS[state][move]
    else:
        with pytest.raises(IllegalMoveError, match=f"no move '{move}' from '{state}'"):
            moved(state, move)


def test_every_move_is_used_and_means_one_thing():
    ends = {move: {moves[move] for moves in TRANSITIONS.values() if move in moves} for move in Move}
    assert all(len(states) == 1 for states in ends.values()), ends


def test_the_named_groups_are_disjoint_where_they_must_be():
    assert USABLE <= FINAL
    assert not IN_FLIGHT & FINAL


def test_what_is_paid_for_is_never_thrown_back_into_the_queue():
    """From COLLECTING on there is a file to fetch: only an end, or another try to fetch it."""
    assert set(TRANSITIONS[NodeState.COLLECTING].values()) <= FINAL | {NodeState.BACKING_OFF}
