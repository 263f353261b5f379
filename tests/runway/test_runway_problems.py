"""The bodies of refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.runway.errors import InputProblem
from flowrun.runway.policy import FETCHES, Fetch
from flowrun.runway.problems import (
    document,
    fetch_reason,
    message,
    problems,
    reworded,
    speaks_of_credits,
    speaks_of_fetching,
)
from flowrun.secret import Secret

from .conftest import CALM


def flat(doc) -> list[tuple[str, str]]:
    return [(each.where, each.message) for each in problems(doc)]


def issue(path, text, **more):
    return {"code": "custom", "path": path, "message": text} | more


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ({"error": "Invalid parameter 'promptText'"}, [("promptText", "Invalid parameter 'promptText'")]),
        ({"error": "Invalid field `a.b[2].c`"}, [("a.b[2].c", "Invalid field `a.b[2].c`")]),
        ({"error": "Something else"}, [("", "Something else")]),
        ({"error": {"message": "deep"}}, [("", "deep")]),
        ({"message": "other"}, [("", "other")]),
        ({"error": 7}, []),
        ({}, []),
        ({"error": "V", "issues": "odd"}, [("", "V")]),
        ({"error": "V", "issues": [7, {"path": ["a"]}]}, [("", "V")]),
        ({"error": "V", "issues": [issue(["a", 0, "b"], "bad")]}, [("a[0].b", "bad")]),
        ({"error": "V", "issues": [issue(None, "bad"), issue([], "worse")]}, [("", "bad"), ("", "worse")]),
        ({"error": "V", "issues": [issue(["a"], "bad"), issue(["a"], "bad")]}, [("a", "bad")]),
        # a union: its own message is no use, its branches' are; paths relative or whole
        (
            {
                "issues": [
                    issue(
                        ["media"], "Invalid input", errors=[[issue(["uri"], "no https")], [issue(["media", "x"], "no")]]
                    )
                ]
            },
            [("media.uri", "no https"), ("media.x", "no")],
        ),
        ({"issues": [issue([], "Invalid input", unionErrors=[{"issues": [issue(["a"], "bad")]}])]}, [("a", "bad")]),
        ({"issues": [issue([], "Invalid input", errors=[issue(["a"], "bad")])]}, [("a", "bad")]),
        ({"issues": [issue(["a"], "Invalid input", errors="odd")]}, [("a", "Invalid input")]),
        ({"issues": [issue(["a"], "Invalid input", errors=[[]])]}, [("a", "Invalid input")]),
        # the branches of other models complain of the model: only the right one is of use
        (
            {
                "issues": [
                    issue(
                        [],
                        "Invalid input",
                        errors=[
                            [issue(["model"], "expected veo3"), issue(["duration"], "must be 8")],
                            [issue(["ratio"], "no such ratio")],
                        ],
                    )
                ]
            },
            [("ratio", "no such ratio")],
        ),
        (
            {"issues": [issue([], "x", errors=[[issue(["model"], "unknown model")], [issue(["model"], "not that")]])]},
            [("model", "unknown model"), ("model", "not that")],
        ),
    ],
)
def test_both_shapes(doc, expected) -> None:
    assert flat(doc) == expected


def test_a_nest_without_end_is_cut() -> None:
    nest = issue(["a"], "leaf")
    for _ in range(50):
        nest = issue(["a"], "Invalid input", errors=[[nest]])
    ((_, text),) = flat({"issues": [nest]})
    assert text == "Invalid input"


def test_no_more_than_a_person_reads() -> None:
    assert len(flat({"issues": [issue([n], "bad") for n in range(100)]})) == 20


@pytest.mark.parametrize("body", [None, b"", b"<html>", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_document(body) -> None:
    assert document(body) == {}


anything = st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["path", "message", "errors", "issues", "unionErrors"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@CALM
@given(anything)
def test_nothing_that_comes_breaks_the_reading(issues) -> None:
    for each in problems({"error": "V", "issues": issues}):
        assert isinstance(str(each), str)


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("You do not have enough credits to run this task.", True),
        ("Insufficient credits", True),
        ("You are out of credits", True),
        ("Your prompt mentions credits", False),
        ("closing credits are not enough", False),
    ],
)
def test_credits_by_their_sentence(text, yes) -> None:
    assert speaks_of_credits(text) is yes


def test_fetching_by_its_sentence() -> None:
    assert speaks_of_fetching("Failed to fetch asset: HTTP 403")
    assert not speaks_of_fetching("Invalid data URI")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Invalid data URI.", Fetch.BAD_DATA),
        ("Unsupported asset type: image/svg+xml", Fetch.WRONG_TYPE),
        ("Unsupported media type", Fetch.WRONG_TYPE),
        ("Invalid URL", Fetch.BAD_URL),
        ("Only HTTPS URLs are allowed", Fetch.NOT_HTTPS),
        ("The host of the URL must be a domain", Fetch.NO_DOMAIN),
        ("Failed to fetch asset", Fetch.UNREACHABLE),
        ("Failed to fetch asset: HTTP 403", Fetch.STATUS),
        ("Fetching the asset got HTTP status code 301", Fetch.STATUS),
        ("Timeout while fetching asset", Fetch.TIMEOUT),
        ("Timed out while downloading", Fetch.TIMEOUT),
        ("must be a timeout of 5", None),
        ("expected one of 1280:720", None),
        ("no such ratio", None),
    ],
)
def test_why_an_input_was_not_taken(text, reason) -> None:
    assert fetch_reason(text) is reason
    told = reworded(InputProblem(("promptImage",), text))
    assert told.path == ("promptImage",)
    assert told.message == (text if reason is None else f"{FETCHES[reason]} ({text.rstrip('.')})")


def test_every_reason_has_words() -> None:
    assert set(FETCHES) == set(Fetch)


def test_texts_are_cleaned() -> None:
    secret = Secret("hush-hush")
    doc = {"error": "hush-hush", "issues": [issue(["a"], "got https://me:pw@h.com/a?sig=CANARY and hush-hush\x1b[31m")]}
    assert message(doc, secret) == "********"
    assert problems(doc, secret) == (InputProblem(("a",), "got https://h.com/a?******** and ******** [31m"),)
