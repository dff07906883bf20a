"""What the dehazer promises: every format, every size, the affine maps' ceiling, strength, exact mode."""

from __future__ import annotations

import numpy as np
import pytest

from doubles import EngineDouble, plain_dehazer
from streamdehaze.errors import ConfigError
from streamdehaze.frame import ColorSpec, FloatArray, Frame, PixelFormat

PLANAR = [
    f"yuv{sampling}p{depth}"
    for sampling in ("420", "422", "444", "440", "411", "410")
    for depth in ("", "9le", "10le", "12le", "14le", "16le")
]
FORMATS = [
    *PLANAR, "yuvj420p", "yuva420p", "yuva444p10le", "yuv420p10be", "nv12", "nv21", "nv16", "nv24", "p010le", "p012le",
    "p016le", "p210le", "p416le", "nv20le", "gray", "gray10le", "gray12be", "gray16le", "ya8", "ya16le", "rgb24",
    "bgr24", "bgr0", "0rgb", "rgba", "argb", "rgb48le", "bgra64le", "gbrp", "gbrp10le", "gbrp16be", "gbrap",
    "gbrap12le",
]  # fmt: skip


def noise_frame(name: str, width: int, height: int, *, padding: int = 5) -> Frame:
    """A frame of smooth noise with padded rows."""
    rng = np.random.default_rng(7)
    layout = PixelFormat.parse(name)
    planes = []
    for index in range(layout.plane_count):
        row, rows = layout.plane_size(index, width, height)
        samples = rng.integers(0, layout.max_value + 1, (rows, row + padding), dtype=np.uint16)
        planes.append((samples << layout.shift).astype(layout.dtype))
    return Frame(tuple(planes), width, height, layout)


def component(frame: Frame, index: int) -> FloatArray:
    layout = frame.pixel_format
    place = layout.components[index]
    width, height = layout.component_size(index, frame.width, frame.height)
    samples = frame.planes[place.plane][:height, place.offset :: place.step][:, :width]
    return (samples >> layout.shift).astype(np.float32)


@pytest.mark.parametrize("name", FORMATS)
def test_strength_zero_returns_every_format_bit_for_bit(name: str) -> None:
    frame = noise_frame(name, 37, 21)
    clear = plain_dehazer(engine=EngineDouble(), strength=0).process([frame])[0]
    for before, after in zip(frame.planes, clear.planes, strict=True):
        assert np.array_equal(before, after)


@pytest.mark.usefixtures("engine_alone")
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_halved_in_its_own_planes(name: str, exact: bool) -> None:
    """A network that halves RGB halves luma's distance from black and chroma's from grey, in any layout."""
    layout = PixelFormat.parse(name)
    width, height = 52, 36
    color = ColorSpec(matrix=1, full_range=False)
    planes = []
    for index in range(layout.plane_count):
        row, rows = layout.plane_size(index, width, height)
        planes.append(np.zeros((rows, row + 3), layout.dtype))
    for index, place in enumerate(layout.components):
        # Inside the legal range of every matrix, so that RGB is not clipped; brightest at the bottom, unlike a sky.
        w, h = layout.component_size(index, width, height)
        ramp = np.linspace(0.46, 0.54, h)[:, None] * np.ones((1, w)) * layout.max_value
        view = planes[place.plane][:h, place.offset :: place.step]
        view[:, :w] = ramp.astype(layout.dtype) << layout.shift
    frame = Frame(tuple(planes), width, height, layout, color)
    clear = plain_dehazer(engine=EngineDouble(), exact=exact).process([frame])[0]
    scale = layout.max_value / 255 if layout.family != "yuv" else 2 ** (layout.depth - 8)
    for index in range(len(layout.components)):
        narrow = layout.family == "yuv" and not name.startswith("yuvj")
        zero = 0.0
        if layout.family == "yuv":
            zero = (16.0 * narrow if index == 0 else 128.0) * scale
        expected = zero + (component(frame, index) - zero) / 2
        error = np.abs(component(clear, index) - expected)
        # 1 code of rounding, and what the maps' bilinear enlargement leaves at the borders of a ramp.
        assert error.max() <= 1 + 0.004 * layout.max_value


