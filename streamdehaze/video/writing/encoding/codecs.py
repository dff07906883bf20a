"""Codecs: which encoder serves each, how it is driven for files, cameras and the web page, what containers take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

from streamdehaze.errors import SinkError

LARGE_PIXELS = 3840 * 2160 * 9 // 10
"""Pixels from which a picture is 4K or more."""


@dataclass(frozen=True)
class Tuning:
    """How an encoder is driven for one purpose."""

    quality: float | None = None
    """On the encoder's scale."""
    preset: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    """Further options."""
    refinements: Mapping[str, str] = field(default_factory=dict)
    """Changes to the preset, which say nothing of another one."""

    def with_preset(self, preset: str) -> Tuning:
        """The same with another preset."""
        return replace(self, preset=preset, refinements={})


@dataclass(frozen=True)
class Scale:
    """The scale of an encoder's constant quality, which `--crf` sets."""

    option: str
    """FFmpeg's name; "qscale" for the quantiser of the old codecs."""
    best: float
    worst: float
    whole: bool = False
    """Whether there is nothing between its numbers."""

    def check(self, encoder: str, quality: float) -> None:
        """Check that a number is on it.

        Raises:
            SinkError: if it is not, and naming the encoder.
        """
        if not self.best <= quality <= self.worst or (self.whole and quality % 1):
            numbers = "whole numbers" if self.whole else "numbers"
            raise SinkError(
                f"the encoder {encoder} takes {numbers} from {self.best:g} (best) to {self.worst:g} as --crf, "
                f"not {quality:g}"
            )


@dataclass(frozen=True)
class Encoder:
    """One of FFmpeg's encoders, and how it is driven."""

    name: str
    scale: Scale | None = None
    preset_option: str | None = None
    """Option that trades speed for size, which `--preset` sets."""
    presets: tuple[str, ...] = ()
    """Its values, where FFmpeg does not list them."""
    file: Tuning = field(default_factory=Tuning)
    """For files: visually transparent, and fast enough that the network never waits; users may override all of it."""
    live: Tuning = field(default_factory=Tuning)
    """For the streams of cameras: every picture comes out as soon as it is in."""
    web: Tuning = field(default_factory=Tuning)
    """For browsers: the same with few bits, and in a profile that every WebRTC decoder takes."""
    large_options: Mapping[str, str] = field(default_factory=dict)
    """For files of 4K and more: an encoder that looks less far ahead holds half a gigabyte less."""
    formats: tuple[str, ...] = ()
    """Pixel formats where FFmpeg does not list them."""
    units: Literal["", "h264", "hevc", "av1"] = ""
    """The codec whose pictures come as units, between which more can be put."""
    counts_frames: bool = False
    """True where the bitstream says one frame rate: time stamps of files then go around the encoder."""
    rates: tuple[Fraction, ...] = ()
    """The only frame rates the bitstream knows; empty for any."""
    full_range: bool = False
    """True where samples are always 0…max."""
    hdr_option: str | None = None
    """Option that takes mastering display and content light level."""
    interlaces: bool = False
    """True where FFmpeg's flags announce interlaced pictures to it."""

    def options(self, tuning: Tuning) -> dict[str, str]:
        """A tuning as FFmpeg's options."""
        options = {**tuning.options, **tuning.refinements}
        if self.scale is not None and tuning.quality is not None:
            options[self.scale.option] = f"{tuning.quality:g}"
        if self.preset_option is not None and tuning.preset is not None:
            options[self.preset_option] = tuning.preset
        return options


