"""Media types: known by their first bytes, and what follows from them (kind, file extension).

Owns the table of types flowrun speaks of. It reads no file and decodes nothing: `probe` looks inside, and may
correct what a container's first bytes suggest (an MP4 that holds only sound is ``audio/mp4``).
"""

from __future__ import annotations

from flowrun.media.facts import MediaKind

HEAD = 4096  # bytes `sniff` needs at most, but for the one case of a longer ID3 tag

_EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "video/x-matroska": ".mkv",
    "video/3gpp": ".3gp",
    "video/ogg": ".ogv",
    "video/x-msvideo": ".avi",
    "video/x-flv": ".flv",
    "video/mpeg": ".mpg",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "audio/flac": ".flac",
    "audio/mp4": ".m4a",
    "audio/aac": ".aac",
    "audio/ogg": ".ogg",
    "audio/webm": ".weba",
    "audio/x-matroska": ".mka",
}
_BY_EXTENSION = {each: media_type for media_type, each in _EXTENSIONS.items()} | {
    ".jpeg": "image/jpeg",
    ".jpe": "image/jpeg",
    ".m4v": "video/mp4",
    ".qt": "video/quicktime",
    ".3g2": "video/3gpp",
    ".mpeg": "video/mpeg",
    ".wave": "audio/wav",
    ".m4b": "audio/mp4",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
}
_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "video/x-m4v": "video/mp4",
    "video/matroska": "video/x-matroska",
    "video/3gpp2": "video/3gpp",
    "video/avi": "video/x-msvideo",
    "video/msvideo": "video/x-msvideo",
    "audio/mp3": "audio/mpeg",
    "audio/x-mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "audio/aacp": "audio/aac",
    "audio/x-aac": "audio/aac",
    "audio/matroska": "audio/x-matroska",
}
_PREFIXES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"FLV\x01", "video/x-flv"),
    (b"\0\0\1\xba", "video/mpeg"),  # a program stream's pack header (ISO/IEC 13818-1, 2.5.3.3)
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_STILL_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1", b"avif", b"avis")
_SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ")
# QuickTime files older than the `ftyp` box start with one of these (QuickTime File Format, "Atoms").
_OLD_QUICKTIME = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def normalized(media_type: str) -> str:
    """The one spelling of a media type: lower case, no parameters, ``audio/wav`` for ``audio/x-wav``."""
    bare = media_type.partition(";")[0].strip().lower()
    return _ALIASES.get(bare, bare)


def sniff(head: bytes) -> str | None:
    """The media type its first bytes announce, or None. A quick look: `probe` knows better, and finds damage."""
    for prefix, media_type in _PREFIXES:
        if head.startswith(prefix):
            return media_type
    if head[:4] in (b"RIFF", b"RF64"):
        return _RIFF.get(head[8:12])
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"\x42\x82\x84webm" in head[:64] else "video/x-matroska"
    return _sniff_iso(head) or _sniff_mpeg_audio(head)


def _sniff_iso(head: bytes) -> str | None:
    box, brand = head[4:8], head[8:12]
    if box in _OLD_QUICKTIME:
        return "video/quicktime"
    if box != b"ftyp" or brand in _STILL_BRANDS or len(brand) < 4:
        return None
    if brand == b"qt  ":
        return "video/quicktime"
    if brand.startswith(b"3g"):
        return "video/3gpp"
    return "audio/mp4" if brand in _SOUND_BRANDS else "video/mp4"


def id3_size(head: bytes) -> int:
    """Bytes of the ID3v2 tag at the start of `head`, 0 without one (ID3v2.4 structure, 3.1: four times seven bits)."""
    if not head.startswith(b"ID3") or len(head) < 10:
        return 0
    size = 0
    for each in head[6:10]:
        size = size << 7 | each & 0x7F
    return 10 + size


def _sniff_mpeg_audio(head: bytes) -> str | None:
    tag = id3_size(head)
    body = head[tag : tag + 4]
    if body == b"fLaC":
        return "audio/flac"
    if len(body) < 4 or body[0] != 0xFF or body[1] & 0xE0 != 0xE0:
        return "audio/mpeg" if tag else None  # what lies behind a tag too long to see through is most likely MP3
    layer, version = body[1] & 0x06, body[1] & 0x18
    if not layer:  # ADTS keeps these two bits zero, MPEG audio never does
        return "audio/aac" if body[1] & 0xF0 == 0xF0 else None
    reserved = version == 0x08 or body[2] & 0xF0 == 0xF0 or body[2] & 0x0C == 0x0C
    return None if reserved else "audio/mpeg"


def extension(media_type: str) -> str:
    """The file extension with its dot; ``.bin`` for a type not in the table."""
    return _EXTENSIONS.get(normalized(media_type), ".bin")


def type_of_extension(ext: str) -> str | None:
    """The media type a file extension claims; with or without the dot, any case. Only `probe` tells the truth."""
    return _BY_EXTENSION.get("." + ext.lower().removeprefix("."))


def kind_of(media_type: str) -> MediaKind | None:
    """Image, video or audio; None for a type that is none of them (``text/html``)."""
    family = normalized(media_type).partition("/")[0]
    return MediaKind(family) if family in set(MediaKind) else None


def kind_of_extension(ext: str) -> MediaKind | None:
    """What kind of media a file extension claims, None for an unknown one."""
    media_type = type_of_extension(ext)
    return kind_of(media_type) if media_type else None


def same_kind(one: str, other: str) -> bool:
    """Whether two media types are of one kind: a JPEG named ``.png`` is set right, a video named so is a mistake."""
    return kind_of(one) is not None and kind_of(one) == kind_of(other)
