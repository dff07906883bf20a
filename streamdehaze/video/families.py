"""Which encoder serves which codec, how it is driven, and what each container takes: facts, no logic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

LARGE_PIXELS = 3840 * 2160 * 9 // 10
"""Pixels from which a picture is 4K or more."""


@dataclass(frozen=True)
class Encoder:
    """How one of FFmpeg's encoders is driven."""

    name: str
    quality_option: str | None = None
    """Option of its constant quality, which `--crf` sets; "qscale" for the quantiser of the old codecs."""
    quality: float | None = None
    """Visually transparent by default."""
    preset_option: str | None = None
    """Option that trades speed for size, which `--preset` sets."""
    preset: str | None = None
    """Fast by default: this stage must not be the one that the network waits for."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Further options, all of which the user may override."""
    large_options: Mapping[str, str] = field(default_factory=dict)
    """The same for pictures of 4K and more: an encoder that looks less far ahead holds half a gigabyte less."""
    formats: tuple[str, ...] = ()
    """Pixel formats where FFmpeg does not list them."""
    counts_frames: bool = False
    """True where the bitstream knows only a few frame rates: time stamps then go around the encoder."""
    rates: tuple[Fraction, ...] = ()
    """The only frame rates the bitstream knows; empty for any."""
    full_range: bool = False
    """True where samples are always 0…max."""
    hdr_option: str | None = None
    """Option that takes mastering display and content light level."""
    interlaces: bool = False
    """True where it is told of interlaced pictures by FFmpeg's flags."""
    writes_aspect: bool = False
    """True where the sample aspect ratio is part of the bitstream."""


_MPEG_RATES = tuple(
    Fraction(*rate)
    for rate in ((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (50, 1), (60000, 1001), (60, 1))
)  # ISO/IEC 13818-2 table 6-4

_SOFTWARE = (
    Encoder("libx264", "crf", 18, "preset", "veryfast", hdr_option="x264-params", writes_aspect=True, interlaces=True,
            large_options={"rc-lookahead": "4", "x264-params": "sliced-threads=1"}),
    Encoder("libx264rgb", "crf", 18, "preset", "veryfast", writes_aspect=True, interlaces=True),
    Encoder("libx265", "crf", 18, "preset", "veryfast", {"x265-params": "log-level=error"},
            {"x265-params": "log-level=error:rc-lookahead=8:frame-threads=1"},
            hdr_option="x265-params", writes_aspect=True),
    Encoder("libsvtav1", "crf", 24, "preset", "8", hdr_option="svtav1-params"),
    Encoder("libvpx", "crf", 10, "cpu-used", "5",
            {"deadline": "good", "b": "20M", "qmin": "0", "auto-alt-ref": "0"}),
    Encoder("libvpx-vp9", "crf", 24, "cpu-used", "5", {"deadline": "good", "b": "0", "row-mt": "1"}),
    Encoder("ffv1", options={"level": "3", "slicecrc": "1"}),
    Encoder("prores_ks", interlaces=True),
    Encoder("dnxhd", interlaces=True),
    Encoder("cfhd"),
    Encoder("huffyuv"),
    Encoder("ffvhuff"),
    Encoder("utvideo"),
    Encoder("magicyuv"),
    Encoder("rawvideo"),
    Encoder("wrapped_avframe", formats=(
        "yuv420p", "yuv411p", "yuv422p", "yuv444p", "gray", "yuva444p",
        "yuv420p9le", "yuv422p9le", "yuv444p9le", "yuv420p10le", "yuv422p10le", "yuv444p10le",
        "yuv420p12le", "yuv422p12le", "yuv444p12le", "yuv420p14le", "yuv422p14le", "yuv444p14le",
        "yuv420p16le", "yuv422p16le", "yuv444p16le", "gray9le", "gray10le", "gray12le", "gray16le",
    )),
    Encoder("mjpeg", "qscale", 2, full_range=True),
    Encoder("jpeg2000"),
    Encoder("png"),
    Encoder("apng"),
    Encoder("gif"),
    Encoder("qtrle"),
    Encoder("mpeg1video", "qscale", 2, counts_frames=True, rates=_MPEG_RATES, writes_aspect=True),
    Encoder("mpeg2video", "qscale", 2, counts_frames=True, rates=_MPEG_RATES, writes_aspect=True, interlaces=True),
    Encoder("mpeg4", "qscale", 2, counts_frames=True, writes_aspect=True, interlaces=True),
    Encoder("msmpeg4", "qscale", 2, counts_frames=True),
    Encoder("flv", "qscale", 2, counts_frames=True),
    Encoder("wmv1", "qscale", 2, counts_frames=True),
    Encoder("wmv2", "qscale", 2, counts_frames=True),
)  # fmt: skip
_HARDWARE = tuple(
    Encoder(f"{codec}_nvenc", "cq", 20, "preset", "p4", {"rc": "vbr", "b": "0"}) for codec in ("h264", "hevc", "av1")
)

ENCODERS: Mapping[str, Encoder] = {encoder.name: encoder for encoder in (*_SOFTWARE, *_HARDWARE)}

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "h264": ("libx264", "libx264rgb"),
    "hevc": ("libx265",),
    "av1": ("libsvtav1",),
    "vp8": ("libvpx",),
    "vp9": ("libvpx-vp9",),
    "ffv1": ("ffv1",),
    "prores": ("prores_ks",),
    "dnxhd": ("dnxhd",),
    "cfhd": ("cfhd",),
    "huffyuv": ("ffvhuff",),
    "ffvhuff": ("ffvhuff",),
    "utvideo": ("utvideo",),
    "magicyuv": ("magicyuv",),
    "rawvideo": ("rawvideo", "wrapped_avframe"),
    "wrapped_avframe": ("rawvideo",),
    "v210": ("v210",),
    "mjpeg": ("mjpeg",),
    "jpeg2000": ("jpeg2000",),
    "png": ("png",),
    "apng": ("apng",),
    "gif": ("gif",),
    "qtrle": ("qtrle",),
    "mpeg1video": ("mpeg1video",),
    "mpeg2video": ("mpeg2video",),
    "mpeg4": ("mpeg4",),
    "msmpeg4v3": ("msmpeg4",),
    "flv1": ("flv",),
    "wmv1": ("wmv1",),
    "wmv2": ("wmv2",),
}
"""Encoders by FFmpeg's name of a codec: where one stays with the input's codec, one of these is taken."""