MPEG_RATES = tuple(
    Fraction(*rate)
    for rate in ((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (50, 1), (60000, 1001), (60, 1))
)  # ISO/IEC 13818-2 table 6-4
_AT_ONCE = {"tune": "zerolatency", "forced-idr": "1"}
_REPEATED_HEADERS = {"x264-params": "repeat-headers=1"}
_X26X = (
    Scale("crf", 0, 51),
    "preset",
    (
        "ultrafast",
        "superfast",
        "veryfast",
        "faster",
        "fast",
        "medium",
        "slow",
        "slower",
        "veryslow",
        "placebo",
    ),
)
_VPX = Scale("crf", 0, 63, whole=True)
_QUANTISER = Scale("qscale", 1, 31, whole=True)

_SOFTWARE = (
    Encoder(
        "libx264", *_X26X,
        # Vectors for parts of a macroblock cost more than they save; a second reference, one more B-frame and looking a
        # little farther ahead make good for them (benchmarks/README.md, "Encoding").
        file=Tuning(18, "veryfast", refinements={
            "partitions": "i8x8,i4x4", "motion-est": "dia", "bf": "4", "refs": "2", "rc-lookahead": "14",
        }),
        live=Tuning(21, "veryfast", {**_AT_ONCE, **_REPEATED_HEADERS}),
        web=Tuning(23, "superfast", {
            **_AT_ONCE, **_REPEATED_HEADERS, "profile": "baseline", "maxrate": "6M", "bufsize": "3M",
        }),
        large_options={"rc-lookahead": "4", "x264-params": "sliced-threads=1"},
        hdr_option="x264-params", interlaces=True, counts_frames=True,
        units="h264",
    ),
    Encoder("libx264rgb", *_X26X, Tuning(18, "veryfast"), units="h264", interlaces=True, counts_frames=True),
    Encoder(
        "libx265", *_X26X,
        file=Tuning(18, "veryfast", {"x265-params": "log-level=error"}),
        live=Tuning(24, "ultrafast", {**_AT_ONCE, "x265-params": "log-level=error:repeat-headers=1"}),
        large_options={"x265-params": "rc-lookahead=8:frame-threads=1"},
        hdr_option="x265-params",
        units="hevc",
    ),
    Encoder(
        "libsvtav1", Scale("crf", 1, 63, whole=True), "preset",
        file=Tuning(24, "8"),
        live=Tuning(32, "12", {"svtav1-params": "pred-struct=1:lookahead=0"}),
        hdr_option="svtav1-params",
        units="av1",
    ),
    Encoder("libvpx", _VPX, "cpu-used",
            file=Tuning(10, "5", {"deadline": "good", "b": "20M", "qmin": "0", "auto-alt-ref": "0"})),
    Encoder(
        "libvpx-vp9", _VPX, "cpu-used",
        file=Tuning(24, "5", {"deadline": "good", "b": "0", "row-mt": "1"}),
        live=Tuning(31, "8", {"deadline": "realtime", "lag-in-frames": "0"}),
    ),
    Encoder("ffv1", file=Tuning(options={"level": "3", "slicecrc": "1"})),
    Encoder("prores_ks", interlaces=True),
    Encoder("dnxhd"),
    Encoder("dvvideo", interlaces=True),
    Encoder("wrapped_avframe", formats=(
        "yuv420p", "yuv411p", "yuv422p", "yuv444p", "gray", "yuva444p",
        "yuv420p9le", "yuv422p9le", "yuv444p9le", "yuv420p10le", "yuv422p10le", "yuv444p10le",
        "yuv420p12le", "yuv422p12le", "yuv444p12le", "yuv420p14le", "yuv422p14le", "yuv444p14le",
        "yuv420p16le", "yuv422p16le", "yuv444p16le", "gray9le", "gray10le", "gray12le", "gray16le",
    )),
    *(Encoder(name) for name in (
        "cfhd", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "rawvideo", "jpeg2000", "png", "apng", "gif", "qtrle",
    )),
    Encoder("mjpeg", _QUANTISER, file=Tuning(2), full_range=True),
    Encoder("mpeg1video", _QUANTISER, file=Tuning(2), counts_frames=True, rates=MPEG_RATES),
    Encoder("mpeg2video", _QUANTISER, file=Tuning(2), counts_frames=True, rates=MPEG_RATES,
            interlaces=True),
    Encoder("mpeg4", _QUANTISER, file=Tuning(2), counts_frames=True, interlaces=True),
    Encoder("msmpeg4", _QUANTISER, file=Tuning(2), counts_frames=True),
    Encoder("flv", _QUANTISER, file=Tuning(2), counts_frames=True),
    Encoder("wmv1", _QUANTISER, file=Tuning(2), counts_frames=True),
    Encoder("wmv2", _QUANTISER, file=Tuning(2), counts_frames=True),
)  # fmt: skip
_HARDWARE = tuple(
    Encoder(
        f"{codec}_nvenc", Scale("cq", 1, worst), "preset",
        file=Tuning(20, "p4", {"rc": "vbr", "b": "0"}),
        live=Tuning(live_quality, "p2", {"tune": "ull", "forced-idr": "1", "zerolatency": "1"}),
    )
    for codec, worst, live_quality in (("h264", 51, 23), ("hevc", 51, 25), ("av1", 63, 32))
)  # fmt: skip

ENCODERS: Mapping[str, Encoder] = {encoder.name: encoder for encoder in (*_SOFTWARE, *_HARDWARE)}

LIVE_ENCODERS = tuple(encoder.name for encoder in ENCODERS.values() if encoder.live != Tuning())
"""Those that can send each picture at once."""

_BY_THEIR_OWN_NAME = (
    "ffv1", "dnxhd", "dvvideo",
    "cfhd", "ffvhuff", "utvideo", "magicyuv", "v210", "r210", "mjpeg", "png", "apng", "gif",
    "qtrle", "mpeg1video", "mpeg2video", "mpeg4", "wmv1", "wmv2",
)  # fmt: skip

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "h264": ("libx264", "libx264rgb"),
    "hevc": ("libx265",),
    "av1": ("libsvtav1",),
    "vp8": ("libvpx",),
    "vp9": ("libvpx-vp9",),
    "prores": ("prores_ks",),
    "huffyuv": ("ffvhuff",),
    "rawvideo": ("rawvideo", "wrapped_avframe"),
    "wrapped_avframe": ("rawvideo",),
    "msmpeg4v3": ("msmpeg4",),
    "flv1": ("flv",),
    **{name: (name,) for name in _BY_THEIR_OWN_NAME},
}
"""Encoders by FFmpeg's name of a codec: where one stays with the input's codec, one of these is taken.

Not that of JPEG 2000: now and then it writes a picture that nothing can decode (FFmpeg 8.1.2).
"""

