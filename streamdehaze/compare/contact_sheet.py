"""A few moments of a video, hazy and clear, on one picture: to look at settings before a long run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from streamdehaze.compare.montage import side_by_side
from streamdehaze.compare.upright import upright
from streamdehaze.dehaze import Dehazer
from streamdehaze.durable import write_output
from streamdehaze.errors import ConfigError
from streamdehaze.frame import Frame
from streamdehaze.pipeline.ends import open_source
from streamdehaze.video import ReadOptions
from streamdehaze.video.protocols import Source
from streamdehaze.video.rgb import RgbArray, RgbConverter

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_WIDTH = 960
"""Pixels of each picture, at most."""


def contact_sheet(
    path: str, times: Sequence[float], dehazer: Dehazer, output: Path, *, read: ReadOptions | None = None
) -> None:
    """Write a picture with a row for each moment: hazy, clear.

    Moments are independent: nothing is smoothed over time. Strength that changes over time has the value it has
    then.

    Args:
        path: of a video.
        times: seconds from the beginning; the first frame from there on is taken.
        dehazer: with the settings to look at.
        output: .png, .jpg or .webp.
        read: how the video is read; its `start` and `end` do not matter.

    Raises:
        ConfigError: if no time is given, one lies after the end, or `output` is not a picture.
        SourceError: if the video cannot be read.
        SinkError: if the picture cannot be written.
    """
    if not times:
        raise ConfigError("--preview needs a time or more, as in 3,40,90")
    if output.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"'{output}' is not a name for a picture; end it in one of {', '.join(SUFFIXES)}")
    rows = [_row(path, moment, dehazer, read or ReadOptions()) for moment in times]
    width = max(row.shape[1] for row in rows)
    sheet = np.concatenate([cv2.copyMakeBorder(r, 0, 0, 0, width - r.shape[1], cv2.BORDER_CONSTANT) for r in rows])
    _, encoded = cv2.imencode(output.suffix, np.ascontiguousarray(sheet[..., ::-1]))
    write_output(output, encoded.tobytes())


def _row(path: str, moment: float, dehazer: Dehazer, read: ReadOptions) -> RgbArray:
    with open_source(path, replace(read, start=moment, end=None)) as source:
        frame = None if source.info.duration_seconds == 0 else next(iter(source), None)
        if frame is None:
            raise ConfigError(f"'{path}' has no frame at {moment:g} seconds or later")
        # The source counts from the cut; strength over time counts from the beginning.
        at = frame.seconds or 0.0
        timed = replace(frame, pts=round(Fraction(moment + at) / frame.time_base))
        stream = dehazer.stream(steady="off", every=1, look_ahead=False)
        ((clear,),) = dehazer.process_many([(stream, timed)])
        shown = [_shown(each, frame, source) for each in (frame, clear)]
        strength = f"clear, strength {stream.applied_strength:g}"
        return side_by_side(shown, [f"hazy, {moment:g} s", strength])


def _shown(pixels: Frame, frame: Frame, source: Source) -> RgbArray:
    rgb = upright(RgbConverter(frame.width, frame.height)(pixels), frame, source)
    scale = min(1.0, _WIDTH / rgb.shape[1])
    size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
