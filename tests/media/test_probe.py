import os
import struct
import subprocess
import sys
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from flowrun.media import container, errors
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.media.probe import NotMediaError, probe, probe_bytes
from tests.media import foreign

WHOLE = {
    "png": (lambda: foreign.image("png"), "image/png", "png"),
    "jpeg": (lambda: foreign.image("jpeg"), "image/jpeg", "mjpeg"),
    "progressive": (lambda: foreign.image("jpeg", progressive=True), "image/jpeg", "mjpeg"),
    "webp": (lambda: foreign.image("webp"), "image/webp", "webp"),
    "mp4": (lambda: foreign.film("mp4", "libx264", audio="aac"), "video/mp4", "h264 aac"),
    "mp4 index first": (lambda: foreign.film("mp4", "libx264", moov_size="4000"), "video/mp4", "h264"),
    "mp4 in fragments": (
        lambda: foreign.film("mp4", "libx264", movflags="frag_keyframe+empty_moov"), "video/mp4", "h264"),
    "mov": (lambda: foreign.film("mov", "libx264"), "video/quicktime", "h264"),
    "mkv": (lambda: foreign.film("matroska", "libx264"), "video/x-matroska", "h264"),
    "webm": (lambda: foreign.film("webm", "libvpx-vp9", audio="libopus"), "video/webm", "vp9 opus"),
    "webm live": (lambda: foreign.film("webm", "libvpx-vp9", live="1"), "video/webm", "vp9"),
    "mp3": (lambda: foreign.sound("mp3", "libmp3lame"), "audio/mpeg", "mp3"),
    "mp3 bare": (lambda: foreign.sound("mp3", "libmp3lame", write_xing="0", id3v2_version="0"), "audio/mpeg", "mp3"),
    "wav": (lambda: foreign.sound("wav", "pcm_s16le"), "audio/wav", "pcm_s16le"),
    "flac": (lambda: foreign.sound("flac", "flac"), "audio/flac", "flac"),
    "aac": (lambda: foreign.sound("adts", "aac"), "audio/aac", "aac"),
    "ogg": (lambda: foreign.sound("ogg", "libopus"), "audio/ogg", "opus"),
    "m4a": (lambda: foreign.sound("ipod", "aac"), "audio/mp4", "aac"),
    "mp4 of sound": (lambda: foreign.sound("mp4", "aac"), "audio/mp4", "aac"),
    "webm of sound": (lambda: foreign.sound("webm", "libopus"), "audio/webm", "opus"),
    "mkv of sound": (lambda: foreign.sound("matroska", "flac"), "audio/x-matroska", "flac"),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_facts_come_from_the_content_whatever_the_name(name, tmp_path):
    make, media_type, codecs = WHOLE[name]
    path = tmp_path / "renamed.txt"
    path.write_bytes(make())
    facts = probe(path)
    assert facts == probe_bytes(make())
    assert (facts.media_type, " ".join(facts.codecs)) == (media_type, codecs)
    assert facts.kind == MediaKind(media_type.partition("/")[0])
    if facts.kind is MediaKind.IMAGE:
        assert (facts.width, facts.height, facts.duration) == (60, 40, None)
    else:
        assert facts.duration == pytest.approx(1.0, abs=0.05)
        assert facts.duration == round(facts.duration, 3)
        assert (facts.width, facts.height) == ((64, 48) if facts.kind is MediaKind.VIDEO else (None, None))
    assert MediaFacts.from_json(facts.to_json()) == facts


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("kept", [0.999, 0.9, 0.61, 0.37, 0.1])
def test_a_file_cut_anywhere_is_found_out(name, kept):
    data = WHOLE[name][0]()
    with pytest.raises(NotMediaError):
        probe_bytes(data[: int(len(data) * kept)])


@pytest.mark.parametrize("name", [name for name in WHOLE if name not in ("mp3 bare", "aac", "webm live")])
def test_even_the_last_byte_is_missed(name):
    with pytest.raises(NotMediaError):
        probe_bytes(WHOLE[name][0]()[:-1])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>502 Bad Gateway", "HTML"),
        (b"\xef\xbb\xbf\n <html>", "HTML"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "XML"),
        (b'{"error": "expired"}', "JSON"),
        (b"Not found\n", "text"),
        ("schön".encode(), "text"),
        (bytes(range(256)), "no media format"),
        (b"\0\0\0\x18ftypheic" + bytes(64), "no media format"),
        (b"\x89PNG\r\n\x1a\n", "cut short"),
        (b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x08free", "cut short"),
        (b"GIF89a" + bytes(20), "image cannot be decoded"),
        (b"OggS" + bytes(20), "cut short"),
        (b"ID3\4\0\0\0\0\0\0" + bytes(9000), "decoded"),
    ],
)
def test_what_people_get_in_place_of_media_is_named(data, words):
    with pytest.raises(NotMediaError, match=words) as caught:
        probe_bytes(data)
    assert caught.value.reason == str(caught.value)
    assert "Errno" not in caught.value.reason


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_damage_inside_is_an_answer_or_the_one_error(name, data):
    good = WHOLE[name][0]()
    at = data.draw(st.integers(0, len(good) - 1))
    broken = good[:at] + data.draw(st.binary(min_size=1, max_size=40)) + good[at + 40 :]
    with suppress(NotMediaError):
        assert probe_bytes(broken).media_type