COMMON_NAMES: Mapping[str, str] = {
    "avc": "h264", "x264": "h264", "h.264": "h264", "h265": "hevc", "h.265": "hevc", "x265": "hevc", "svt-av1": "av1",
}  # fmt: skip
"""What people call a codec → FFmpeg's name of it."""

FALLBACK = (
    "libx264", "libx265", "libvpx-vp9", "libsvtav1", "ffv1", "wrapped_avframe", "gif", "apng", "mpeg2video",
    "mpeg4", "wmv2", "mjpeg", "rawvideo", "flv",
)  # fmt: skip
"""Encoders tried in this order when the input's codec has none, or the container does not take it."""

EDITED_RGB = ("prores_ks", *FALLBACK)
"""The same for RGB into MOV, where editors expect ProRes 4444."""

CONTAINER_CODECS: Mapping[str, frozenset[str]] = {
    "mp4": frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mjpeg"}),
    "ipod": frozenset({"h264", "hevc", "mpeg4"}),
    "webm": frozenset({"vp8", "vp9", "av1"}),
    "mpegts": frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"}),
    "mpeg": frozenset({"mpeg1video", "mpeg2video"}),
    "vob": frozenset({"mpeg2video"}),
    "dvd": frozenset({"mpeg2video"}),
    "yuv4mpegpipe": frozenset({"wrapped_avframe"}),
    "gif": frozenset({"gif"}),
    "apng": frozenset({"apng"}),
    "asf": frozenset({"wmv1", "wmv2", "msmpeg4v3"}),
    "flv": frozenset({"h264", "flv1"}),
}
"""Video codecs of containers where FFmpeg would write more than players read, or does not say what it writes."""

TRANSPORT_STREAM_CODECS = frozenset(
    {
        "mp1", "mp2", "mp3", "aac", "aac_latm", "ac3", "eac3", "dts", "truehd", "opus", "s302m", "pcm_bluray",
        "dvb_subtitle", "dvb_teletext", "hdmv_pgs_subtitle", "klv", "smpte_klv", "timed_id3", "scte_35",
        *CONTAINER_CODECS["mpegts"],
    }
)  # fmt: skip
"""What readers know in MPEG-TS; FFmpeg writes anything else as private data that nothing reads."""

