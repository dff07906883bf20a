"""How well the haze meter measures, and whether `--mode auto` does no harm.

    python benchmarks/haze_meter.py [--checkpoint NAME] [--scenes 8] [--traffic FOLDER] [--clear FOLDER ...]
        [--held-out FOLDER ...] [--pairs FOLDER]

- Drawn: streets and rooms of `--scenes` seeds each (from 100; fit_meter.py fits on others), behind haze of 11
  thicknesses, the exposure, gamma, sensor noise and black bars of each drawn at random. Rank correlation (Spearman) of
  density with the true mean optical thickness, the sky left out; over each kind, and over both at once.
- `--traffic`: a folder of pictures of one fixed camera with a `visibility.csv` (frame, metres): rank correlation of
  density with minus the logarithm of the visibility, over all frames.
- `--clear`, `--held-out`: folders of clear pictures; how many `auto` leaves unchanged to the bit, each as a photo, and
  every sixth as the first of 8 frames of a clip with sensor noise. Of the held-out ones only every second counts: those
  that train_meter.py does not train on. Drawn clear streets are always among the clips.
- `--pairs`: hazy pictures with a truth, such as SOTS-indoor: PSNR given away by `auto` against `on`; drawn foggy
  streets always.
- Half an hour of haze that drifts around the threshold: how often `auto` switches.
- The time of one measurement, and of the second opinion that `auto` asks for once a second.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze import Dehazer
from streamdehaze.datasets import find_layout
from streamdehaze.datasets.layouts import find_pictures
from streamdehaze.datasets.pairs import read_pair
from streamdehaze.datasets.picture import read_picture
from streamdehaze.datasets.rendered.scenes import render_room
from streamdehaze.fidelity import psnr
from streamdehaze.frame import Frame
from streamdehaze.meter import density
from streamdehaze.meter.auto import OFF, ON, AutoStrength
from streamdehaze.meter.measure import measure
from streamdehaze.meter.pictures import read_meter
from streamdehaze.meter.reading import Reading
from streamdehaze.meter.recognition import recognized_density
from streamdehaze.scene import StreetScene

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

FIRST_SEED = 100
STREET_METRES = (0, 6000, 3000, 1500, 800, 500, 300, 200, 120, 70, 40)
"""Distance at which contrast falls to 5 %; 0 for no fog."""
ROOM_THICKNESS = (0, 0.1, 0.2, 0.35, 0.5, 0.8, 1.1, 1.5, 2.0, 2.6, 3.2)
"""At the far end of the room."""
MOST = 5.0
"""Optical thickness from which on nothing is seen, and more of it is not counted."""


def read(dehazer: Dehazer, picture: Bytes) -> Reading:
    """The haze of one picture that stands for itself."""
    (measured,) = measure([Frame.from_array(np.ascontiguousarray(picture))], dehazer)
    return measured.reading


def photograph(clear: Floats, thickness: Floats, rng: np.random.Generator) -> Bytes:
    """A clear picture behind haze of this thickness, as some camera or other shows it."""
    t = np.exp(-thickness)[..., None]
    airlight = np.full(3, rng.uniform(0.65, 0.95)) * (1 + rng.uniform(-0.05, 0.05, 3) * (rng.random() < 0.3))
    hazy = (clear * t + np.clip(airlight, 0, 1) * (1 - t)) ** rng.uniform(0.8, 1.3) * rng.choice((0.5, 0.7, 0.85, 1.0))
    hazy = hazy + rng.choice((0.002, 0.005, 0.01, 0.02)) * rng.standard_normal(hazy.shape)
    rows = int(rng.choice((0, 0, 0.03, 0.12)) * len(hazy))
    if rows:
        hazy[:rows] = hazy[-rows:] = 0
    return (np.clip(hazy, 0, 1) * 255 + 0.5).astype(np.uint8)


def streets(scenes: int, first: int = FIRST_SEED) -> Iterator[tuple[Floats, Floats, int]]:
    """Clear pictures with their depth in metres."""
    for seed in range(first, first + scenes):
        frame = StreetScene(384, 216, frames=40, seed=seed).render(seed * 7 % 40)
        yield frame.clear, frame.depth_metres, seed


def rooms(scenes: int, first: int = FIRST_SEED) -> Iterator[tuple[Floats, Floats, int]]:
    """Clear pictures with their depth, 1 at the far end."""
    rng = np.random.default_rng(0)
    noise = rng.random((24, 128, 128, 3)).astype(np.float32)
    textures = np.stack(
        [cv2.normalize(cv2.GaussianBlur(x, (0, 0), rng.uniform(0.5, 6)), None, 0, 255, 32) for x in noise]
    )  # type: ignore[call-overload]
    for seed in range(first, first + scenes):
        picture, depth = render_room(seed, textures.astype(np.uint8))
        yield picture.astype(np.float32) / 255, depth, seed


def spearman(a: list[float], b: list[float]) -> float:
    """Correlation of the ranks; ties share their mean rank."""
    ranks = []
    for values in (np.asarray(a), np.asarray(b)):
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - (counts - 1) / 2)[inverse])
    return float(np.corrcoef(*ranks)[0, 1])


def drawn(dehazer: Dehazer, scenes: int) -> None:
    """Print how density follows drawn thickness."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for kind, views, steps in (("streets", streets, STREET_METRES), ("rooms", rooms, ROOM_THICKNESS)):
        densities, truths = found.setdefault(kind, ([], []))
        for clear, depth, seed in views(scenes):
            rng = np.random.default_rng(seed)
            for step in steps:
                beta = (3.0 / step if step else 0.0) if kind == "streets" else step
                thickness = np.minimum(beta * depth, MOST).astype(np.float32)
                truths.append(float(thickness[depth < 1999].mean()))
                densities.append(read(dehazer, photograph(clear, thickness, rng)).density)
    for kind, (densities, truths) in found.items():
        print(f"drawn {kind}: Spearman {spearman(densities, truths):.3f} ({len(densities)} pictures)")
    (street, street_truth), (room, room_truth) = found["streets"], found["rooms"]
    print(f"drawn, both at once: Spearman {spearman(street + room, street_truth + room_truth):.3f}")