def test_a_gif_is_recognised_so_that_it_can_be_refused_by_name():
    assert probe_bytes(foreign.image("gif")).media_type == "image/gif"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_measured_as_it_is_shown(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    facts = probe_bytes(foreign.image("jpeg", exif=exif))
    assert (facts.width, facts.height) == ((40, 60) if orientation >= 5 else (60, 40))


def test_unreadable_exif_data_turns_nothing():
    for kind, exif in (("jpeg", b"Exif\0\0II*\0\xff\xff\xff\x7f"), ("png", b"nonsense"), ("webp", b"II*\0\1")):
        facts = probe_bytes(foreign.image(kind, exif=exif))
        assert (facts.width, facts.height) == (60, 40)


def test_a_film_on_its_side_is_measured_as_it_is_shown():
    facts = probe_bytes(foreign.on_its_side(foreign.film("mp4", "libx264")))
    assert (facts.width, facts.height) == (48, 64)


def test_a_bomb_is_refused_before_it_is_unpacked():
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    good = foreign.image("png")
    bomb = good[:16] + header + good[29:]
    with pytest.raises(NotMediaError):
        probe_bytes(bomb)


def test_too_many_pixels_are_refused(monkeypatch):
    monkeypatch.setattr(errors, "MAX_PIXELS", 1000)
    for data in (foreign.image("png"), foreign.film("mp4", "libx264")):
        with pytest.raises(NotMediaError, match="pixels are more than"):
            probe_bytes(data)
    with pytest.raises(NotMediaError, match="no pixels"):
        errors.check_pixels(0, 4)


def test_space_set_aside_for_a_download_that_stopped_is_no_film():
    data = foreign.film("mp4", "libx264", moov_size="4000")
    with pytest.raises(NotMediaError, match="blank"):
        probe_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))


def test_an_index_that_points_behind_the_end_is_a_cut():
    """The last box was made open-ended, so that only the index knows how much there should be."""
    data = foreign.film("mp4", "libx264", moov_size="4000")
    mdat = data.index(b"mdat") - 4
    open_ended = data[:mdat] + bytes(4) + data[mdat + 4 :]
    assert probe_bytes(open_ended).duration == 1.0
    with pytest.raises(NotMediaError, match="index points behind"):
        probe_bytes(open_ended[:-100])


def test_what_is_appended_behind_a_whole_film_does_not_count():
    data = foreign.film("mp4", "libx264")
    assert probe_bytes(data + b"\0\0\1\0\xff\xd8junk" * 9) == probe_bytes(data)


def test_a_box_of_64_bit_length_is_understood_and_memory_stays_small(tmp_path):
    path = tmp_path / "huge.mp4"
    path.write_bytes(foreign.film("mp4", "libx264"))
    size = 3 << 30
    with path.open("ab") as stream:
        stream.write(struct.pack(">I4sQ", 1, b"free", size))
        stream.flush()
        os.truncate(stream.fileno(), stream.tell() + size - 16)
    probe_bytes(foreign.film("mp4", "libx264"))  # loads what is loaded once
    tracemalloc.start()
    try:
        assert probe(path).duration == 1.0
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    with path.open("ab") as stream:
        os.truncate(stream.fileno(), size)
    with pytest.raises(NotMediaError, match="cut short"):
        probe(path)


def test_a_wav_written_to_a_pipe_has_no_length_and_is_counted():
    data = foreign.sound("wav", "pcm_s16le")
    at = data.index(b"data") + 4
    assert probe_bytes(data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]).duration == pytest.approx(1.0, abs=0.001)