def test_alpha_is_untouched() -> None:
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (40, 60, 4), dtype=np.uint8)
    clear = plain_dehazer(engine=EngineDouble())(image)
    assert np.array_equal(clear[..., 3], image[..., 3])
    assert not np.array_equal(clear[..., :3], image[..., :3])
    for name in ("yuva420p", "gbrap12le"):
        frame = noise_frame(name, 40, 30)
        assert np.array_equal(plain_dehazer(engine=EngineDouble()).process([frame])[0].planes[3], frame.planes[3])


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 5), (2, 300), (300, 2), (257, 143), (1919, 1079)])
@pytest.mark.parametrize("name", ["yuv420p", "rgb24", "p010le"])
def test_odd_sizes(name: str, width: int, height: int, exact: bool) -> None:
    if exact and width > 1000:
        width, height = 191, 107
    clear = plain_dehazer(engine=EngineDouble(), exact=exact).process([noise_frame(name, width, height)])[0]
    assert (clear.width, clear.height) == (width, height)


@pytest.mark.usefixtures("engine_alone")
def test_strength_blends_linearly() -> None:
    image = np.full((64, 64, 3), 200, np.uint8)
    dehazer = plain_dehazer(engine=EngineDouble(), strength=0.5)
    assert np.array_equal(dehazer(image), np.full_like(image, 150))
    dehazer.strength = 1
    assert np.array_equal(dehazer(image), np.full_like(image, 100))


def test_a_batch_equals_one_by_one_and_keeps_order_when_sizes_change() -> None:
    frames = [noise_frame("yuv420p", w, h) for w, h in [(64, 48), (64, 48), (48, 64), (64, 48)]]
    dehazer = plain_dehazer("aecrnet-s")
    together = dehazer.process(frames)
    for frame, clear in zip(frames, together, strict=True):
        alone = dehazer.process([frame])[0]
        for a, b in zip(alone.planes, clear.planes, strict=True):
            # The engine may sum in another order for another batch size, which changes a value by one code at most.
            w, h = min(a.shape[1], 24), min(a.shape[0], 24)
            assert np.abs(a[:h, :w].astype(int) - b[:h, :w].astype(int)).max() <= 1


def test_arrays_keep_shape_and_depth() -> None:
    dehazer = plain_dehazer("aecrnet-s")
    rng = np.random.default_rng(0)
    for shape in [(48, 64), (48, 64, 3), (48, 64, 4)]:
        for dtype in (np.uint8, np.uint16):
            image = rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype)
            clear = dehazer(image)
            assert clear.shape == shape
            assert clear.dtype == dtype


def test_wrong_options_are_named() -> None:
    with pytest.raises(ConfigError, match=r"strength must lie between 0 and 1\.5, not 1\.6"):
        plain_dehazer(engine=EngineDouble(), strength=1.6)
    with pytest.raises(ConfigError, match="network size must be a multiple of 4"):
        plain_dehazer(engine=EngineDouble(), network_size=250)
    for wrong, words in (
        (np.zeros((8, 8, 3)), "uint8 or uint16, not float64; turn 0…1 into 0…65535 for uint16"),
        (np.zeros((8, 8, 3), np.int32), "uint8 or uint16, not int32$"),
        (np.zeros((0, 8, 3), np.uint8), r"shape \(0, 8, 3\) has no pixels"),
        ([[[0, 0, 0]]], "not list; for tensors there is from_tensor"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            plain_dehazer(engine=EngineDouble())(wrong)  # type: ignore[arg-type]


def redder(hazy: FloatArray) -> FloatArray:
    return hazy * np.array([0.9, 0.6, 0.5], np.float32)[:, None, None]


@pytest.mark.parametrize("exact", [False, True])
def test_a_black_and_white_film_stays_black_and_white(exact: bool) -> None:
    y = np.random.default_rng(1).integers(40, 220, (96, 128), dtype=np.uint8)
    neutral = np.full((48, 64), 128, np.uint8)
    grey = Frame((y, neutral, neutral), 128, 96, PixelFormat.parse("yuv420p"))
    pink = Frame((y, neutral, np.full_like(neutral, 150)), 128, 96, PixelFormat.parse("yuv420p"))
    clear, tinted = plain_dehazer(engine=EngineDouble(redder), exact=exact).process([grey, pink])
    assert float(np.abs(clear.planes[0].astype(float) - y).mean()) > 10
    assert all(np.abs(plane.astype(int) - 128).max() <= 1 for plane in clear.planes[1:])
    assert np.abs(tinted.planes[2].astype(int) - 128).mean() > 5, "others keep their colour"


@pytest.mark.parametrize(("spread", "stays_grey"), [(1, True), (4, False)])
def test_only_what_rounding_leaves_counts_as_colourless(spread: int, stays_grey: bool) -> None:
    image = np.repeat(np.random.default_rng(2).integers(40, 200, (64, 64, 1), dtype=np.uint8), 3, axis=2)
    image[..., 2] += spread
    clear = plain_dehazer(engine=EngineDouble(redder))(image).astype(int)
    assert (np.ptp(clear, axis=2).mean() < 4) == stays_grey
