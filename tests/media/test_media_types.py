import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.media.facts import MediaKind
from flowrun.media.types import (
    extension,
    kind_of,
    kind_of_extension,
    normalized,
    same_kind,
    sniff,
    type_of_extension,
)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "audio/wav"),
        (b"RIFF\0\0\0\0AVI LIST", "video/x-msvideo"),
        (b"RIFF\0\0\0\0RMIDdata", None),
        (b"FLV\x01\5", "video/x-flv"),
        (b"\0\0\1\xba\x44", "video/mpeg"),
        (b"\0\0\0\x18ftyp3gp5", "video/3gpp"),
        (b"GIF89a", "image/gif"),
        (b"\0\0\0\x20ftypisom", "video/mp4"),
        (b"\0\0\0\x20ftypqt  ", "video/quicktime"),
        (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
        (b"\0\0\0\x20ftypheic", None),
        (b"\0\0\0\x20ftypavif", None),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "video/quicktime"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm", "video/webm"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska", "video/x-matroska"),
        (b"fLaC\0\0\0\x22", "audio/flac"),
        (b"OggS\0\2", "audio/ogg"),
        (b"\xff\xfb\x90\xc4", "audio/mpeg"),
        (b"\xff\xf3\x40\xc4", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "audio/aac"),
        (b"\xff\xe1\x50\x80", None),
        (b"\xff\xfb\xf0\xc4", None),  # a bit rate that is none
        (b"\xff\xeb\x90\xc4", None),  # a version that is none
        (b"ID3\4\0\0\0\0\0\2ab\xff\xfb\x90\xc4", "audio/mpeg"),
        (b"ID3\4\0\0\0\0\0\2ab\xff\xf1\x50\x80", "audio/aac"),
        (b"ID3\4\0\0\0\0\0\2abfLaC", "audio/flac"),
        (b"ID3\4\0\0\0\0\0\2ab\0\0\0\0", "audio/mpeg"),
        (b"ID3\4\0\0\0\0\x7f\x7f", "audio/mpeg"),
        (b"ID3", None),
        (b"<!doctype html>", None),
        (b"", None),
    ],
)
def test_the_first_bytes_name_the_type(head, media_type):
    assert sniff(head) == media_type


@given(st.binary(max_size=64))
def test_any_bytes_are_sniffed_without_an_error(head):
    media_type = sniff(head)
    assert media_type is None or kind_of(media_type) is not None


def test_extensions_and_types_agree_both_ways():
    for ext in (
        ".png",
        ".jpg",
        ".webp",
        ".gif",
        ".mp4",
        ".mov",
        ".webm",
        ".mkv",
        ".mp3",
        ".wav",
        ".flac",
        ".m4a",
        ".aac",
        ".ogg",
    ):
        media_type = type_of_extension(ext)
        assert extension(media_type) == ext
        assert kind_of_extension(ext) is kind_of(media_type)


@pytest.mark.parametrize(
    ("ext", "kind"),
    [("JPEG", MediaKind.IMAGE), (".Mp4", MediaKind.VIDEO), ("opus", MediaKind.AUDIO), (".txt", None), ("", None)],
)
def test_an_extension_claims_a_kind_in_any_case(ext, kind):
    assert kind_of_extension(ext) is kind


def test_aliases_and_parameters_are_normalized():
    assert normalized("Audio/X-WAV; codecs=1") == "audio/wav"
    assert extension("audio/x-wav") == ".wav"
    assert extension("application/zip") == ".bin"


def test_kinds_compare():
    assert same_kind("image/png", "image/jpg")
    assert not same_kind("image/png", "video/mp4")
    assert not same_kind("text/html", "text/html")
    assert kind_of("text/html") is None
