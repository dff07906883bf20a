"""What is encoded, what is asked of the encoder, and the encoder with all it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal

import av

from streamdehaze.video.planes import PictureWriter
from streamdehaze.video.writing.encoding.codecs import ENCODERS, PLAIN_Y4M, DnxhdKind, Encoder
from streamdehaze.video.writing.encoding.constant import ConstantRate

_NO_REGULAR_KEYFRAMES = 100_000

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
    dnxhd: DnxhdKind | None = None
    """That of the input, which holds fields only where its pictures have some."""
    is_intra: bool = False
    """None of them refers to another one."""
    are_stills: bool = False
    """They come one file each, so that their codec is not a video's."""


def grid_rate(rate: Fraction | None) -> Fraction:
    """A frame rate every encoder can write down: at most 16 bits above and below the line."""
    near = Fraction(rate or 25).limit_denominator(1001)
    return min(max(near, Fraction(1, 1001)), Fraction(0xFFFF))
