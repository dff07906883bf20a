"""The choice of an encoder: the input's codec family and bit depth where one exists that the container takes."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import av.error
from av.codec.codec import Codec, UnknownCodecError, find_best_pix_fmt_of_list

from streamdehaze.errors import SinkError
from streamdehaze.video.writing.containers import home_of, trial_container
from streamdehaze.video.writing.encoding.codecs import (
    COMMON_NAMES,
    CONTAINER_CODECS,
    EDITED_RGB,
    ENCODERS,
    FALLBACK,
    FAMILIES,
    MPEG_RATES,
    WITHOUT_TIMES,
    Encoder,
)
from streamdehaze.video.writing.encoding.encoding import EncodeOptions, Encoding, Pictures
from streamdehaze.video.writing.encoding.loss import Loss, conversion_loss
from streamdehaze.video.writing.encoding.opening import opening_encoder
from streamdehaze.video.writing.encoding.options import nearest_names, options_for, refuse_values
from streamdehaze.video.writing.encoding.parameters import refusing_parameters

log = logging.getLogger("streamdehaze")

_TRUE_LOSS = Loss.RESOLUTION | Loss.DEPTH | Loss.CHROMA | Loss.COLORQUANT | Loss.COLORSPACE
_PIXEL_FORMATS: frozenset[str] = frozenset(av.video.format.names)  # type: ignore[attr-defined]
_PROBE_SIZE = (1920, 1080)
"""Encoders are tried with at most this many pixels: larger pictures would only cost memory."""
_SMALL_SIZE = (16, 16)
_TINY_PIXELS = 4
"""For fewer than these SVT-AV1 4.2 opens, and then never finishes."""
_RAW = "rawvideo"
_ARRANGEMENTS = (
    "gray16be", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le", "yuv420p16le",
    "uyvy422", "rgb24", "bgr24", "rgba", "bgra", "argb", "rgb48be", "rgba64be",
)  # fmt: skip
"""What raw pictures are rearranged to where a container cannot say how they are arranged."""
_RATE_SLACK = Fraction(1, 100)
"""Share by which a film may become slower or faster where a bitstream knows few rates; the comparison names it."""


def choose_encoding(pictures: Pictures, container: str, wanted: EncodeOptions) -> Encoding:
    """The encoder for `pictures` in FFmpeg's container format `container`.

    Raises:
        SinkError: if there is none, it lacks an option or pixel format, or only 8 of more bits would be left.
    """
    if wanted.pixel_format is not None and wanted.pixel_format not in _PIXEL_FORMATS:
        near = nearest_names(wanted.pixel_format, _PIXEL_FORMATS)
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
                f"no encoder keeps {pictures.width}x{pictures.height} {pictures.pixel_format} pictures in "
                f"{container} files; write to .mkv, or choose --codec and --pixel-format"
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
        raise SinkError(f"there is no encoder '{wanted.codec}' here{nearest_names(wanted.codec, known)}")
    if not any(_container_takes(container, name) for name in names):
        raise SinkError(f"{container} files cannot hold {wanted.codec}; choose another --codec or file extension")
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
                options = options_for(pictures, encoder, pixel_format, wanted)
                encoding = Encoding(encoder, pixel_format, options)
                with refusing_parameters(name, wanted.options):
                    fits = try_out(encoding, pictures, container)
                if fits:
                    yield encoding
                    break
            else:
                refuse_values(encoder, wanted)
                raise SinkError(
                    f"the encoder {name} does not take {pictures.width}x{pictures.height} pictures in "
                    f"{wanted.pixel_format or pictures.pixel_format}{wanted.in_words()} in {container} files; "
                    "choose another --codec, --pixel-format or file extension"
                )
        except SinkError as error:
            if failures is None and (wanted.options or wanted.preset or wanted.crf is not None):
                raise  # the options are the user's and meant for this, the encoder that would be taken
            if failures is not None:
                failures.append(error)


def _pixel_formats(pictures: Pictures, encoder: Encoder, codec: Codec, wanted: EncodeOptions) -> Iterator[str]:
    """Formats to try, the nearest first, then one without subsampling for odd sizes H.264 and HEVC refuse.

    Raw pictures may be rearranged, as long as nothing is lost.
    """
    takes = [*encoder.formats] or [format.name for format in codec.video_formats or ()]
    if wanted.pixel_format is not None:
        if takes and wanted.pixel_format not in takes:
            near = nearest_names(wanted.pixel_format, takes)
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
    if encoder.name == _RAW:
        lost = _TRUE_LOSS | Loss.ALPHA
        yield from (name for name in _ARRANGEMENTS if name != given and not conversion_loss(given, name) & lost)
    whole = [name for name in takes if "444" in name and _depth(name) >= min(_depth(given), 10)]
    if (pictures.width | pictures.height) & 1 and whole:
        yield min(whole, key=_depth)


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
                raise SinkError(
                    f"the encoder {encoding.encoder.name} has no option '{name}'{nearest_names(name, known)}"
                )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        log.debug("%s in %s: %s", encoding.encoder.name, container, error)
        return False
    return encoding.encoder.name != _RAW or _reads_back(encoding, container)


def _reads_back(encoding: Encoding, container: str) -> bool:
    """Whether raw pictures are read as they were written: AVI and MOV take all formats, but can name only some.

    See findings/ffmpeg-raw-arrangement.sh.
    """
    memory = io.BytesIO()
    memory.name = "trial"
    try:
        with av.open(memory, "w", format=container) as output:
            stream: Any = output.add_stream(encoding.encoder.name, rate=25)
            encoding.apply(stream.codec_context, *_SMALL_SIZE)
            picture = av.VideoFrame(*_SMALL_SIZE, encoding.pixel_format)
            picture.pts = 0
            output.mux([*stream.encode(picture), *stream.encode(None)])
        memory.seek(0)
        with av.open(memory) as written:
            found = written.streams.video[0].codec_context.format  # `pix_fmt` of none ends the process with PyAV 17
            return found is not None and found.name == encoding.pixel_format
    except av.error.FFmpegError:  # such as .yuv, which says nothing of what is in it
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
            f"{container} files are played at one of {rates} frames a second, none of which is the {float(rate):.5g} "
            f"of the input; write to .mkv or .mp4"
        )


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
