"""The choice of an encoder: the input's codec family and bit depth where one exists that the container takes."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal

import av
import av.error
import cv2
from av.codec import CodecContext
from av.codec.codec import Codec, UnknownCodecError, find_best_pix_fmt_of_list

from streamdehaze.errors import SinkError
from streamdehaze.video.planes import PictureWriter
from streamdehaze.video.writing.containers import home_of, trial_container
from streamdehaze.video.writing.encoding.codecs import (
    COMMON_NAMES,
    CONTAINER_CODECS,
    DNXHR_PROFILES,
    EDITED_RGB,
    ENCODERS,
    FALLBACK,
    FAMILIES,
    LARGE_PIXELS,
    MPEG_RATES,
    PLAIN_Y4M,
    PRORES_PROFILES,
    WITHOUT_TIMES,
    Encoder,
)
from streamdehaze.video.writing.encoding.constant import ConstantRate
from streamdehaze.video.writing.encoding.loss import Loss, conversion_loss
from streamdehaze.video.writing.encoding.opening import opening_encoder
from streamdehaze.video.writing.encoding.parameters import refusing_parameters

log = logging.getLogger("streamdehaze")

_TRUE_LOSS = Loss.RESOLUTION | Loss.DEPTH | Loss.CHROMA | Loss.COLORQUANT | Loss.COLORSPACE
_PIXEL_FORMATS: frozenset[str] = frozenset(av.video.format.names)  # type: ignore[attr-defined]
_NUMBERS = frozenset({"INT", "INT64", "UINT", "UINT64", "FLOAT", "DOUBLE"})
"""FFmpeg's types of options whose values are numbers, or names of such."""
_UNBOUNDED = 1 << 30
_PROBE_SIZE = (1920, 1080)
"""Encoders are tried with at most this many pixels: larger pictures would only cost memory."""
_TINY_PIXELS = 4
"""For fewer than these SVT-AV1 4.2 opens, and then never finishes."""
_NO_REGULAR_KEYFRAMES = 100_000
_RATE_SLACK = Fraction(1, 100)
"""Share by which a film may become slower or faster where a bitstream knows few rates; the comparison names it."""


AudioCodec = Literal["copy", "aac", "none"]


@dataclass(frozen=True)
class EncodeOptions:
    """What the user asks of the encoder; the defaults keep the input's codec, depth and looks."""

    codec: str = "auto"
    """A codec ("h264", "av1") or one of FFmpeg's encoders ("libx265"); "auto" is the input's codec."""
    crf: float | None = None
    """Constant quality on the encoder's own scale; 18 for H.264 and HEVC unless given."""
    preset: str | None = None
    """The encoder's own name of a speed."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options of the encoder, passed on as they are."""
    pixel_format: str | None = None
    """FFmpeg's name; None is the input's, or the nearest that the encoder takes."""
    audio: AudioCodec = "copy"
    """Sound as it is, converted to AAC (which needs a container that takes it), or none."""

    def in_words(self) -> str:
        """The settings an encoder may refuse, as they were typed: " with --preset fast", or "" if there are none."""
        typed = [] if self.crf is None else [f"--crf {self.crf:g}"]
        typed += [] if self.preset is None else [f"--preset {self.preset}"]
        typed += [f"--encoder-option {key}={value}" for key, value in self.options.items()]
        return f" with {' '.join(typed)}" if typed else ""


