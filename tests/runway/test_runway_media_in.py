"""How an input travels."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.runway.media_in import (
    CannotTravel,
    DataUri,
    FreshUrl,
    NeedsUpload,
    Uploaded,
    Url,
    data_uri,
    dns_host,
    encoded_length,
    transport_for,
    travels_by_url,
)
from flowrun.runway.values import Upload
from flowrun.secret import Secret

from .conftest import CALM

NOW = 1_000_000.0
SMALL, MIDDLE, BIG, HUGE = 700_000, 3_000_000, 20_000_000, 200_000_001
LINK = "https://cdn.example.com/a.png?_jwt=t"
FRESH = FreshUrl(Secret(LINK), NOW + 3600)
STALE = FreshUrl(Secret(LINK), NOW + 3599)
UNSURE = FreshUrl(Secret(LINK), None)
THERE = Upload("runway://1", NOW + 3600)
DYING = Upload("runway://1", NOW + 3599)
USERS = "https://assets.example.com/a.png"
PNG, MP4 = "image/png", "video/mp4"
BY_LINK, BY_USERS = Url(Secret(LINK)), Url(Secret(USERS))

ROWS = [
    ("small", SMALL, PNG, {}, DataUri()),
    ("tiny, which cannot be uploaded", 1, PNG, {}, DataUri()),
    ("small, though a link is fresh", SMALL, PNG, {"fresh": FRESH, "remembered": THERE}, DataUri()),
    ("too much for the slot", SMALL, PNG, {"data_limit": 1000}, NeedsUpload()),
    ("an https input, however small", SMALL, PNG, {"https": USERS}, BY_USERS),
    ("an https input by an IP address", SMALL, PNG, {"https": "https://192.0.2.7/a.png"}, DataUri()),
    ("an http input", MIDDLE, PNG, {"https": "http://assets.example.com/a"}, NeedsUpload()),
    ("an https image beyond 16 MB", BIG, PNG, {"https": USERS}, NeedsUpload()),
    ("an https video of as much", BIG, MP4, {"https": USERS}, BY_USERS),
    ("an https input of unknown kind", MIDDLE, "application/ogg", {"https": USERS}, NeedsUpload()),
    ("middle", MIDDLE, PNG, {}, NeedsUpload()),
    ("a fresh link", MIDDLE, PNG, {"fresh": FRESH, "remembered": THERE}, BY_LINK),
    ("a link with less than an hour", MIDDLE, PNG, {"fresh": STALE}, NeedsUpload()),
    ("a link of unknown age", MIDDLE, PNG, {"fresh": UNSURE}, NeedsUpload()),
    ("a fresh link to too much", BIG, PNG, {"fresh": FRESH}, NeedsUpload()),
    ("a sandbox's link", MIDDLE, PNG, {"fresh": FreshUrl(Secret("http://127.0.0.1:1/a"), NOW + 9999)}, NeedsUpload()),
    ("an upload that is there", MIDDLE, PNG, {"remembered": THERE, "fresh": STALE}, Uploaded("runway://1")),
    (
        "one that is there though new ones fail",
        BIG,
        PNG,
        {"remembered": THERE, "uploads_work": False},
        Uploaded("runway://1"),
    ),
    ("an upload that dies", MIDDLE, PNG, {"remembered": DYING}, NeedsUpload()),
    ("data where uploads fail", MIDDLE, MP4, {"uploads_work": False}, DataUri()),
]


@pytest.mark.parametrize(("size", "kind", "more", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_choices(size, kind, more, expected) -> None:
    assert transport_for(size, kind, now=NOW, **more) == expected


@pytest.mark.parametrize(
    ("size", "more", "reason"),
    [
        (HUGE, {}, "more than the 200000000"),
        (BIG, {"uploads_work": False}, "more than the 5000000 allowed"),
        (MIDDLE, {"uploads_work": False, "data_limit": 1_000_000}, "more than the 1000000 allowed"),
        (100, {"data_limit": 50}, "more than the 50 allowed"),
    ],
)
def test_what_cannot_travel_says_why(size, more, reason) -> None:
    found = transport_for(size, PNG, now=NOW, **more)
    assert isinstance(found, CannotTravel)
    assert reason in found.reason


@CALM
@given(st.binary(max_size=300))
def test_the_length_of_a_data_uri_is_known_before(data) -> None:
    uri = data_uri(PNG, data)
    assert len(uri) == encoded_length(len(data), PNG)
    head, _, text = uri.partition(",")
    assert (head, base64.b64decode(text)) == ("data:image/png;base64", data)


def test_the_edge_of_small() -> None:
    edge = max(size for size in range(786_000, 787_000) if encoded_length(size, PNG) <= 1 << 20)
    assert transport_for(edge, PNG, now=NOW) == DataUri()
    assert transport_for(edge + 1, PNG, now=NOW) == NeedsUpload()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://a.example.com/x", "a.example.com"),
        ("https://A.Example.com:8443/x?y#z", "a.example.com"),
        ("https://example.com./x", "example.com"),
        ("HTTPS://example.com", "example.com"),
        ("https://xn--mnchen-3ya.de/", "xn--mnchen-3ya.de"),
        ("http://example.com", None),
        ("https://localhost/x", None),
        ("https://a.localhost/x", None),
        ("https://printer.local/x", None),
        ("https://vault.internal/x", None),
        ("https://host/x", None),
        ("https://192.0.2.7/x", None),
        ("https://127.1/x", None),
        ("https://0x7f.0.0.0x1/x", None),
        ("https://[::ffff:127.0.0.1]/x", None),
        ("https://2130706433/x", None),
        ("https://[::1]/x", None),
        ("https://[::1/x", None),
        ("https://a.com:0/", None),
        ("https://a.com:x/", None),
        ("https://me@example.com/x", None),
        ("https://exa mple.com/x", None),
        ("https://example.com/a b", None),
        ("https://münchen.de/", None),
        ("https://-a.example.com/", None),
        ("https://a..com/", None),
        (f"https://{'a.' * 127}com/", None),
        ("https://example.com/\n", None),
        ("", None),
    ],
)
def test_hosts_that_are_names(url, host) -> None:
    assert dns_host(url) == host


@pytest.mark.parametrize(
    ("url", "content_type", "direct", "yes"),
    [
        (USERS, "image/png", True, True),
        (USERS, "Image/JPEG; q=1", True, True),
        (USERS, "application/octet-stream", True, False),
        (USERS, "video/mp4", True, False),
        (USERS, None, True, False),
        (USERS, "image/png", False, False),
        (USERS + "?" + "x" * 2048, "image/png", True, False),
    ],
)
def test_what_the_api_would_fetch_itself(url, content_type, direct, yes) -> None:
    assert travels_by_url(url, 1000, PNG, content_type=content_type, direct=direct) is yes
