"""Measures for real haze, where there is no ground truth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torchmetrics")

from clips import Clip
from doubles import EngineDouble
from streamdehaze.dehaze import Dehazer
from streamdehaze.evaluation import appearance, evaluate, halo, map_haze, visibility
from training_data import depth, make_pairs, picture, write_picture

AIRLIGHT = 190


def road(seed: int = 0) -> np.ndarray:
    """A hazy picture, 240×320: sky above, then far and hazy, then near and clear texture."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.uniform(5, 170, (60, 80, 1)) * (rng.random((60, 80, 1)) < 0.6), np.ones((4, 4, 3)))
    t = np.linspace(-0.2, 1, 240)[:, None, None].clip(0, 1)
    t[:80] = 0
    t[80:160] = 0.25
    return (blocks * t + AIRLIGHT * (1 - t) + rng.normal(0, 0.6, (240, 320, 1))).clip(0, 255).astype(np.uint8)


def stretched(hazy: np.ndarray, rows: slice, gain: float) -> np.ndarray:
    """Some rows with more contrast, around the airlight."""
    result = hazy.astype(float)
    result[rows] = (result[rows] - AIRLIGHT) * gain + AIRLIGHT
    return np.clip(result, 0, 255).astype(np.uint8)


def test_the_map_distinguishes_sky_far_and_near() -> None:
    haze = map_haze(road())
    assert haze.sky[10:60].mean() > 0.95
    assert haze.far[95:150].mean() > 0.9
    assert not haze.far[:60].any()
    assert not haze.far[200:].any()
    assert not haze.sky[90:].any()
    assert haze.haziest.mean() == pytest.approx(0.1, abs=0.03)
    assert not haze.haziest[90:].any()


def test_far_gradients_count_the_far_band_alone() -> None:
    hazy = road()
    far = map_haze(hazy).far
    in_the_far = visibility(hazy, stretched(hazy, slice(90, 155), 2), far)
    in_the_near = visibility(hazy, stretched(hazy, slice(170, 240), 0.7), far)
    assert in_the_far.far_gradients == pytest.approx(2, abs=0.15)
    assert in_the_near.far_gradients == pytest.approx(1, abs=0.02)
    assert in_the_near.gradients < 0.9


def test_without_anything_far_there_are_no_far_gradients() -> None:
    near = stretched(road(), slice(None), 3)[180:]
    assert visibility(near, near, map_haze(near).far).far_gradients is None


def test_an_unchanged_picture_has_the_neutral_values() -> None:
    hazy = road()
    found = appearance(hazy, hazy, map_haze(hazy))
    assert (found.brightness, found.near_black, found.clipped, found.sky, found.halo) == (1, 0, 0, 1, 0)
    coloured = np.clip(hazy * (1.0, 0.9, 0.7), 0, 255).astype(np.uint8)
    assert appearance(coloured, coloured, map_haze(coloured)).chroma == 1


def test_darkness_and_what_turned_black_or_white_are_counted() -> None:
    hazy = road()
    result = (hazy * 0.5).astype(np.uint8)
    result[:24] = 3
    result[-12:] = 255
    found = appearance(hazy, result, map_haze(hazy))
    assert found.brightness == pytest.approx(result.mean() / hazy.mean(), rel=0.01)
    black = (result.max(axis=2) < 16).mean() - (hazy.max(axis=2) < 16).mean()
    assert found.near_black == pytest.approx(black)
    assert found.near_black > 0.1
    assert found.clipped == pytest.approx(12 / 240)