PLAIN_Y4M = frozenset({"yuv420p", "yuv411p", "yuv422p", "yuv444p", "gray"})
APPLE_TAG = "hvc1"
"""Codec tag of HEVC in the formats of the MOV family that Apple's players insist on."""
MOV_FAMILY = frozenset({"mov", "mp4", "ipod", "3gp", "3g2", "psp", "f4v"})
TAKES_NEGATIVE_TIMES = frozenset({"matroska", "webm", "avi"})
MOV_TAGS = frozenset(
    {
        "title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright", "grouping",
        "lyrics", "description", "synopsis", "show", "episode_id", "episode_sort", "season_number", "network", "track",
        "disc", "compilation", "creation_time", "location", "sort_name", "sort_artist", "sort_album",
        "sort_album_artist", "sort_composer", "sort_show", "hd_video", "gapless_playback", "media_type", "rating",
    }
)  # fmt: skip
"""Metadata keys that MOV and MP4 have places of their own for; any other needs a list of keys."""
FREE_CLOCKS = frozenset({"mpegts", "mpeg", "vob", "dvd", "svcd", "vcd", "hls"})
"""Containers whose times count from any instant; others begin at 0."""
WITHOUT_TIMES = frozenset(
    {"h264", "hevc", "vvc", "mpeg1video", "mpeg2video", "m4v", "mjpeg", "obu", "yuv4mpegpipe", "mxf", "mxf_opatom",
     "mxf_d10", "dv"}
)  # fmt: skip
"""Containers that keep no times: frames are played at one rate, the header's if it has one."""
WITHOUT_B_FRAMES = frozenset({"avi", "mxf", "asf"})
"""Containers that store frames in decoding order at a constant rate: no B-frames, no variable rate."""
ONE_ENCODER_RUN = frozenset({"gif", "apng", "yuv4mpegpipe"})
"""Containers whose packets count on, refer to those before, or do not exist: they cannot be joined."""

PRORES_PROFILES: Mapping[str, str] = {
    "Proxy": "proxy", "LT": "lt", "Standard": "standard", "HQ": "hq", "4444": "4444", "4444 XQ": "4444xq",
}  # fmt: skip
"""FFmpeg's name of an input's ProRes profile → what its encoder calls it."""
DNXHR_PROFILES: Mapping[str, str] = {
    "yuv422p": "dnxhr_hq", "yuv422p10le": "dnxhr_hqx", "yuv444p10le": "dnxhr_444", "gbrp10le": "dnxhr_444",
}  # fmt: skip
"""DNxHR profile by pixel format: unlike DNxHD's kinds, these take every size and rate, but no fields."""


@dataclass(frozen=True)
class DnxhdKind:
    """A kind of DNxHD: one size, one number of bits a picture, fields or none (SMPTE ST 2019-1)."""

    size: tuple[int, int]
    pixel_format: str
    bit_rate: str
    """By which FFmpeg knows the kind, one of those it has at different frame rates."""
    has_fields: bool = False

    @property
    def options(self) -> dict[str, str]:
        """FFmpeg's options for its encoder."""
        return {"profile": "dnxhd", "b": self.bit_rate, **({"flags": "+ildct"} if self.has_fields else {})}


_HD, _HDV, _720P = (1920, 1080), (1440, 1080), (1280, 720)
DNXHD_KINDS: Mapping[int, DnxhdKind] = {
    1235: DnxhdKind(_HD, "yuv422p10le", "175M"),
    1237: DnxhdKind(_HD, "yuv422p", "115M"),
    1238: DnxhdKind(_HD, "yuv422p", "175M"),
    1241: DnxhdKind(_HD, "yuv422p10le", "185M", has_fields=True),
    1242: DnxhdKind(_HD, "yuv422p", "120M", has_fields=True),
    1243: DnxhdKind(_HD, "yuv422p", "185M", has_fields=True),
    1244: DnxhdKind(_HDV, "yuv422p", "120M", has_fields=True),
    1250: DnxhdKind(_720P, "yuv422p10le", "90M"),
    1251: DnxhdKind(_720P, "yuv422p", "90M"),
    1252: DnxhdKind(_720P, "yuv422p", "60M"),
    1253: DnxhdKind(_HD, "yuv422p", "36M"),
    1258: DnxhdKind((960, 720), "yuv422p", "42M"),
    1259: DnxhdKind(_HDV, "yuv422p", "63M"),
}
"""By their number in the header of each picture; those that FFmpeg's encoder makes."""


def dnxhd_kind(picture: bytes) -> DnxhdKind | None:
    """The kind of an encoded picture; None for others, and for DNxHR."""
    return DNXHD_KINDS.get(int.from_bytes(picture[40:44], "big"))