def test_a_wav_without_samples_is_none():
    with pytest.raises(NotMediaError, match="cut short"):
        probe_bytes(b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0" + bytes(16))


def test_a_flac_that_ends_between_two_frames_is_short_of_its_samples():
    data = foreign.sound("flac", "flac")
    frames = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xf8"]
    with pytest.raises(NotMediaError, match="cut short"):
        probe_bytes(data[: frames[-1]])


def test_a_cover_image_makes_no_film_of_a_song():
    tag = _id3_with_cover(foreign.image("jpeg"))
    bare = foreign.sound("mp3", "libmp3lame", write_xing="0", id3v2_version="0")
    facts = probe_bytes(tag + bare)
    assert (facts.media_type, facts.kind, facts.codecs) == ("audio/mpeg", MediaKind.AUDIO, ("mp3",))


def test_a_tag_longer_than_the_first_look_is_stepped_over():
    tag = _id3_with_cover(foreign.image("jpeg", (400, 300)))
    assert len(tag) > 5000
    assert probe_bytes(tag + foreign.sound("adts", "aac")).media_type == "audio/aac"


def _id3_with_cover(image: bytes) -> bytes:
    """ID3v2.3 with one APIC frame (id3.org, 4.15)."""
    body = b"\0image/jpeg\0\3\0" + image
    frame = b"APIC" + struct.pack(">IH", len(body), 0) + body
    size = len(frame)
    return b"ID3\3\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + frame


def test_a_sound_container_with_pictures_is_refused_unless_it_is_mpeg4():
    film = foreign.film("mp4", "libx264")
    assert probe_bytes(film.replace(b"ftypisom", b"ftypM4A ", 1)).media_type == "video/mp4"
    assert probe_bytes(foreign.film("ogg", "libvpx")).media_type == "video/ogg"
    with pytest.raises(NotMediaError, match="moving pictures"):
        container._true_type("audio/flac", MediaKind.VIDEO)


@pytest.mark.parametrize(
    ("container_name", "codec", "media_type", "codecs"),
    [
        ("3gp", "libx264", "video/3gpp", ("h264",)),
        ("avi", "mpeg4", "video/x-msvideo", ("mpeg4",)),
        ("flv", "libx264", "video/x-flv", ("h264",)),
        ("mpeg", "mpeg2video", "video/mpeg", ("mpeg2video",)),
    ],
)
def test_films_that_are_seldom_seen_are_looked_into_too(container_name, codec, media_type, codecs):
    found = probe_bytes(foreign.film(container_name, codec))
    assert (found.kind, found.media_type, found.codecs) == (MediaKind.VIDEO, media_type, codecs)
    assert (found.width, found.height) == (64, 48)
    assert found.duration == pytest.approx(1.0, abs=0.1)
    if container_name != "mpeg":  # a program stream may end anywhere
        with pytest.raises(NotMediaError):
            probe_bytes(foreign.film(container_name, codec)[:1000])


def test_a_container_without_picture_or_sound_is_none():
    subtitles = foreign.film("mp4", "libx264").replace(b"vide", b"text").replace(b"avc1", b"text")
    with pytest.raises(NotMediaError, match="neither picture nor sound"):
        probe_bytes(subtitles)


def test_a_picture_in_an_unknown_codec_is_refused_and_an_unknown_sound_passed_over():
    film = foreign.film("mp4", "libx264", audio="aac")
    with pytest.raises(NotMediaError, match="codec not known"):
        probe_bytes(film.replace(b"avc1", b"zzzz"))
    matroska = foreign.film("matroska", "libx264", audio="aac")
    assert probe_bytes(matroska.replace(b"A_AAC", b"A_XYZ")).codecs == ("h264",)


def test_an_ogg_that_ends_between_two_pages_lacks_its_last():
    data = foreign.sound("ogg", "libopus", 3.0)
    with pytest.raises(NotMediaError, match="cut short"):
        probe_bytes(data[: data.rindex(b"OggS")])


def test_live_clusters_are_looked_into():
    live = foreign.film("webm", "libvpx-vp9", 48, live="1")
    at = live.index(b"\x1f\x43\xb6\x75") + 4
    assert live[at] & 0xE0 == 0x20  # a size of three bytes; all ones is unknown
    endless = live[:at] + b"\x3f\xff\xff" + live[at + 3 :]
    assert probe_bytes(endless).duration == probe_bytes(live).duration
    with pytest.raises(NotMediaError, match="not all that it declares"):
        probe_bytes(endless[:-5])


def test_a_live_recording_followed_by_junk_is_still_one():
    live = foreign.film("webm", "libvpx-vp9", live="1")
    assert probe_bytes(live + bytes(40)) == probe_bytes(live)


def test_a_matroska_header_with_nothing_behind_it_is_none():
    live = foreign.film("matroska", "libx264")
    with pytest.raises(NotMediaError):
        probe_bytes(live[: live.index(b"\x18\x53\x80\x67")] + bytes(64))


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        probe(tmp_path / "none.png")


def test_importing_the_probe_loads_no_codec_library():
    code = "import sys, flowrun.media.probe; print([m for m in ('av', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