def traffic(dehazer: Dehazer, folder: Path) -> None:
    """Print how density follows a visibility meter."""
    rows = list(read_meter(folder / "visibility.csv").items())
    densities = [read(dehazer, read_picture(folder / name)).density for name, _ in rows]
    fog = [-np.log(metres) for _, metres in rows]
    print(f"traffic: Spearman {spearman(densities, fog):.3f} ({len(rows)} frames)")
    bounds = (0, 500, 1000, 2000, 5000, 10000, 15000, np.inf)
    for low, high in itertools.pairwise(bounds):
        inside = [d for d, (_, metres) in zip(densities, rows, strict=True) if low <= metres < high]
        if inside:
            quartiles = np.percentile(inside, (25, 50, 75))
            print(
                f"  {low:g} to {high:g} m: {len(inside)} frames, density " + " / ".join(f"{x:.2f}" for x in quartiles)
            )


def clip(picture: Bytes, frames: int = 8) -> list[Frame]:
    """The picture held, with sensor noise."""
    rng = np.random.default_rng(0)
    return [
        Frame.from_array(
            np.clip(picture + rng.normal(0, 1.3, picture.shape), 0, 255).astype(np.uint8),
            pts=index,
            time_base=Fraction(1, 25),
        )
        for index in range(frames)
    ]


def list_photos(folder: Path) -> list[Path]:
    """The pictures of a folder, without their depth."""
    return [path for path in find_pictures(folder) if not path.stem.endswith(".depth")]


def unchanged(dehazer: Dehazer, frames: list[Frame]) -> bool:
    """Whether every frame comes out bit for bit."""
    dehazer.reset()
    found = dehazer.process(frames) + dehazer.flush()
    return all(np.array_equal(a.to_array(), b.to_array()) for a, b in zip(frames, found, strict=True))


