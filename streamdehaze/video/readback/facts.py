"""What a media file says about itself, apart from its pixels: streams, tags, chapters, and how its pictures are
described."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from streamdehaze.frame import ColorSpec
from streamdehaze.video.planes import color_of
from streamdehaze.video.pyav import ANY_METADATA, fraction, frame_rate
from streamdehaze.video.reading.open import PROBED_SECONDS, default_of, demux, has_parameters, videos_of
from streamdehaze.video.reading.services import service_of, services_of
from streamdehaze.video.reading.siting import chroma_location
from streamdehaze.video.sidedata import display_matrix, first_field, kinds_of

FILM_GRAIN = "FILM_GRAIN_PARAMS"
SAMPLED_PICTURES = 8
"""Pictures from the beginning of which the attached data is looked at."""
_STALE = ("ENCODER", "DURATION", "BPS", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "_STATISTICS_", "SOURCE_ID")
_OF_THE_FILE = frozenset(
    {
        "major_brand", "minor_version", "compatible_brands", "vendor_id",
        "file_package_umid", "material_package_umid", "reel_umid", "uid", "generation_uid", "operational_pattern_ul",
        "product_uid", "product_name", "product_version", "company_name", "application_platform", "modification_date",
        "toolkit_version", "toolkit_version_num", "product_version_num", "data_type", "file_package_name",
        "material_package_name",
        "hasvideo", "hasaudio", "haskeyframes", "hasmetadata", "hascuepoints", "canseektoend", "datasize", "videosize",
        "audiosize", "filesize", "lasttimestamp", "lastkeyframetimestamp", "lastkeyframelocation",
    }
)  # fmt: skip
_COUNTED = frozenset({"matroska,webm", "mpegts", "avi", "nut", "flv", "asf", "ogg"})
"""Formats without an index of all packets that give them back as they were written."""
_FIELDS = {1: "none", 2: "top", 3: "bottom"}
"""By FFmpeg's number of an order; those of fields that are stored in another order than shown are read differently."""
_OF_LIBRARIES = ("Lavf", "Lavc")
"""Beginnings of values with which FFmpeg signs what it writes."""


def current_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata without what describes the encoding of the file it comes from: its encoder, statistics, brands."""
    return {
        key: value
        for key, value in metadata.items()
        if not key.upper().startswith(_STALE)
        and key.lower() not in _OF_THE_FILE
        and not value.startswith(_OF_LIBRARIES)
    }


def stream_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """The same of a stream, to be written: MOV and MP4 have its title read as "name", but write what "title" says."""
    tags = current_metadata(metadata)
    if "name" in tags:
        tags.setdefault("title", tags.pop("name"))
    return tags


def with_reel(video: VideoStream) -> dict[str, str]:
    """Metadata of a video, and the name of its reel, which MOV keeps with the time code."""
    tracks = [each.metadata for each in video.container.streams if each.type == "data" and "timecode" in each.metadata]
    reels = [track["reel_name"] for track in tracks if "reel_name" in track]
    return {**({"reel_name": reels[0]} if reels else {}), **video.metadata}


def codec_name(stream: Stream) -> str:
    """FFmpeg's name of a stream's codec; "" where it knows none, and PyAV has no such attribute then."""
    context: Any = stream.codec_context
    return str(context.codec.canonical_name if context is not None else getattr(stream, "name", None) or "")


def _is_mov(container: Any) -> bool:
    return str(container.format.name).startswith("mov")


def _fourcc(stream: Stream) -> str:
    try:
        return str(getattr(stream.codec_context, "codec_tag", "")).strip("\0")
    except UnicodeDecodeError:  # numbers, as AVI has for sound
        return ""


@dataclass(frozen=True)
class StreamFacts:
    """One stream."""

    kind: str
    """FFmpeg's type; "cover" for an attached picture."""
    index: int
    codec: str
    """FFmpeg's name; "" if it knows none."""
    language: str
    """"" for none, or undetermined."""
    dispositions: frozenset[str]
    tags: Mapping[str, str]
    begins: Fraction | None
    """Seconds; None if the container does not say."""
    name: str = ""
    """File name of an attachment."""
    note: str = ""
    """Why it cannot be copied, where the input is the reason."""
    handler: str = ""
    """What MOV and MP4 call the track: "GoPro MET"."""
    fields: str | None = None
    """Field order that the container states for a video: "top" or "bottom" first, "none" for progressive; None if
    unstated."""
    fourcc: str = ""
    """By which players know the codec; "" for none."""
    packets: int = 0
    """Packet count in MP4 and MOV files, as the edit list leaves them; 0 where the index does not say."""
    samples: int = 0
    """How many are in the file, of MP4 and MOV at least as many as there are packets; 0 for unknown."""

    @classmethod
    def of(cls, stream: Stream) -> StreamFacts:
        """The facts about a stream that is open for reading."""
        metadata = with_reel(stream) if isinstance(stream, VideoStream) else stream.metadata
        tags = {key.lower(): value for key, value in current_metadata(metadata).items()}
        language = tags.pop("language", "")
        handler = tags.pop("handler_name", "").strip()  # which program wrote the track, or what it is
        begins = None
        if stream.start_time is not None and stream.time_base:
            begins = stream.start_time * fraction(stream.time_base)
        is_cover = Disposition.attached_pic in stream.disposition
        is_indexed = stream.frames > 0 and _is_mov(stream.container)
        return cls(
            "cover" if is_cover else str(stream.type),
            stream.index,
            "" if stream.type == "attachment" else codec_name(stream),
            "" if language == "und" else language,
            frozenset(str(flag.name) for flag in Disposition if flag in stream.disposition),
            tags,
            begins,
            str(stream.metadata.get("filename", "")) if stream.type == "attachment" else "",
            "" if has_parameters(stream) else f"its format was not found in the first {PROBED_SECONDS} s",
            handler,
            _FIELDS.get(int(getattr(stream.codec_context, "field_order", 0) or 0)),
            _fourcc(stream),
            len(stream.index_entries) if is_indexed else 0,
            stream.frames if is_indexed else 0,
        )

    def __str__(self) -> str:
        """As it is called in warnings."""
        detail = self.name or self.codec
        details = [detail] if detail else [self.handler, "unknown codec"]
        return f"{self.kind} stream {self.index} ({', '.join(filter(None, (*details, self.language, self.note)))})"


