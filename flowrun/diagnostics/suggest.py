"""Did you mean? Owns the likeness of names; whether to offer it is the caller's choice."""

from __future__ import annotations

from collections.abc import Iterable


def suggest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` most likely means: the same but for case, `_` and `-`; else few slips away; else begun."""
    known = list(dict.fromkeys(candidates))
    bare = _bare(word)
    for candidate in known:
        if _bare(candidate) == bare:
            return candidate
    return _nearest(bare, known) or _begun(bare, known)


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """A hint's text, or None."""
    found = suggest(word, candidates)
    return None if found is None else f"did you mean `{found}`?"


def _bare(word: str) -> str:
    return word.replace("_", "").replace("-", "").casefold()


def _nearest(bare: str, known: list[str]) -> str | None:
    limit = min(3, (len(bare) + 1) // 3)
    distances = ((_distance(bare, other, limit), place) for place, other in enumerate(map(_bare, known)))
    best = min(distances, default=(limit + 1, 0))
    return known[best[1]] if best[0] <= limit else None


def _begun(bare: str, known: list[str]) -> str | None:
    """The only candidate that goes on from a word of three letters or more."""
    longer = [candidate for candidate in known if len(bare) >= 3 and _bare(candidate).startswith(bare)]
    return longer[0] if len(longer) == 1 else None


def _distance(left: str, right: str, limit: int) -> int:
    """Insertions, deletions, changes and swaps of neighbours between the two (optimal string alignment)."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for at, character in enumerate(left, 1):
        earlier, before, row = before, row, [at]
        for place, other in enumerate(right, 1):
            cost = min(before[place] + 1, row[place - 1] + 1, before[place - 1] + (character != other))
            swapped = at > 1 and place > 1 and character == right[place - 2] and left[at - 2] == other
            row.append(min(cost, earlier[place - 2] + 1) if swapped else cost)
    return row[-1]
