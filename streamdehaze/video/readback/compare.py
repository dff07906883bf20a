"""Where the facts about two files differ, as text."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from streamdehaze.errors import counted
from streamdehaze.video.readback.facts import FileFacts, PictureFacts, StreamFacts
from streamdehaze.video.reading.demuxer import takes_rate
from streamdehaze.video.writing.encoding.encoding import AudioCodec
from streamdehaze.video.writing.encoding.loss import conversion_loss

_CHAPTER_SLACK = Fraction(1, 100)
_SYNC_SLACK = Fraction(1, 20)
"""Seconds that sound may begin earlier or later, next to the video, than before: a packet of sound, and rounding."""
_LENGTH_SLACK = Fraction(1, 2)
_RATE_SLACK = Fraction(1, 10_000)
"""Share by which frame rates may differ: 29.97 is 0.1 % less than 30."""
_KEEPING_TIMES = ("mov", "matroska")
"""Beginnings of the names of formats that can begin at any time."""
_LEFT = ("unspecified", "left")
"""Chroma locations that mean the same."""
_UNSAID = 2
"""The number that stands for an unknown matrix, primaries or transfer (H.273)."""
_RGB = 0
_IGNORED_KINDS = frozenset({"MOTION_VECTORS", "VIDEO_ENC_PARAMS", "DETECTION_BBOXES", "REGIONS_OF_INTEREST",
                            "GOP_TIMECODE", "PANSCAN", "DISPLAYMATRIX", "DOVI_METADATA", "VIDEO_HINT"})  # fmt: skip
"""What decoders work out, or what is compared by other facts."""
KIND_NAMES: Mapping[str, str] = {
    "A53_CC": "closed captions (CEA-608/708)",
    "AFD": "active format description",
    "AMBIENT_VIEWING_ENVIRONMENT": "HDR ambient viewing environment",
    "CONTENT_LIGHT_LEVEL": "HDR content light levels",
    "DOVI_RPU_BUFFER": "Dolby Vision",
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
    "FILM_GRAIN_PARAMS": "film grain parameters (the grain itself is in the pictures now)",
    "ICC_PROFILE": "ICC profile",
    "KIND_29": "views of a multi-view (spatial) video but the first",
    "KIND_30": "3D reference displays",
    "KIND_31": "EXIF",
    "MASTERING_DISPLAY_METADATA": "HDR mastering display",
    "S12M_TIMECODE": "time code of individual pictures (SMPTE ST 12-1)",
    "SEI_UNREGISTERED": "user data of individual pictures (SEI)",
    "SPHERICAL": "360-degree projection",
    "STEREO3D": "stereo 3D",
}
"""Kinds of data of pictures, as text."""
_NO_TAGS = frozenset({"filename", "mimetype", "alpha_mode"})
"""Facts of attachments, and of a second picture in each block that FFmpeg leaves out."""
_TAG_NAMES: Mapping[str, str] = {
    "com.apple.quicktime.location.iso6709": "place (com.apple.quicktime.location.ISO6709)",
    "location": "place (location)",
    "creation_time": "date (creation_time)",
}


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was."""

    topic: str
    """What it is about, in a word."""
    text: str
    """In words: "chapters (2)"."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Asked:
    """What the user asked to be different."""

    codec: bool = False
    pixel_format: bool = False
    deinterlaced: bool = False
    trimmed: bool = False
    audio: AudioCodec = "copy"
    """"aac" for sound that is converted, "none" for none."""
    shortened: bool = False
    """Damaged pictures are left out, or the length of the input is not known."""
    headless: bool = False
    """It is cut before its first keyframe, so that its first packets give no pictures."""


def differences(
    before: FileFacts,
    after: FileFacts,
    asked: Asked | None = None,
    *,
    whole: bool = True,
    accepted: Container[int] = (),
    sound_remedy: str = "",
) -> list[Difference]:
    """What `after` lacks of `before` without having been asked to.

    Args:
        before: the input.
        after: the output.
        asked: what is to be different.
        whole: the output has all its packets; otherwise only header and first pictures.
        accepted: numbers of streams that are taken to be there, as some containers show none without packets.
        sound_remedy: how sound that is not there could be kept, as text.
    """
    asked = asked or Asked()
    found = [
        *_streams(before, after, asked, whole, accepted, sound_remedy),
        *_tags("", before.tags, after.tags, asked),
        *_stream_facts(before.video, after, after.video, asked, is_video=True, recoded=asked.codec),
        *_pictures(before.pictures, after.pictures, asked),
    ]
    found += _rate(before.rate, after)
    if not asked.deinterlaced:
        found += _stated_fields(before, after)
    if before.pictures.pixel_format == after.pictures.pixel_format and not asked.pixel_format:
        found += _chroma_location(before.chroma_location, after.chroma_location)
    if not asked.trimmed:
        found += _chapters(before, after)
        if whole and not asked.shortened and not asked.headless:
            found += _length(before, after)
            found += _beginning(before, after)
    return list(dict.fromkeys(found))


def _matching(before: tuple[StreamFacts, ...], after: tuple[StreamFacts, ...]) -> list[StreamFacts | None]:
    """For each stream of the input the one of the output it became; None for none."""
    left = list(after)
    found: list[StreamFacts | None] = []
    for stream in before:
        same = [each for each in left if (each.kind, each.codec, each.name) == (stream.kind, stream.codec, stream.name)]
        if not same:
            same = [each for each in left if each.kind == stream.kind and each.language == stream.language]
        found.append(same[0] if same else None)
        if same:
            left.remove(same[0])
    return found


def _streams(
    before: FileFacts, after: FileFacts, asked: Asked, whole: bool, accepted: Container[int], sound_remedy: str
) -> Iterator[Difference]:
    same_names = before.format == after.format and (before.brand == "qt") == (after.brand == "qt")
    for stream, copy in zip(before.streams, _matching(before.streams, after.streams), strict=True):
        if stream.kind == "audio" and asked.audio == "none":
            continue
        if copy is None:
            can_be_kept = sound_remedy if stream.kind == "audio" and not stream.note else ""
            if stream.index not in accepted:
                yield Difference("stream", f"{stream}{can_be_kept and f'; {can_be_kept}'}")
            continue
        converted = stream.kind == "audio" and asked.audio == "aac"
        yield from _stream_facts(stream, after, copy, asked, recoded=converted)
        is_played = stream.kind in ("audio", "video")
        is_counted = copy.samples and (is_played or not after.format.startswith("mov")) and not converted
        if whole and is_counted and copy.samples < stream.packets and not (asked.trimmed or asked.shortened):
            yield Difference("packets", f"{stream.packets - copy.samples} of {stream.packets} packets of {stream}")
        if not is_played:
            continue
        if same_names and stream.codec == copy.codec and copy.fourcc not in ("", stream.fourcc) and stream.fourcc:
            yield Difference("fourcc", f"fourcc {stream.fourcc} of {stream} (now {copy.fourcc})")
        if whole and not (asked.trimmed or asked.headless):
            yield from _start(stream, before, copy, after)


def _start(stream: StreamFacts, before: FileFacts, copy: StreamFacts, after: FileFacts) -> Iterator[Difference]:
    """When a stream begins, next to the video."""
    known = stream.begins, before.video.begins, copy.begins, after.video.begins
    if "mov" not in after.format or None in known:
        return
    was, video_was, now, video_now = (time or Fraction(0) for time in known)
    late = (now - video_now) - (was - video_was)
    if abs(late) > _SYNC_SLACK:
        what = "sound" if stream.kind == "audio" else "videos"
        yield Difference("sync", f"{what} in step ({stream} begins {float(late):+.3f} s against the video)")


def _stream_facts(
    stream: StreamFacts,
    after: FileFacts,
    copy: StreamFacts,
    asked: Asked,
    *,
    is_video: bool = False,
    recoded: bool = False,
) -> Iterator[Difference]:
    name = "video" if is_video else str(stream)
    if stream.codec != copy.codec and not recoded:
        yield Difference("codec", f"the codec of the video ({stream.codec}; now {copy.codec})" if is_video
                         else f"{name} (now {copy.codec or 'unknown'})")  # fmt: skip
    if stream.language and stream.language != copy.language:
        yield Difference("language", f"language of {name}" if is_video else f"language {stream.language} of {name}")
    for flag in sorted(stream.dispositions - copy.dispositions - {"default"}):
        yield Difference("disposition", f"'{flag}' mark of {name}")
    yield from _tags(f" of {name}", stream.tags, {**after.tags, **copy.tags}, asked)


def _tags(where: str, before: Mapping[str, str], after: Mapping[str, str], asked: Asked) -> Iterator[Difference]:
    values = {_plain(value) for value in after.values()}
    moves = {"timecode"} & after.keys() if asked.trimmed or asked.deinterlaced else frozenset[str]()
    lost = [
        _TAG_NAMES.get(key, key) + (f" (now '{after[key]}')" if key in after else "")
        for key, value in sorted(before.items())
        if value.strip()
        and _plain(value) not in values
        and key not in _NO_TAGS | moves
        and not _is_said_by(key, value, after)
    ]
    if lost:
        yield Difference("tags", f"{'tag' if len(lost) == 1 else 'tags'} {', '.join(lost)}{where}")


def _plain(value: str) -> str:
    """A value as containers agree on it: dates without fractions that are zero, places without trailing zeros."""
    return re.sub(r"(\.\d*?)0+(?=[^\d]|$)", r"\1", value.strip()).replace(".Z", "Z").removesuffix("/")


def _is_said_by(key: str, value: str, tags: Mapping[str, str]) -> bool:
    """Whether a key for one language ("location-eng") has the value of the key for all."""
    return "-" in key and _plain(tags.get(key.partition("-")[0], "")) == _plain(value)


def _pictures(before: PictureFacts, after: PictureFacts, asked: Asked) -> Iterator[Difference]:
    old, new = before.pixel_format.replace("yuvj", "yuv"), after.pixel_format.replace("yuvj", "yuv")
    if (before.width, before.height) != (after.width, after.height):
        yield Difference("size", f"size {before.width}x{before.height} (now {after.width}x{after.height})")
    if old != new and not _is_rearranged(old, new) and not asked.pixel_format:
        yield Difference("pixel format", f"pixel format {old} (now {new})")
    if before.aspect != after.aspect:
        ratio = f"{before.aspect.numerator}:{before.aspect.denominator}"
        now = "" if after.aspect == 1 else f" (now {after.aspect.numerator}:{after.aspect.denominator})"
        yield Difference("aspect", f"sample aspect ratio {ratio}{now}")
    if before.matrix != after.matrix and before.matrix is not None:
        yield Difference("rotation", f"rotation by {before.rotation} degrees")
    if before.first_field != after.first_field and not asked.deinterlaced:
        was, now = ((field and f"{field} field first") or "progressive" for field in
                    (before.first_field, after.first_field))  # fmt: skip
        yield Difference("fields", f"field order ({was}; now {now})")
    yield from _colors(before, after, asked)
    for kind in sorted(before.kinds - after.kinds - _IGNORED_KINDS):
        yield Difference("side data", KIND_NAMES.get(kind, f"data of the kind {kind} attached to pictures"))


def _is_rearranged(before: str, after: str) -> bool:
    """Whether one pixel format holds the same samples as another, as bgr24 those of rgb24."""
    return bool(before and after) and not (conversion_loss(before, after) or conversion_loss(after, before))


def _stated_fields(before: FileFacts, after: FileFacts) -> Iterator[Difference]:
    first, stated = before.pictures.first_field, after.video.fields
    if first == after.pictures.first_field and first is not None and stated not in (first, None):
        now = "progressive" if stated == "none" else f"{stated} field first"
        yield Difference("fields", f"field order as the container states it ({first} field first; now {now})")


def _rate(before: Fraction | None, after: FileFacts) -> Iterator[Difference]:
    """Where the header alone says how fast frames come, and some have no place for it."""
    if before is not None and after.rate is not None and abs(before - after.rate) > before * _RATE_SLACK:
        remedy = f"; --rate {before} reads it right" if takes_rate(after.format) else ""
        yield Difference("rate", f"frame rate {float(before):.5g} (now {float(after.rate):.5g}{remedy})")


def _chroma_location(before: str | None, after: str | None) -> Iterator[Difference]:
    if before not in (None, *_LEFT) and after is not None and before != after:
        yield Difference("siting", f"chroma location ({before}; now {after})")


def _colors(before: PictureFacts, after: PictureFacts, asked: Asked) -> Iterator[Difference]:
    same_model = (before.color.matrix == _RGB) == (after.color.matrix == _RGB) and not asked.pixel_format
    for name in ("primaries", "transfer", "matrix"):
        was, now = getattr(before.color, name), getattr(after.color, name)
        if was not in (now, _UNSAID) and (same_model or name != "matrix"):
            yield Difference("color", f"colour {name} (H.273 code {was}; now {'unknown' if now == _UNSAID else now})")
    was, now = before.color.full_range, after.color.full_range
    if was is not None and now is not None and was != now and same_model and not asked.codec:
        yield Difference("color", f"colour range ({'full' if was else 'narrow'}; now {'full' if now else 'narrow'})")


def _chapters(before: FileFacts, after: FileFacts) -> Iterator[Difference]:
    if not before.chapters:
        return
    same = len(before.chapters) == len(after.chapters) and all(
        title == other and abs((begin - start) - (before.chapters[0][0] - after.chapters[0][0])) < _CHAPTER_SLACK
        for (begin, title), (start, other) in zip(before.chapters, after.chapters, strict=True)
    )
    if not same:
        lost = counted(len(before.chapters), "chapter")
        yield Difference("chapters", "chapters as they were" if after.chapters else lost)


def _length(before: FileFacts, after: FileFacts) -> Iterator[Difference]:
    if before.seconds is None or after.seconds is None or before.format != after.format:
        return
    if abs(before.seconds - after.seconds) > max(_LENGTH_SLACK, before.seconds / 100):
        yield Difference("length", f"length ({float(before.seconds):.3f} s; now {float(after.seconds):.3f} s)")


def _beginning(before: FileFacts, after: FileFacts) -> Iterator[Difference]:
    was, now = before.video.begins, after.video.begins
    if was is None or now is None or before.format != after.format or was < 0:
        return
    if before.format.startswith(_KEEPING_TIMES) and abs(now - was) > _SYNC_SLACK:
        yield Difference("beginning", f"first time ({float(was):.3f} s; now {float(now):.3f} s)")
