"""Fisheye, grey, near-infrared and thermal cameras: measured and dehazed like any other, or refused with a message.

For their visibility see test_visibility.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner, Result

from streamdehaze.cli import main
from streamdehaze.scene import StreetScene
from streamdehaze.scene.scene import SceneFrame

Floats = npt.NDArray[np.float64]
SIZE = (256, 144)


def cli(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments), "--engine", "torch"])


@functools.cache
def street() -> SceneFrame:
    return StreetScene(*SIZE, frames=2, seed=5).render(0)


def grey_street(metres: float) -> Floats:
    """The brightness of a drawn street in fog, (rows, columns) in [0, 1]."""
    t = np.exp(-3.0 / metres * street().depth_metres)
    return np.asarray(street().clear.mean(axis=2) * t + 0.83 * (1 - t))


def thermal() -> Floats:
    """White-hot, in humid air: contrast falls with distance, and the sky is colder than everything else."""
    t = np.exp(-3.0 / 300 * street().depth_metres)
    warm = 0.5 + 0.5 * (street().clear.mean(axis=2) - street().clear.mean())
    return np.asarray(np.where(street().depth_metres > 1999, 0.12, warm * t + 0.45 * (1 - t)))


def film(path: Path, pictures: Iterable[npt.NDArray[np.uint8 | np.uint16]], pixels: str, codec: str = "ffv1") -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, pixels
        for picture in pictures:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, pixels)))
        output.mux(stream.encode())
    return path


def pictures_of(path: Path, pixels: str) -> list[npt.NDArray[np.uint8]]:
    with av.open(str(path)) as source:
        return [frame.to_ndarray(format=pixels) for frame in source.decode(video=0)]


def density(path: Path) -> float:
    done = cli("meter", path)
    assert done.exit_code == 0, done.output
    return float(done.output.split("density ")[1][:4])


def test_a_fisheyes_rim_stays_and_its_circle_is_measured_and_dehazed(tmp_path: Path) -> None:
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    rim = np.hypot(y - 71.5, x - 127.5) > 70
    grey = np.round(grey_street(100) * 255).astype(np.uint8)
    round_film = film(tmp_path / "fisheye.mkv", [np.where(rim, 0, grey).astype(np.uint8)] * 4, "gray")
    whole = film(tmp_path / "whole.mkv", [grey] * 4, "gray")
    assert density(round_film) == pytest.approx(density(whole), abs=0.1)
    done = cli("run", round_film, "-o", tmp_path / "clear.mkv", "--codec", "ffv1")
    assert done.exit_code == 0, done.output
    for clear in pictures_of(tmp_path / "clear.mkv", "gray"):
        assert not clear[rim].any()
        assert clear[~rim].std() > 1.2 * grey[~rim].std()


@pytest.mark.parametrize("kind", ["near-infrared", "thermal"])
def test_grey_film_of_8_bits_stays_grey_and_gains_contrast(kind: str, tmp_path: Path) -> None:
    seen = grey_street(100) if kind == "near-infrared" else thermal()
    hazy = np.round(seen * 255).astype(np.uint8)
    source = film(tmp_path / "hazy.mkv", [hazy] * 4, "gray")
    done = cli("run", source, "-o", tmp_path / "clear.mkv", "--codec", "ffv1")
    assert done.exit_code == 0, done.output
    assert "too dark" not in done.output
    with av.open(str(tmp_path / "clear.mkv")) as found:
        assert found.streams.video[0].pix_fmt == "gray"
    ground = street().depth_metres < 1999
    for clear in pictures_of(tmp_path / "clear.mkv", "gray"):
        assert clear[ground].std() > 1.15 * hazy[ground].std()
    assert 0.2 < density(source) < 0.8


def test_a_thermal_cameras_raw_counts_are_refused_with_a_message(tmp_path: Path) -> None:
    """14 bits in the lower part of 16, as they come from the sensor."""
    counts = (8000 + 1500 * thermal()).astype(np.uint16)
    source = film(tmp_path / "raw.mkv", [counts] * 4, "gray16le")
    assert "too dark to be trusted" in cli("meter", source).output
    done = cli("run", source, "-o", tmp_path / "clear.mkv", "--codec", "ffv1")
    assert done.exit_code == 0, done.output
    assert "raw counts of a thermal camera must be scaled to the full range first" in " ".join(done.output.split())