@dataclass(frozen=True)
class Encoding:
    """An encoder with all it needs."""

    encoder: Encoder
    pixel_format: str
    options: Mapping[str, str]
    bitrate: int | None = None
    """Bits a second, where they are limited instead of the quality held."""
    at_once: bool = False
    """Every picture comes out as soon as it is in; keyframes come by time and on demand."""

    @classmethod
    def for_viewers(cls, codec: str, purpose: Literal["live", "web"], bitrate: int | None = None) -> Encoding:
        """An encoding of 4:2:0 pictures for viewers who wait for them; not tried out."""
        encoder = ENCODERS.get(codec, Encoder(codec))
        tuning = encoder.web if purpose == "web" else encoder.live
        if bitrate is not None:
            tuning = replace(tuning, quality=None)
        return cls(encoder, "yuv420p", encoder.options(tuning), bitrate, at_once=True)

    def rate_for(self, rate: Fraction) -> Fraction:
        """The frame rate to write into the stream for pictures that come at `rate` on average."""
        return min(self.encoder.rates, key=lambda known: abs(known - rate)) if self.encoder.rates else rate

    def apply(self, context: Any, width: int, height: int) -> None:
        """Set up an encoder's context; the caller adds time base, colour and tags."""
        options = dict(self.options)
        context.width, context.height, context.pix_fmt = width, height, self.pixel_format
        context.thread_type = "AUTO"
        if self.at_once:
            context.thread_type = "SLICE"  # frame threads would hold back a picture each
            context.max_b_frames, context.gop_size = 0, _NO_REGULAR_KEYFRAMES
        if self.encoder.full_range:
            context.color_range = 2
        if self.bitrate is not None:
            context.bit_rate = self.bitrate
        if (qscale := options.pop("qscale", None)) is not None:
            context.qscale = True
            # FFmpeg would take it from each picture, which PyAV cannot write there (findings/pyav-qscale.sh).
            options = {"qmin": qscale, "qmax": qscale, **options}
        context.options.update(options)

    def convert(self, writer: PictureWriter, picture: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
        """A picture as the encoder takes it."""
        return writer.convert(picture, width, height, self.pixel_format, full_range=self.encoder.full_range)

    @property
    def container_options(self) -> dict[str, str]:
        """Options without which the container does not take this."""
        deep_y4m = self.encoder.name == "wrapped_avframe" and self.pixel_format not in PLAIN_Y4M
        return {"strict": "-1"} if deep_y4m else {}  # deeper Y4M is an extension


@dataclass(frozen=True)
class Pictures:
    """The facts about the pictures to encode that the choice depends on."""

    width: int
    height: int
    pixel_format: str
    codec: str
    profile: str | None = None
    rate: Fraction = Fraction(25)
    constant: ConstantRate | None = None
    """The rate of MPEG-2 that is delivered at one bit rate."""
    are_stills: bool = False
    """They come one file each, so that their codec is not a video's."""


def choose_encoding(pictures: Pictures, container: str, wanted: EncodeOptions) -> Encoding:
    """The encoder for `pictures` in FFmpeg's container format `container`.

    Raises:
        SinkError: if there is none, it lacks an option or pixel format, or only 8 of more bits would be left.
    """
    if wanted.pixel_format is not None and wanted.pixel_format not in _PIXEL_FORMATS:
        near = _nearest(wanted.pixel_format, _PIXEL_FORMATS)
        raise SinkError(f"there is no pixel format '{wanted.pixel_format}'{near}")
    if wanted.codec != "auto":
        return _explicit(pictures, container, wanted)
    for_editors = container == "mov" and av.VideoFormat(pictures.pixel_format).is_rgb
    family = () if for_editors and pictures.are_stills else FAMILIES.get(pictures.codec, ())
    found = _best(pictures, container, wanted, family, strict=True)
    if found is None:
        order = EDITED_RGB if for_editors else FALLBACK
        fallback = tuple(name for name in order if name not in family)
        found = (
            _best(pictures, container, wanted, fallback, strict=True, first=True)
            or _best(pictures, container, wanted, family, strict=False)
            or _best(pictures, container, wanted, fallback, strict=False, first=True)
        )
        if found is None:
            if container == "dv":
                raise SinkError(
                    f"DV is written for 720x576 pictures at 25 a second and 720x480 at 29.97 only, not for "
                    f"{pictures.width}x{pictures.height}; write to .mov or .mkv"
                )
            for name in family + fallback:
                _refuse_unknown_rate(name, container, pictures.rate)
            raise SinkError(
                f"no encoder keeps {pictures.width}x{pictures.height} {pictures.pixel_format} pictures in a "
                f"{container} file; write to .mkv, or choose --codec and --pixel-format"
            )
        log.warning(
            "%s video cannot be kept in a file of the format %s; encoding with %s (%s) instead",
            pictures.codec, container, found.encoder.name, found.pixel_format,
        )  # fmt: skip
    _warn_of_losses(pictures, found)
    return found


def _explicit(pictures: Pictures, container: str, wanted: EncodeOptions) -> Encoding:
    codec = COMMON_NAMES.get(wanted.codec.lower(), wanted.codec)
    names = FAMILIES.get(codec, (codec,))
    names = tuple(name for name in names if _codec(name) is not None)
    if not names:
        known = [name for name in (*FAMILIES, *av.codecs_available) if _is_video_encoder(name)]
        raise SinkError(f"there is no encoder '{wanted.codec}' here{_nearest(wanted.codec, known)}")
    if not any(_container_takes(container, name) for name in names):
        raise SinkError(f"a {container} file cannot hold {wanted.codec}; choose another --codec or file extension")
    failures: list[SinkError] = []
    found = _best(pictures, container, wanted, names, strict=False, failures=failures)
    if found is None:
        if failures:
            raise failures[0]
        raise SinkError(
            f"{wanted.codec} cannot keep the {_depth(pictures.pixel_format)} bits of the input; "
            f"choose another --codec, or accept the loss with --pixel-format yuv420p"
        )
    _warn_of_losses(pictures, found)
    return found


def _best(
    pictures: Pictures,
    container: str,
    wanted: EncodeOptions,
    names: tuple[str, ...],
    *,
    strict: bool,
    first: bool = False,
    failures: list[SinkError] | None = None,
) -> Encoding | None:
    """The encoder of `names` that loses least (or the `first` that is acceptable); None if none is."""
    ranked: list[tuple[int, Encoding]] = []
    for encoding in _openable(pictures, container, wanted, names, failures):
        loss = conversion_loss(pictures.pixel_format, encoding.pixel_format)
        if wanted.pixel_format is None:
            deep = _depth(pictures.pixel_format) > 8
            shallow = deep and loss & Loss.DEPTH and _depth(encoding.pixel_format) < 10
            tolerated = Loss.COLORSPACE if first else Loss.NONE
            if shallow or (strict and loss & _TRUE_LOSS & ~Loss.DEPTH & ~tolerated):
                continue
        if first or not loss & _TRUE_LOSS:
            return encoding
        ranked.append((int(loss & _TRUE_LOSS).bit_count(), encoding))
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _openable(
    pictures: Pictures,
    container: str,
    wanted: EncodeOptions,
    names: tuple[str, ...],
    failures: list[SinkError] | None,
) -> Iterator[Encoding]:
    for name in names:
        codec = _codec(name)
        if codec is None or not _container_takes(container, name):
            continue
        encoder = ENCODERS.get(name, Encoder(name))
        try:
            _refuse_unknown_rate(name, container, pictures.rate)
            for pixel_format in _pixel_formats(pictures, encoder, codec, wanted):
                options = _options(pictures, encoder, pixel_format, wanted)
                encoding = Encoding(encoder, pixel_format, options)
                with refusing_parameters(name, wanted.options):
                    fits = try_out(encoding, pictures, container)
                if fits:
                    yield encoding
                    break
            else:
                _refuse_values(encoder, wanted)
                raise SinkError(
                    f"the encoder {name} does not take {pictures.width}x{pictures.height} pictures in "
                    f"{wanted.pixel_format or pictures.pixel_format}{wanted.in_words()} in a {container} file"
                )
        except SinkError as error:
            if failures is None and (wanted.options or wanted.preset or wanted.crf is not None):
                raise  # the options are the user's and meant for this, the encoder that would be taken
            if failures is not None:
                failures.append(error)


def _pixel_formats(pictures: Pictures, encoder: Encoder, codec: Codec, wanted: EncodeOptions) -> Iterator[str]:
    """Formats to try, the nearest first, then one without subsampling for odd sizes H.264 and HEVC refuse."""
    takes = [*encoder.formats] or [format.name for format in codec.video_formats or ()]
    if wanted.pixel_format is not None:
        if takes and wanted.pixel_format not in takes:
            near = _nearest(wanted.pixel_format, takes)
            raise SinkError(f"the encoder {encoder.name} does not take pixel format '{wanted.pixel_format}'{near}")
        yield wanted.pixel_format
        return
    given = pictures.pixel_format.replace("yuvj", "yuv")
    takes = [name for name in takes if not name.startswith("yuvj")]
    if not takes or given in takes:
        yield given
    else:
        nearest, _ = find_best_pix_fmt_of_list(takes, given, has_alpha=True)
        if nearest is not None:
            yield nearest.name
    whole = [name for name in takes if "444" in name and _depth(name) >= min(_depth(given), 10)]
    if (pictures.width | pictures.height) & 1 and whole:
        yield min(whole, key=_depth)


def _options(pictures: Pictures, encoder: Encoder, pixel_format: str, wanted: EncodeOptions) -> dict[str, str]:
    tuning = encoder.file
    if wanted.crf is not None:
        if encoder.scale is None:
            raise SinkError(f"the encoder {encoder.name} has no constant quality; leave --crf out")
        encoder.scale.check(encoder.name, wanted.crf)
        tuning = replace(tuning, quality=wanted.crf)
    if wanted.preset is not None and encoder.preset_option is None:
        raise SinkError(f"the encoder {encoder.name} has no presets; leave --preset out")
    if preset := wanted.preset or wanted.options.get(encoder.preset_option or ""):
        if encoder.presets and preset not in encoder.presets and not preset.isdecimal():
            raise SinkError(f"the encoder {encoder.name} has no preset '{preset}'; it has {', '.join(encoder.presets)}")
        tuning = tuning.with_preset(preset)
    options = encoder.options(tuning)
    if encoder.name == "mpeg2video" and pictures.constant is not None and wanted.crf is None:
        options.pop("qscale", None)
        options |= pictures.constant.options
    if pictures.width * pictures.height >= LARGE_PIXELS:
        _add(options, encoder.large_options)
    if encoder.name == "prores_ks" and pictures.profile is not None and pictures.profile in PRORES_PROFILES:
        options["profile"] = PRORES_PROFILES[pictures.profile]
    if encoder.name == "dnxhd":
        options["profile"] = DNXHR_PROFILES.get(pixel_format, "dnxhr_hq")
    _add(options, wanted.options)
    return _repeatable(encoder, options, pictures.width)


def _add(options: dict[str, str], more: Mapping[str, str]) -> None:
    """Put options in the place of earlier ones; those of x264, x265 and SVT-AV1 in one text follow the earlier ones."""
    for name, value in more.items():
        before = options.get(name) if name.endswith("-params") else None
        options[name] = f"{before}:{value}" if before else value


def _refuse_values(encoder: Encoder, wanted: EncodeOptions) -> None:
    """Check the values of options by what FFmpeg says they may be, as far as PyAV shows it (from release 18 on).

    Raises:
        SinkError: for the first that cannot be.
    """
    given = [(f"--encoder-option {name}", name, value) for name, value in wanted.options.items()]
    if wanted.preset is not None and encoder.preset_option is not None:
        given.append(("--preset", encoder.preset_option, wanted.preset))
    supported = getattr(CodecContext.create(encoder.name, "w"), "supported_options", None)
    known = {option.name: option for kind in ("generic", "private") for option in getattr(supported, kind, ())}
    for typed, name, value in given:
        option = known.get(name)
        if option is None or option.type.name not in _NUMBERS:
            continue
        names = [choice.name for choice in option.choices or ()]
        try:
            fits = option.min <= float(value) <= option.max
        except ValueError:
            fits = value in names or value[:1] in "+-.0123456789"  # "20M" is a number, too
        if not fits:
            bounds = f"numbers from {option.min:g} to {option.max:g}" if option.max < _UNBOUNDED else "numbers"
            takes = " or ".join([bounds, *([", ".join(names)] if names else [])])
            raise SinkError(f"the encoder {encoder.name} takes {takes} as {typed}, not '{value}'")


_AVX_512F = 13
"""OpenCV's number for it."""
_MACROBLOCK, _TOGETHER = 16, 8
"""Side of a macroblock in pixels, and how many of a row x264's AVX-512 code for the macroblock tree takes at once."""


def _repeatable(encoder: Encoder, options: dict[str, str], width: int) -> dict[str, str]:
    """Options with which the same pictures always give the same film: resumed work must equal uninterrupted work.

    With the AVX-512 code of x264 (core 165), the macroblock tree depends on what was left in memory, unless a row has a
    multiple of 8 macroblocks: 223 encodings of a small clip were 162 different ones. Its AVX2 code is a tenth slower.
    """
    whole = -(-width // _MACROBLOCK) % _TOGETHER == 0
    if encoder.name.startswith("libx264") and not whole and cv2.checkHardwareSupport(_AVX_512F):
        given = options.get("x264-params")
        options["x264-params"] = f"asm=avx2:{given}" if given else "asm=avx2"
    return options


def try_out(encoding: Encoding, pictures: Pictures, container: str) -> bool:
    """Whether the encoder opens and the container takes what it makes.

    Raises:
        SinkError: if the encoder has no such option.
    """
    width, height = (
        size if size <= limit else limit - (limit - size) % 2
        for size, limit in zip((pictures.width, pictures.height), _PROBE_SIZE, strict=True)
    )
    rate = encoding.rate_for(pictures.rate)
    try:
        with trial_container(home_of(container, encoding.encoder.name), encoding.container_options) as output:
            stream: Any = output.add_stream(encoding.encoder.name, rate=rate)
            encoding.apply(stream.codec_context, width, height)
            stream.time_base = stream.codec_context.time_base = 1 / rate
            with opening_encoder():
                output.start_encoding()
                if width * height < _TINY_PIXELS:
                    for picture in (av.VideoFrame(width, height, encoding.pixel_format), None):
                        stream.encode(picture)
            left = set(stream.codec_context.options) & set(encoding.options)
            if left:
                supported = getattr(stream.codec_context, "supported_options", None)  # not before PyAV 18
                known = [option.name for kind in ("private", "generic") for option in getattr(supported, kind, ())]
                name = min(left)
                raise SinkError(f"the encoder {encoding.encoder.name} has no option '{name}'{_nearest(name, known)}")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        log.debug("%s in %s: %s", encoding.encoder.name, container, error)
        return False
    return True


def _refuse_unknown_rate(name: str, container: str, rate: Fraction) -> None:
    """Check that the film is played at its own speed where only the header says at which.

    Raises:
        SinkError: if the encoder, or MXF, knows no such rate.
    """
    known = ENCODERS[name].rates if name in ENCODERS else ()
    if container.startswith("mxf"):
        known = known or MPEG_RATES
    if container not in WITHOUT_TIMES or not known or not _container_takes(container, name):
        return
    if min(abs(each - rate) for each in known) > _RATE_SLACK * rate:
        rates = ", ".join(f"{float(each):.5g}" for each in known)
        raise SinkError(
            f"a {container} file is played at one of {rates} frames a second, none of which is the {float(rate):.5g} "
            f"of the input; write to .mkv or .mp4"
        )


def grid_rate(rate: Fraction | None) -> Fraction:
    """A frame rate every encoder can write down: at most 16 bits above and below the line."""
    near = Fraction(rate or 25).limit_denominator(1001)
    return min(max(near, Fraction(1, 1001)), Fraction(0xFFFF))


def _codec(name: str) -> Codec | None:
    try:
        codec = Codec(name, "w")
    except UnknownCodecError:
        return None
    return codec if codec.type == "video" and codec.name == name else None


def _is_video_encoder(name: str) -> bool:
    return name in FAMILIES or _codec(name) is not None


def _container_takes(container: str, encoder: str) -> bool:
    codec = Codec(encoder, "w").canonical_name
    if container in CONTAINER_CODECS:
        return codec in CONTAINER_CODECS[container]
    try:
        home_of(container, encoder)
    except ValueError:
        return False
    return True


def _depth(pixel_format: str) -> int:
    return max(component.bits for component in av.VideoFormat(pixel_format).components)


_LOSS_NAMES = {
    Loss.DEPTH: "some bits of each sample",
    Loss.RESOLUTION: "the full chroma resolution",
    Loss.CHROMA: "colour",
    Loss.COLORSPACE: "the RGB model",
    Loss.COLORQUANT: "most colours",
    Loss.ALPHA: "transparency",
}


def _warn_of_losses(pictures: Pictures, encoding: Encoding) -> None:
    loss = conversion_loss(pictures.pixel_format, encoding.pixel_format)
    names = [name for flag, name in _LOSS_NAMES.items() if loss & flag]
    if names:
        log.warning(
            "the encoder %s takes %s instead of %s, without %s",
            encoding.encoder.name, encoding.pixel_format, pictures.pixel_format, " and ".join(names),
        )  # fmt: skip


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(set(known)), n=3, cutoff=0.5)
    return f"; near it: {', '.join(near)}" if near else ""