COMMON_NAMES: Mapping[str, str] = {
    "avc": "h264", "x264": "h264", "h.264": "h264", "h265": "hevc", "h.265": "hevc", "x265": "hevc", "svt-av1": "av1",
}  # fmt: skip
"""What people call a codec → FFmpeg's name of it."""

FALLBACK = (
    "libx264", "libx265", "libvpx-vp9", "libsvtav1", "ffv1", "wrapped_avframe", "gif", "apng", "mpeg2video",
    "mpeg4", "wmv2", "mjpeg", "rawvideo", "flv",
)  # fmt: skip
"""Encoders tried in this order when the input's codec has none, or the container does not take it."""

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
MOV_FAMILY = frozenset({"mov", "mp4", "ipod", "3gp", "3g2", "psp", "f4v"})
DROPS_METADATA = frozenset({"mpegts", "mpeg", "vob", "dvd", "yuv4mpegpipe", "gif", "apng"})
HOLDS_CHAPTERS = MOV_FAMILY | {"matroska", "webm", "nut", "ogg", "asf"}
HOLDS_ROTATION = MOV_FAMILY | {"matroska", "webm"}
HOLDS_ASPECT = MOV_FAMILY | {"mxf", "yuv4mpegpipe"}
"""Containers in which PyAV gets a sample aspect ratio written (Matroska and AVI take it from a field it hides)."""
TAKES_NEGATIVE_TIMES = frozenset({"matroska", "webm", "avi"})
NO_PRESENTATION_TIMES = frozenset({"avi"})
WITHOUT_B_FRAMES = frozenset({"avi", "mxf", "asf"})
"""Containers that store frames in decoding order at a constant rate: no B-frames, no variable rate."""
ONE_ENCODER_RUN = frozenset({"gif", "apng", "yuv4mpegpipe"})
"""Containers whose packets count on, refer to those before, or are none at all: they cannot be joined."""

PRORES_PROFILES: Mapping[str, str] = {
    "Proxy": "proxy", "LT": "lt", "Standard": "standard", "HQ": "hq", "4444": "4444", "4444 XQ": "4444xq",
}  # fmt: skip
"""FFmpeg's name of an input's ProRes profile → what its encoder calls it."""
DNXHR_PROFILES: Mapping[str, str] = {
    "yuv422p": "dnxhr_hq", "yuv422p10le": "dnxhr_hqx", "yuv444p10le": "dnxhr_444", "gbrp10le": "dnxhr_444",
}  # fmt: skip
"""DNxHR profile by pixel format: unlike DNxHD's, these take every size and rate."""