@dataclass(frozen=True)
class PictureFacts:
    """How the pictures of a video are described."""

    width: int = 0
    height: int = 0
    pixel_format: str = ""
    color: ColorSpec = field(default_factory=ColorSpec)
    aspect: Fraction = Fraction(1)
    """Width of a sample by its height."""
    first_field: str | None = None
    """"top" or "bottom"; None for progressive pictures."""
    matrix: tuple[int, ...] | None = None
    """By which players turn and flip the pictures."""
    rotation: int = 0
    """The same in degrees."""
    kinds: frozenset[str] = frozenset()
    """Kinds of data attached to the first pictures, as FFmpeg calls them."""

    @classmethod
    def of(cls, picture: av.VideoFrame, aspect: Fraction) -> PictureFacts:
        """The facts about one picture."""
        return cls(
            picture.width,
            picture.height,
            picture.format.name,
            color_of(picture),
            aspect or Fraction(1),
            first_field(picture),
            display_matrix(picture),
            picture.rotation,
            kinds_of(picture),
        )

    def and_of(self, picture: av.VideoFrame, aspect: Fraction) -> PictureFacts:
        """The same with what is attached to a later picture; of nothing yet, what the first is like."""
        known = self if self.width else PictureFacts.of(picture, aspect)
        return replace(known, kinds=self.kinds | kinds_of(picture))


@dataclass(frozen=True)
class FileFacts:
    """A whole file."""

    format: str
    tags: Mapping[str, str]
    chapters: tuple[tuple[Fraction, str], ...]
    """When each begins, seconds, and its title."""
    streams: tuple[StreamFacts, ...]
    video: StreamFacts
    """The one that is worked on."""
    pictures: PictureFacts
    brand: str = ""
    """Brand of an MP4 or MOV file, which decides the names of some codecs: "qt", "isom"; "" if unstated, as in old MOV
    files."""
    seconds: Fraction | None = None
    """How long the video is; None if the container does not say."""
    rate: Fraction | None = None
    """Frames a second on average; None for unknown, or where the times of the frames say it."""
    chroma_location: str | None = None
    """FFmpeg's name of where chroma samples lie; None if that cannot be found out."""

    @classmethod
    def of(
        cls,
        container: InputContainer,
        video: VideoStream,
        pictures: PictureFacts,
        streams: Iterable[Stream],
        tags: Mapping[str, str],
    ) -> FileFacts:
        """The facts about a file that is open for reading.

        Args:
            container: of the file.
            video: its main stream.
            pictures: of it.
            streams: the other ones that count.
            tags: what the file says of itself.
        """
        chapters = tuple(
            (chapter["start"] * fraction(chapter["time_base"]), chapter["metadata"].get("title", ""))
            for chapter in container.chapters()
        )
        seconds = None
        if video.duration:
            seconds = video.duration * fraction(video.time_base)
        return cls(
            container.format.name,
            {key.lower(): value for key, value in current_metadata(tags).items()},
            chapters,
            tuple(StreamFacts.of(stream) for stream in streams),
            StreamFacts.of(video),
            pictures,
            str(container.metadata.get("major_brand", "")).strip(),
            seconds,
            frame_rate(video),
        )


def read_facts(
    file: Any, pictures: int = SAMPLED_PICTURES, video: int | None = None, *, count: bool = False
) -> FileFacts:
    """Read a file's header, and its first pictures.

    Args:
        file: a name, or an open binary file.
        pictures: how many are decoded.
        video: which of its videos counts, from 0; None for the default one.
        count: read its packets, too, where only that says how many there are.

    Raises:
        av.error.FFmpegError, OSError, ValueError: if it cannot be read back.
    """
    services = services_of(file)
    with av.open(file, "r", **ANY_METADATA) as container:
        videos = videos_of(container)
        if not videos:
            raise ValueError("no video is in it")
        stream = default_of(videos) if video is None else videos[min(video, len(videos) - 1)]
        aspect = fraction(stream.sample_aspect_ratio)
        stream.codec_context.options = {"export_side_data": "film_grain"}
        facts = PictureFacts()
        for picture in itertools.islice(container.decode(stream), pictures):
            facts = facts.and_of(picture, aspect)
        others = [each for each in container.streams if each.index != stream.index]
        tags = {**container.metadata, **service_of(stream, services).tags}
        found = FileFacts.of(container, stream, facts, others, tags)
        with contextlib.suppress(av.error.FFmpegError):  # some formats cannot be read from their beginning again
            container.seek(0)
            found = replace(found, chroma_location=chroma_location(container, stream))
        if count and found.format in _COUNTED:
            with av.open(file, "r", **ANY_METADATA) as container:  # from its first packet on, which a seek may miss
                packets = Counter(packet.stream_index for packet in demux(container) if packet.size)
            found = replace(
                found,
                video=replace(found.video, samples=packets[found.video.index]),
                streams=tuple(replace(each, samples=packets[each.index]) for each in found.streams),
            )
        return found
