"""Opening containers of video and sound, with PyAV, and reading them to their ends.

Owns the proof that what a container declares can really be decoded: only the demuxer of the sniffed type is offered the
bytes, never by a name that could be a protocol. A container whose byte extents are complete is sampled at both ends; one
that declares none is read packet by packet, of which a handful is kept. Memory does not grow with the file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.stream import Stream as AnyStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL.Image import Image

from flowrun.media.errors import NotMediaError, as_not_media, check_pixels
from flowrun.media.extents import mp3_frame_length
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.media.planes import image_of

av.logging.set_level(None)  # FFmpeg's own remarks on damaged files would go to the terminal

_DEMUXERS = {
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "audio/mp4": "mov",
    "video/webm": "matroska",
    "video/x-matroska": "matroska",
    "video/3gpp": "mov",
    "video/x-msvideo": "avi",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/aac": "aac",
    "audio/ogg": "ogg",
}
_AS_SOUND = {
    "video/mp4": "audio/mp4",
    "video/quicktime": "audio/mp4",
    "video/webm": "audio/webm",
    "video/x-matroska": "audio/x-matroska",
    "video/3gpp": "audio/mp4",
}
_AS_FILM = {"audio/mp4": "video/mp4", "audio/ogg": "video/ogg"}
_MICROSECONDS = 1_000_000  # FFmpeg's AV_TIME_BASE
_LAST_PACKETS = 4
_LOOKS, _LOOK = 64, 16  # so many samples of a film are looked at, so many bytes of each
# Formats whose demuxer guesses the length from the bit rate where none is declared: what was counted is truer.
# PyAV before 19 refuses a file whose tags are no UTF-8, unless told otherwise; since 19 it always replaces what is not.
_LENIENT: Any = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
_GUESSED = ("mp3", "aac", "mpeg")
_SLACK = {"flac": 0.02}  # seconds by which the packets may fall short of the declared length; else half a second

Stream = VideoStream | AudioStream


@contextmanager
def opened(stream: BinaryIO, media_type: str) -> Iterator[InputContainer]:
    """The container in `stream`, demuxed as `media_type` says and as nothing else. Raises NotMediaError."""
    stream.seek(0)
    demuxer = _DEMUXERS[media_type]
    with (
        as_not_media("it cannot be decoded"),
        av.open(stream, mode="r", format=demuxer, **_LENIENT) as container,
    ):
        yield container


def facts(stream: BinaryIO, media_type: str, size: int, *, whole: bool) -> MediaFacts:
    """The facts of video or sound. `whole`: its declared byte extents are known to be complete. Raises NotMediaError."""
    with opened(stream, media_type) as container:
        picture, sound = picture_of(container), sound_of(container)
        main = picture or sound
        if main is None:
            raise NotMediaError("it holds neither picture nor sound")
        codecs = tuple(each.codec_context.codec.canonical_name for each in (picture, sound) if each)
        if picture:
            _check_not_blank(stream, picture)
        width, height = _read_ends(container, main, size)
        seconds = round(_measured(container, main, whole=whole), 3)
        kind = MediaKind.VIDEO if picture else MediaKind.AUDIO
        return MediaFacts(kind, _true_type(media_type, kind), width, height, seconds, codecs)


def picture_of(container: InputContainer) -> VideoStream | None:
    """The first moving picture; a cover image in a sound file is none. Raises NotMediaError where it is too large."""
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            continue
        if not stream.codec_context:  # FFmpeg has no decoder for it
            raise NotMediaError("its picture is in a codec not known here")
        check_pixels(stream.codec_context.width, stream.codec_context.height)
        stream.codec_context.thread_count = 1
        return stream
    return None


def sound_of(container: InputContainer) -> AudioStream | None:
    """The first sound that can be decoded."""
    return next((stream for stream in container.streams.audio if stream.codec_context), None)


def first_picture(stream: BinaryIO, media_type: str) -> Image:
    """The first frame of a film, upright. Raises NotMediaError where there is none."""
    with opened(stream, media_type) as container:
        picture = picture_of(container)
        frame = first_frame(container, picture) if picture else None
        if not isinstance(frame, VideoFrame):
            raise NotMediaError("it has no picture")
        return image_of(frame)


def is_on_its_side(frame: VideoFrame) -> bool:
    """Whether the display matrix turns it by a quarter, as in phone videos: width and height change places."""
    return frame.rotation % 180 != 0


def _true_type(media_type: str, kind: MediaKind) -> str:
    """The first bytes name the container; what is in it decides between film and sound."""
    if kind is MediaKind.AUDIO:
        return _AS_SOUND.get(media_type, media_type)
    if media_type in _AS_FILM:
        return _AS_FILM[media_type]
    if media_type.startswith("audio/"):
        raise NotMediaError(f"it is {media_type.removeprefix('audio/')} with moving pictures, a mix not known here")
    return media_type


def _read_ends(container: InputContainer, main: Stream, size: int) -> tuple[int | None, int | None]:
    """Decode the first frame and one near the end. Returns width and height as shown, None for sound."""
    _check_index(container, size)
    first = first_frame(container, main)
    if main.duration and len(main.index_entries) > 1:
        with as_not_media("its last part cannot be decoded"):  # a tail of zeros passes every check of lengths
            container.seek(main.index_entries[-1].timestamp, stream=main, backward=True)
            first_frame(container, main)
    if isinstance(first, AudioFrame):
        return None, None
    return (first.height, first.width) if is_on_its_side(first) else (first.width, first.height)


def _check_index(container: InputContainer, size: int) -> None:
    for stream in container.streams:
        if any(entry.pos + entry.size > size for entry in stream.index_entries):
            raise NotMediaError(f"it is cut short: its index points behind the {size:,} bytes that are here")


def _check_not_blank(stream: BinaryIO, picture: VideoStream) -> None:
    """Samples of the film are not zeros, as they are where space was set aside for a download that then stopped."""
    index, here = picture.index_entries, stream.tell()
    for number in {*range(0, len(index), max(1, len(index) // _LOOKS)), len(index) - 1} if len(index) else ():
        entry = index[number]
        stream.seek(entry.pos)
        if entry.size >= _LOOK and not any(stream.read(_LOOK)):
            raise NotMediaError("it is cut short: parts of it are blank")
    stream.seek(here)  # where FFmpeg believes it to be


def first_frame(container: InputContainer, main: Stream) -> VideoFrame | AudioFrame:
    """The next frame from where the container stands. Raises NotMediaError where none can be had."""
    with as_not_media("a frame of it cannot be decoded"):
        for frame in container.decode(main):
            if isinstance(frame, VideoFrame | AudioFrame):
                return frame
    raise NotMediaError("not one frame of it can be decoded")


def _measured(container: InputContainer, main: Stream, *, whole: bool) -> float:
    """Seconds, as declared where the byte extents are `whole`, else counted. Raises NotMediaError for a cut one."""
    declared = _declared(container, main)
    if whole and declared:
        return declared
    with as_not_media("it cannot be read to its end"):
        container.seek(0)
        counted = _counted(container, main)
    name = container.format.name.partition(",")[0]
    if name not in _GUESSED and counted + _SLACK.get(name, 0.5) < declared:
        raise NotMediaError(f"it is cut short: {counted:.3f} of its {declared:.3f} seconds are here")
    if counted <= 0:
        raise NotMediaError("it lasts no time")
    return counted


def _declared(container: InputContainer, main: Stream) -> float:
    """The container's own length in seconds, else the stream's, else 0."""
    if container.duration:
        return container.duration / _MICROSECONDS
    return float(main.duration * main.time_base) if main.duration and main.time_base else 0.0


def _counted(container: InputContainer, main: Stream) -> float:
    """Seconds from the first packet's start to the last one's end."""
    last: deque[Packet[AnyStream]] = deque(maxlen=_LAST_PACKETS)
    start, end = float("inf"), 0.0
    for packet in container.demux(main):
        if not packet.size or packet.pts is None:
            continue
        start = min(start, float(packet.pts * packet.time_base))
        end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        last.append(packet)
    _check_complete(container, main, last)
    return end - start


def _check_complete(container: InputContainer, main: Stream, last: deque[Packet[AnyStream]]) -> None:
    """The last packets are not torn. Decoders tell for most formats; an MP3 frame's own length must be looked at."""
    if not last:
        raise NotMediaError("it holds no packets")
    final, name = last[-1], container.format.name
    torn = final.is_corrupt and name != "wav"  # where a pipe wrote no length, the demuxer misses samples
    if torn or (name == "mp3" and mp3_frame_length(bytes(final)[:4]) > final.size):
        raise NotMediaError("it is cut short: its last frame is incomplete")
    if isinstance(main, AudioStream):
        main.codec_context.flush_buffers()
        with as_not_media("it is cut short: its last frame is damaged"):
            for packet in last:
                packet.decode()
