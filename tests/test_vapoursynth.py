"""The VapourSynth filter, in real VapourSynth, whose wheel needs Python 3.12 or newer."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from streamdehaze import ColorSpec, Dehazer, Frame, PixelFormat
from streamdehaze.errors import UnsupportedFormatError

vs = pytest.importorskip("vapoursynth", reason="VapourSynth is not installed; its wheel needs Python 3.12")

from doubles import EngineDouble  # noqa: E402
from streamdehaze.integrations.vapoursynth import REACH, dehaze  # noqa: E402


def gradient(name: str, frames: int = 3) -> vs.VideoNode:
    """A clip that differs from frame to frame."""
    core = vs.core
    flat = core.std.BlankClip(format=vs.RGB48, width=96, height=64, length=frames, fpsnum=25, fpsden=1, keep=False)

    def paint(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        rows, columns = np.mgrid[:64, :96]
        for plane in range(3):
            np.asarray(out[plane])[:] = 20000 + 300 * rows + 100 * columns + 900 * ((columns // 8 + n + plane) % 3)
        return out

    painted = core.std.ModifyFrame(flat, flat, paint)
    matrix = {} if name.startswith("RGB") else {"matrix": 1}
    return core.resize.Bilinear(painted, format=getattr(vs, name), **matrix)


def planes(picture: vs.VideoFrame) -> list[np.ndarray]:
    return [np.array(picture[plane]) for plane in range(picture.format.num_planes)]


@pytest.mark.parametrize(
    ("name", "ours"),
    [("YUV420P8", "yuv420p"), ("YUV422P10", "yuv422p10le"), ("YUV444P16", "yuv444p16le"), ("GRAY16", "gray16le")],
)
def test_every_frame_has_the_bits_that_the_library_gives(name: str, ours: str) -> None:
    clip, engine = gradient(name), EngineDouble()
    expected = Dehazer(engine=engine)
    for number, (hazy, clear) in enumerate(zip(clip.frames(), dehaze(clip, engine=engine).frames(), strict=True)):
        frame = Frame(
            tuple(planes(hazy)), 96, 64, PixelFormat.parse(ours), ColorSpec(matrix=1, full_range=name == "GRAY16"),
            pts=number, time_base=Fraction(1, 25),
        )  # fmt: skip
        (wanted,) = expected.process([frame])
        for found, plane in zip(planes(clear), wanted.planes, strict=True):
            assert np.array_equal(found, plane)
        assert not np.array_equal(planes(clear)[0], planes(hazy)[0])
        assert 0 <= clear.props["HazeDensity"] <= 1


def test_red_green_and_blue_keep_their_places() -> None:
    clip = gradient("RGB24", frames=1)
    clear = planes(dehaze(clip, engine=EngineDouble(), brightness="natural").get_frame(0))
    frame = Frame.from_array(np.stack(planes(clip.get_frame(0)), axis=2))
    wanted = Dehazer(engine=EngineDouble(), brightness="natural").process([frame])[0].to_array()
    assert np.array_equal(np.stack(clear, axis=2), wanted)


@pytest.mark.parametrize(
    "order", [range, lambda n: [2, 1, 0, *range(n - 1, 2, -1)][:n]], ids=["in order", "out of order"]
)
def test_smoothing_over_time_does_not_depend_on_the_order_in_which_frames_are_requested(
    order: Callable[[int], list[int]],
) -> None:
    count = REACH
    clip = gradient("YUV420P8", frames=count)
    with Dehazer(engine=EngineDouble(), steady="low") as dehazer:
        color = ColorSpec(matrix=1, full_range=False, primaries=2, transfer=2)
        wanted = [
            dehazer.process([Frame(tuple(planes(f)), 96, 64, PixelFormat.parse("yuv420p"), color, n, Fraction(1, 25))])[
                0
            ]
            for n, f in enumerate(clip.frames())
        ]
    clear = dehaze(clip, engine=EngineDouble(), steady="low")
    for number in order(count):
        for found, plane in zip(planes(clear.get_frame(number)), wanted[number].planes, strict=True):
            assert np.array_equal(found, plane), number


def test_after_a_jump_smoothing_starts_with_the_frames_before() -> None:
    clip = gradient("YUV420P8", frames=3 * REACH)
    clear = dehaze(clip, engine=EngineDouble(), steady="low")
    late = planes(clear.get_frame(3 * REACH - 1))
    clear.clear_cache()
    clear.get_frame(0)
    again = planes(clear.get_frame(3 * REACH - 1))
    assert all(np.array_equal(a, b) for a, b in zip(late, again, strict=True))


@pytest.mark.parametrize("name", ["YUV444PS", "RGBS", "GRAYH"])
def test_floating_point_is_refused_with_a_message(name: str) -> None:
    with pytest.raises(UnsupportedFormatError, match="floating point"):
        dehaze(vs.core.std.BlankClip(format=getattr(vs, name)), engine=EngineDouble())