def harm(auto: Dehazer, clear: list[Path], held_out: list[Path]) -> None:
    """Print what `auto` leaves alone."""
    left, seen = 0, 0
    street = [unchanged(auto, clip((clear * 255 + 0.5).astype(np.uint8))) for clear, _, _ in streets(12)]
    print(f"auto, drawn clear streets: {sum(street)} of {len(street)} clips unchanged")
    for folder, first, step in [(each, 0, 1) for each in clear] + [(each, 1, 2) for each in held_out]:
        pictures = [read_picture(path) for path in list_photos(folder)[first::step]]
        photos = [unchanged(auto, [Frame.from_array(np.ascontiguousarray(picture))]) for picture in pictures]
        clips = [unchanged(auto, clip(picture)) for picture in pictures[::6]]
        print(
            f"auto, {folder.name}: {sum(photos)} of {len(photos)} photos unchanged ({np.mean(photos):.1%}), "
            f"{sum(clips)} of {len(clips)} clips"
        )
        left, seen = left + sum(photos) + sum(clips), seen + len(photos) + len(clips)
    print(f"auto, all of these: {left} of {seen} unchanged ({left / max(seen, 1):.1%})")


def given_away(on: Dehazer, auto: Dehazer, folder: Path | None) -> None:
    """Print the PSNR that `auto` loses in fog."""

    def loss(hazy: Bytes, clear: Bytes) -> float:
        return psnr(on(hazy), clear) - psnr(auto(hazy), clear)

    losses = []
    for clear, depth, _ in streets(6):
        for metres in (40, 80, 150, 300):
            t = np.exp(-3.0 / metres * depth)[..., None]
            hazy = ((clear * t + 0.85 * (1 - t)) * 255 + 0.5).astype(np.uint8)
            losses.append(loss(hazy, (clear * 255 + 0.5).astype(np.uint8)))
    print(f"auto, drawn fog: gives away {np.mean(losses):.2f} dB in the mean, {max(losses):.2f} at most")
    if folder is not None:
        losses = [loss(*read_pair(pair)) for pair in find_layout(folder).pairs]
        print(f"auto, {folder.name}: gives away {np.mean(losses):.2f} dB in the mean, {max(losses):.2f} at most")


def drift() -> None:
    """Print how often half an hour of haze around the threshold switches."""
    seconds = np.arange(0, 1800, 0.2)
    for period in (20, 60, 180, 300, 600):
        auto, rng = AutoStrength(), np.random.default_rng(0)
        haze = (ON + OFF) / 2 + 0.04 * np.sin(2 * np.pi * seconds / period) + rng.normal(0, 0.01, len(seconds))
        for moment, value in zip(seconds, haze, strict=True):
            auto.follow(float(value), float(moment), starts=False)
        print(f"auto, haze drifting by ±0.04 with a period of {period} s: {auto.changes} changes in 30 minutes")


def cost(dehazer: Dehazer) -> None:
    """Print the time of one measurement, and of the second opinion that `auto` asks for once a second."""
    picture = next(streets(1))[0]
    (measured,) = measure([Frame.from_array((picture * 255).astype(np.uint8))], dehazer)

    def milliseconds(work: Callable[[], object]) -> float:
        times = []
        for _ in range(300):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        return 1000 * float(np.median(times))

    reading = milliseconds(lambda: density.read(measured.balanced, measured.answer))
    opinion = milliseconds(lambda: recognized_density(measured.balanced.hazy))
    print(f"cost: {reading:.2f} ms for {measured.answer.shape[1:]}, second opinion {opinion:.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="aecrnet-s")
    parser.add_argument("--scenes", type=int, default=8)
    parser.add_argument("--traffic", type=Path)
    parser.add_argument("--clear", type=Path, nargs="*", default=[])
    parser.add_argument("--held-out", type=Path, nargs="*", default=[])
    parser.add_argument("--pairs", type=Path)
    asked = parser.parse_args()
    with Dehazer(asked.checkpoint, engine_wait=True, brightness="natural") as on:
        auto = Dehazer(asked.checkpoint, engine=on.engine, brightness="natural", mode="auto")
        steady = Dehazer(asked.checkpoint, engine=on.engine, mode="auto", steady="low", look_ahead=True)
        cost(on)
        drift()
        drawn(on, asked.scenes)
        if asked.traffic:
            traffic(on, asked.traffic)
        harm(steady, asked.clear, asked.held_out)
        given_away(on, auto, asked.pairs)


if __name__ == "__main__":
    main()