def test_colour_is_measured_where_the_haze_is() -> None:
    hazy = np.clip(road() * (1, 0.97, 0.9), 0, 255).astype(np.uint8)
    haze = map_haze(hazy)
    pumped, elsewhere = (hazy.astype(float) for _ in range(2))
    pumped[:80, :, 2] *= 0.7
    elsewhere[200:, :, 2] *= 0.3
    assert appearance(hazy, pumped.astype(np.uint8), haze).chroma > 2
    assert appearance(hazy, elsewhere.astype(np.uint8), haze).chroma == 1
    grey = np.repeat(cv2.cvtColor(hazy, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    assert appearance(hazy, grey, haze).chroma < 0.1


def test_a_blotchy_sky_is_not_flat_and_without_a_sky_there_is_no_value() -> None:
    hazy = road()
    blotches = cv2.resize(np.random.default_rng(3).uniform(-12, 12, (6, 8)), (320, 240), interpolation=cv2.INTER_CUBIC)
    blotchy = np.clip(hazy - 20 + blotches[..., None], 0, 255).astype(np.uint8)
    haze = map_haze(hazy)
    spread = appearance(hazy, blotchy, haze).sky
    assert spread is not None
    assert spread > 4
    near = hazy[180:]
    assert appearance(near, near, map_haze(near)).sky is None


def poles(ring: float = 0.0, seam: float = 0.0) -> np.ndarray:
    """Dark poles in front of fog, with a ring of denser fog around them and a darker seam inside, each of 8 pixels."""
    luma = np.full((240, 320), 150.0)
    for left in (60, 150, 240):
        luma[30:, left - 8 : left + 48] += ring
        luma[30:, left : left + 40] = 50 - seam
        luma[30:, left + 8 : left + 32] = 50
    luma = cv2.GaussianBlur(luma, (0, 0), 0.8)
    return np.repeat(np.clip(luma, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_a_ring_around_dark_things_is_a_halo_of_that_height() -> None:
    assert halo(poles(), poles(ring=30)) == pytest.approx(30 / 100, abs=0.06)
    assert halo(poles(), poles(seam=20)) == pytest.approx(20 / 100, abs=0.06)


def test_a_halo_that_was_there_before_is_not_dehazings() -> None:
    assert halo(poles(ring=10), poles(ring=10)) == 0


def test_more_contrast_and_less_light_are_not_a_halo() -> None:
    hazy = poles()
    steeper = np.clip((hazy.astype(float) - 40) * 1.8 + 5, 0, 255).astype(np.uint8)
    assert halo(hazy, steeper) == pytest.approx(0, abs=0.01)


def test_softer_edges_are_below_zero() -> None:
    softer = halo(poles(), cv2.GaussianBlur(poles(), (0, 0), 4))
    assert softer is not None
    assert softer < -0.05


def test_without_strong_edges_there_is_no_halo() -> None:
    flat = np.full((240, 320, 3), 120, np.uint8)
    assert halo(flat, flat) is None


def test_every_kth_picture_is_what_training_leaves_out(tmp_path: Path) -> None:
    from streamdehaze.datasets.layouts import real_haze

    for i in range(11):
        write_picture(tmp_path / f"{i}.png", picture(i))
    dehazer = Dehazer(engine=EngineDouble(), brightness="natural", network_size=64)
    rows = evaluate(tmp_path, dehazer, take=4).rows
    assert [row["picture"] for row in rows] == ["0.png", "4.png", "8.png"]
    trained_on = {path.name for path in real_haze(tmp_path, 4).real}
    assert trained_on.isdisjoint(str(row["picture"]) for row in rows)
    assert len(trained_on) == 8
    assert [row["picture"] for row in evaluate(tmp_path, dehazer, take=4, limit=2).rows] == ["0.png", "4.png"]


def test_hazy_pictures_and_clear_ones_get_the_same_columns(tmp_path: Path) -> None:
    write_picture(tmp_path / "hazy" / "a.png", road())
    report = evaluate(tmp_path / "hazy", Dehazer(engine=EngineDouble(), brightness="natural", network_size=64))
    measures = {"far_gradients", "brightness", "near_black", "clipped", "chroma", "sky", "halo"}
    assert measures <= set(report.rows[0])
    assert report.summary["brightness"]["median"] == pytest.approx(0.5, abs=0.02)
    unharmed = evaluate(
        tmp_path / "hazy", Dehazer(engine=EngineDouble(), network_size=64, strength=0), clear=tmp_path / "hazy"
    )
    assert measures <= set(unharmed.rows[0])
    assert unharmed.rows[0]["psnr"] == 100
    assert unharmed.rows[0]["brightness"] == 1


def test_the_benchmark_prints_every_row_it_has_pictures_for(tmp_path: Path) -> None:
    from streamdehaze.network import write_checkpoint
    from streamdehaze.network.aecrnet import AECRNet

    write_checkpoint(tmp_path / "mine.safetensors", AECRNet(4, deconv=False), {})
    for i in range(4):
        write_picture(tmp_path / "smog" / f"{i}.png", road(i))
        write_picture(tmp_path / "traffic" / f"{i}.png", road(i))
        write_picture(tmp_path / "depth" / f"{i}.png", picture(i, 240, 320))
        write_picture(tmp_path / "depth" / f"{i}.depth.png", depth(i, 240, 320))
    (tmp_path / "traffic" / "visibility.csv").write_text(
        "frame,metres\n0.png,300\n1.png,900\n2.png,20000\n3.png,15000\n"
    )
    make_pairs(tmp_path / "pairs")
    Clip(size=(160, 120), pts=tuple(range(0, 60 * 512, 512))).write(tmp_path / "video.mp4")
    folders = [f"--{name}={tmp_path / name}" for name in ("smog", "traffic", "depth", "pairs")]
    script = Path(__file__).parents[1] / "benchmarks" / "real_haze.py"
    command = [
        sys.executable,
        script,
        tmp_path / "mine.safetensors",
        *folders,
        f"--video={tmp_path / 'video.mp4'}",
        "--set",
        "strength=0",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=script.parents[1])
    rows = dict(line.strip("| ").split(" | ") for line in done.stdout.splitlines()[2:])
    assert rows["traffic, 2 frames under 1.5 km: brightness after/before"] == "1"
    assert rows["smog: far-band r̄"] == "1"
    assert rows["smog: samples of covers that changed"] == "0"
    assert rows["video, letterboxed: samples of bars that changed"] == "0"
    assert rows["drawn sand: gain, dB"] == "0"
    assert rows["clear photos against themselves, dB"] == "100"
