"""The options of an encoder: those of its tuning, those that pictures call for, and the user's, which are checked."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace

import cv2
from av.codec import CodecContext

from streamdehaze.errors import SinkError
from streamdehaze.video.writing.encoding.codecs import (
    DNXHR_PROFILES,
    FAMILIES,
    LARGE_PIXELS,
    PRORES_PROFILES,
    Encoder,
)
from streamdehaze.video.writing.encoding.encoding import EncodeOptions, Pictures
from streamdehaze.video.writing.encoding.parameters import add_parameter

_NUMBERS = frozenset({"INT", "INT64", "UINT", "UINT64", "FLOAT", "DOUBLE"})
"""FFmpeg's types of options whose values are numbers, or names of such."""
_UNBOUNDED = 1 << 30


def options_for(pictures: Pictures, encoder: Encoder, pixel_format: str, wanted: EncodeOptions) -> dict[str, str]:
    """The options with which an encoder makes these pictures as they are wanted.

    Raises:
        SinkError: if it has no constant quality, no presets, or not the one that is wanted.
    """
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
        kind = pictures.dnxhd
        if kind and (kind.size, kind.pixel_format) == ((pictures.width, pictures.height), pixel_format):
            options |= kind.options
        else:
            options["profile"] = DNXHR_PROFILES.get(pixel_format, "dnxhr_hq")
    if pictures.is_intra and encoder.name in FAMILIES.get(pictures.codec, ()):
        options["g"] = "1"
    if encoder.name.startswith("libx264") and not _is_repeatable(pictures.width):
        add_parameter(options, "x264-params", "asm=avx2")
    _add(options, wanted.options)
    return options


def _add(options: dict[str, str], more: Mapping[str, str]) -> None:
    """Put options in the place of earlier ones; those of x264, x265 and SVT-AV1 in one text follow the earlier ones."""
    for name, value in more.items():
        if name.endswith("-params"):
            add_parameter(options, name, value)
        else:
            options[name] = value


def refuse_values(encoder: Encoder, wanted: EncodeOptions) -> None:
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


def _is_repeatable(width: int) -> bool:
    """Whether the same pictures always give the same film in x264: resumed work must equal uninterrupted work.

    With its AVX-512 code (core 165), the macroblock tree depends on what was left in memory, unless a row has a
    multiple of 8 macroblocks: 223 encodings of a small clip were 162 different ones. Its AVX2 code is a tenth slower.
    """
    return -(-width // _MACROBLOCK) % _TOGETHER == 0 or not cv2.checkHardwareSupport(_AVX_512F)


def nearest_names(name: str, known: Iterable[str]) -> str:
    """Known names like a mistyped one, as the end of a sentence; "" if there are none."""
    near = difflib.get_close_matches(name, sorted(set(known)), n=3, cutoff=0.5)
    return f"; near it: {', '.join(near)}" if near else ""
