"""The states of a unit (one take of one instance) and every legal move between them. Owns the table.

A move that is not in the table is a bug in flowrun, found by a failed look-up, never a silent correction. The diagram
in docs/concepts/scheduling.md is generated from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class NodeState(StrEnum):
    BLOCKED = "blocked"  # waits for its upstream, or never gets it
    READY = "ready"
    QUEUED = "queued"  # asked for a lease and did not get one yet
    RUNNING = "running"  # claimed: being sent, or a task at the API
    COLLECTING = "collecting"
    BACKING_OFF = "backing_off"
    GATED = "gated"
    SUCCEEDED = "succeeded"
    REUSED = "reused"
    SKIPPED = "skipped"
    FAILED = "failed"
    REJECTED = "rejected"
    UNCERTAIN = "uncertain"
    CANCELLED = "cancelled"
    EXCLUDED = "excluded"


FINAL = frozenset(
    {
        NodeState.SUCCEEDED,
        NodeState.REUSED,
        NodeState.SKIPPED,
        NodeState.FAILED,
        NodeState.REJECTED,
        NodeState.UNCERTAIN,
        NodeState.CANCELLED,
        NodeState.EXCLUDED,
    }
)
USABLE = frozenset({NodeState.SUCCEEDED, NodeState.REUSED})
IN_FLIGHT = frozenset({NodeState.RUNNING, NodeState.COLLECTING})


class Move(StrEnum):
    """Why a unit changes state."""

    GENERATE = "generate"
    REUSE = "reuse"
    SKIP = "skip"
    EXCLUDE = "exclude"
    REJECT = "reject"
    DOUBT = "doubt"
    HOLD_UP = "hold-up"  # no lease now, or over a cap
    GRANT = "grant"
    END = "end"
    STORE = "store"
    FAIL = "fail"
    RETRY = "retry"
    WAKE = "wake"
    CANCEL = "cancel"


_S, _M = NodeState, Move

TRANSITIONS: Mapping[NodeState, Mapping[Move, NodeState]] = {
    _S.BLOCKED: {
        _M.GENERATE: _S.READY,
        _M.REUSE: _S.REUSED,
        _M.SKIP: _S.SKIPPED,
        _M.EXCLUDE: _S.EXCLUDED,
        _M.REJECT: _S.REJECTED,
        _M.DOUBT: _S.UNCERTAIN,
        _M.FAIL: _S.FAILED,
    },
    _S.READY: {
        _M.GRANT: _S.RUNNING,
        _M.HOLD_UP: _S.QUEUED,
        _M.REUSE: _S.REUSED,
        _M.DOUBT: _S.UNCERTAIN,
        _M.FAIL: _S.FAILED,
        _M.RETRY: _S.BACKING_OFF,
    },
    _S.QUEUED: {
        _M.GRANT: _S.RUNNING,
        _M.HOLD_UP: _S.QUEUED,
        _M.REUSE: _S.REUSED,
        _M.DOUBT: _S.UNCERTAIN,
        _M.FAIL: _S.FAILED,
        _M.RETRY: _S.BACKING_OFF,
    },
    _S.RUNNING: {
        _M.END: _S.COLLECTING,
        _M.FAIL: _S.FAILED,
        _M.REJECT: _S.REJECTED,
        _M.DOUBT: _S.UNCERTAIN,
        _M.RETRY: _S.BACKING_OFF,
        _M.HOLD_UP: _S.QUEUED,  # the model or the run was paused by the answer
        _M.REUSE: _S.REUSED,  # another process had it done
        _M.CANCEL: _S.CANCELLED,
    },
    _S.COLLECTING: {
        _M.STORE: _S.SUCCEEDED,
        _M.REUSE: _S.REUSED,  # another process's task, collected into our store too
        _M.FAIL: _S.FAILED,
        _M.RETRY: _S.BACKING_OFF,
    },
    _S.BACKING_OFF: {_M.WAKE: _S.READY},
    _S.GATED: {},
    **{state: {} for state in FINAL},
}


class IllegalMoveError(Exception):
    """A bug in flowrun: the table has no such move."""


def moved(state: NodeState, move: Move) -> NodeState:
    """The state after `move`. Raises IllegalMoveError."""
    try:
        return TRANSITIONS[state][move]
    except KeyError:
        raise IllegalMoveError(f"no move '{move}' from '{state}'") from None
