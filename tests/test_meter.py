"""The haze meter: it rises with fog and with nothing else."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from streamdehaze import Dehazer, Frame
from streamdehaze.dehaze.atmosphere import Atmosphere
from streamdehaze.meter import density
from streamdehaze.meter.reading import HazeClass, Reading
from streamdehaze.scene import Fog, StreetScene

Bytes = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@pytest.fixture(scope="module")
def dehazer() -> Iterator[Dehazer]:
    with Dehazer("aecrnet-s", engine="torch") as made:
        yield made


@functools.cache
def street(visibility_metres: float, seed: int = 0) -> Bytes:
    """A drawn street through even fog; the distance is where contrast falls to 2 %."""
    scene = StreetScene(256, 144, frames=2, seed=seed).render(0)
    fog = Fog(visibility_metres=visibility_metres, sensor_noise=0.005)
    return (fog.apply(scene.clear, scene.depth_metres) * 255 + 0.5).astype(np.uint8)


def measure(dehazer: Dehazer, picture: Samples) -> Reading:
    stream = dehazer.stream()
    look = stream.look(Frame.from_array(np.ascontiguousarray(picture)))
    (solution,) = stream.solve(look, *dehazer.infer([look]))
    assert solution.reading is not None
    return solution.reading


@pytest.mark.parametrize("seed", [0, 1])
def test_density_rises_with_the_fog(dehazer: Dehazer, seed: int) -> None:
    found = [measure(dehazer, street(metres, seed)).density for metres in (10_000, 800, 400, 200, 100, 50)]
    assert found == sorted(found)
    assert found[0] < 0.15
    assert found[-1] > 0.6


def test_exposure_does_not_change_it(dehazer: Dehazer) -> None:
    picture = street(200)
    full = measure(dehazer, picture).density
    for exposure in (0.45, 0.7):
        assert measure(dehazer, (picture * exposure).astype(np.uint8)).density == pytest.approx(full, abs=0.07)


def test_bars_and_a_clock_do_not_change_it(dehazer: Dehazer) -> None:
    picture = street(200)
    covered = picture.copy()
    covered[:16] = covered[-16:] = 0
    covered[40:52, 8:70] = 0
    assert measure(dehazer, covered).density == pytest.approx(measure(dehazer, picture).density, abs=0.05)


@pytest.mark.parametrize("metres", [10_000, 100])
def test_an_overexposed_background_does_not_change_it(dehazer: Dehazer, metres: float) -> None:
    picture = street(metres)
    studio = picture.copy()
    studio[:, :60] = studio[:, -60:] = 255
    assert measure(dehazer, studio).density == pytest.approx(measure(dehazer, picture).density, abs=0.06)


def test_a_clear_night_is_dark_rather_than_foggy(dehazer: Dehazer) -> None:
    night = (street(10_000) / 255.0) ** 1.5 * 0.12
    night[40:46, 100:104] = night[60:64, 160:166] = 0.9  # lamps
    reading = measure(dehazer, (night * 255).astype(np.uint8))
    assert reading.dark
    assert not measure(dehazer, street(200)).dark


def test_the_colour_of_the_haze_is_found(dehazer: Dehazer) -> None:
    scene = StreetScene(256, 144, frames=2).render(0)
    fog = Fog(visibility_metres=100, airlight=(0.85, 0.7, 0.5))
    reading = measure(dehazer, (fog.apply(scene.clear, scene.depth_metres) * 255).astype(np.uint8))
    assert reading.airlight == pytest.approx((0.85, 0.7, 0.5), abs=0.05)


def test_a_grey_camera_is_measured_and_dehazed_as_a_colour_one(dehazer: Dehazer) -> None:
    """Like thermal and near-infrared cameras: one plane, here of 16 bits."""
    grey = [np.round(street(metres).mean(axis=2) * 257).astype(np.uint16) for metres in (100, 1e6)]
    found = [measure(dehazer, picture).density for picture in grey]
    colour = [measure(dehazer, street(metres)).density for metres in (100, 1e6)]
    assert found == pytest.approx(colour, abs=0.08)
    stream = dehazer.stream(brightness="natural")
    ((clear,),) = dehazer.process_many([(stream, Frame.from_array(grey[0]))])
    errors = [float(np.abs(picture / 65535.0 - grey[1] / 65535.0).mean()) for picture in (grey[0], clear.to_array())]
    assert errors[1] < 0.6 * errors[0]


def test_a_thermal_picture_gains_contrast_and_its_sky_stays_cold(dehazer: Dehazer) -> None:
    """White-hot, in humid air: contrast falls with distance, and the sky is colder than everything else."""
    scene = StreetScene(256, 144, frames=2).render(0)
    sky = scene.depth_metres > 1999
    t = np.exp(-3.9 / 600 * scene.depth_metres)
    warm = 0.5 + 0.5 * (scene.clear.mean(axis=2) - scene.clear.mean())
    seen = np.where(sky, 0.12, warm * t + 0.45 * (1 - t))
    hazy = np.round(seen * 65535).astype(np.uint16)
    ((clear,),) = dehazer.process_many([(dehazer.stream(), Frame.from_array(hazy))])
    found = clear.to_array()
    assert found.dtype == np.uint16
    assert found[~sky].std() > 1.3 * hazy[~sky].std()
    assert found[sky].mean() < 1.2 * hazy[sky].mean()


def test_raw_counts_of_a_radiometric_camera_are_too_dark(dehazer: Dehazer) -> None:
    """14 bits in the lower part of 16, as they come from the sensor."""
    counts = (8000 + 1500 * street(200).mean(axis=2) / 255).astype(np.uint16)
    assert measure(dehazer, counts).dark


def test_the_larger_part_of_the_density_needs_no_network(dehazer: Dehazer) -> None:
    """Even with one that does nothing, the larger part of the density comes from the picture itself."""
    found = []
    for metres in (100, 10_000):
        look = dehazer.stream().look(Frame.from_array(street(metres)))
        assert look.balanced is not None
        (answer,) = dehazer.infer([look])
        assert answer is not None
        found.append([density.read(look.balanced, each).density for each in (answer, look.balanced.picture)])
        assert set(density.terms(look.balanced)) == set(density.WEIGHTS)
    (foggy, foggy_idle), (clear, clear_idle) = found
    assert foggy_idle > 0.55 * foggy > 2 * clear
    assert clear_idle == pytest.approx(clear, abs=0.02)


def test_what_the_network_leaves_alone_does_not_count_as_haze(dehazer: Dehazer) -> None:
    """`--mode auto` relies on that: where the answer is the picture itself, there is nothing to remove."""
    look = dehazer.stream().look(Frame.from_array(street(100)))
    assert look.balanced is not None
    (answer,) = dehazer.infer([look])
    assert answer is not None
    found, idle = (density.read(look.balanced, each) for each in (answer, look.balanced.picture))
    assert found.agreed == found.density > 0.3
    assert idle.agreed < 0.01


def test_a_frame_that_shows_nothing_but_fog_is_dense_fog(dehazer: Dehazer) -> None:
    reading = measure(dehazer, np.full((144, 256, 3), 200, np.uint8))
    assert reading.haze_class is HazeClass.DENSE_FOG


@pytest.mark.parametrize("shape", [(460, 620), (37, 256)], ids=["SOTS, whole", "a strip"])
def test_pictures_of_any_shape_are_measured(shape: tuple[int, int]) -> None:
    hazy = np.random.default_rng(0).uniform(0.3, 0.9, (3, *shape)).astype(np.float32)
    balanced = Atmosphere().balance(hazy)
    assert 0 <= density.read(balanced, balanced.picture).density <= 1


def test_classes_are_ranges_of_one_scale() -> None:
    words = [HazeClass.of_density(density) for density in (0.0, 0.2, 0.3, 0.5, 0.9, 1.0)]
    assert words[:5] == list(HazeClass)
    assert words[5] is HazeClass.DENSE_FOG
    assert [HazeClass.of_metres(metres) for metres in (20_000, 7_000, 2_000, 500, 50)] == list(HazeClass)
    assert HazeClass.of_metres(999) is HazeClass.FOG
    assert HazeClass.of_metres(1000) is HazeClass.MIST
