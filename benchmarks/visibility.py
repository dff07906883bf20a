"""How well visibility in metres holds.

    python benchmarks/visibility.py [--traffic FOLDER] [--days 3] [--plot FILE] [--day 2020-02-09]

- Drawn even fog of 50 m to 1.6 km (5 %) on three streets, learned from four clear pictures, with the renderer's
  distances.
- `--traffic`: a folder of pictures of one fixed camera with a `visibility.csv` (frame, metres), learned from its first
  `--days` days and the meter's values on them: the factor between estimate and meter below 3 km, each of these days
  read from what the others teach; how many others are given as "at least". `--plot` draws estimate, meter and the
  density of the haze over one day.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from haze_meter import read

from streamdehaze import Dehazer
from streamdehaze.datasets.picture import read_picture
from streamdehaze.frame import Frame
from streamdehaze.meter.distances import learn_from_meter
from streamdehaze.meter.pictures import read_meter, taken_at
from streamdehaze.meter.visibility import ClearView, Contrast, Reference, Visibility
from streamdehaze.scene import StreetScene

DRAWN = (50, 100, 200, 400, 800, 1600)
NEAR = 3000.0
"""Metres below which estimates are compared."""


def drawn() -> None:
    """Print the errors in drawn fog."""
    worst = 0.0
    for seed in (5, 11, 3):
        scene = StreetScene(640, 360, frames=2, seed=seed).render(0)
        clear, depth = scene.clear, scene.depth_metres

        def photo(metres: float, number: int, clear=clear, depth=depth) -> Frame:  # type: ignore[no-untyped-def]
            t = np.exp(-3.0 / metres * depth)[..., None]
            noise = 0.005 * np.random.default_rng(number).standard_normal(clear.shape)
            hazy = clear * t + np.array((0.82, 0.83, 0.85)) * (1 - t) + noise
            return Frame.from_array((np.clip(hazy, 0, 1) * 255 + 0.5).astype(np.uint8))

        view = ClearView.of([Contrast.of(photo(1e7, number)) for number in range(4)])
        size = view.contrast.shape[1], view.contrast.shape[0]
        mean, square = (np.asarray(cv2.resize(x, size, interpolation=cv2.INTER_AREA)) for x in (depth, depth**2))
        even = (np.sqrt(np.maximum(square - mean * mean, 0)) < 0.05 * mean) & (mean < 600)
        reference = Reference((view,), np.where(even, mean, np.nan).astype(np.float32))
        for metres in DRAWN:
            found = reference.read(photo(metres, 99))
            worst = max(worst, np.inf if found.metres is None else abs(found.metres / metres - 1))
            print(f"street {seed}, {metres} m: {found}")
    print(f"worst error {worst:.0%}")


def traffic(folder: Path, days: int, plot: Path | None, day: str) -> None:
    """Print the errors against a visibility meter."""
    rows = sorted(read_meter(folder / "visibility.csv").items())
    metres = np.array([value for _, value in rows])
    times = [taken_at(name) for name, _ in rows]
    dates = np.array([name[:10] for name, _ in rows])
    first = sorted(set(dates))[:days]
    pictures = [Contrast.of(Frame.from_array(np.ascontiguousarray(read_picture(folder / name)))) for name, _ in rows]

    def learn_from(chosen: list[str]) -> Reference:
        mine = np.flatnonzero(np.isin(dates, chosen))
        return learn_from_meter([pictures[i] for i in mine], [times[i] for i in mine], [metres[i] for i in mine])

    reference = learn_from(first)
    found = [reference.judge(*each) for each in zip(pictures, times, strict=True)]
    others = list(found)
    for left_out in first:
        without = learn_from([each for each in first if each != left_out])
        for i in np.flatnonzero(dates == left_out):
            others[i] = without.judge(pictures[i], times[i])
    learned, near = np.isin(dates, first), metres < NEAR
    print(f"{reference.blocks} blocks follow the meter; range {reference.shown_range}; calibration", end=" ")
    print("none" if reference.calibration is None else f"with a factor of {np.exp(reference.calibration.error):.2f}")
    for name, results, chosen in (
        ("none read from its own day", others, near),
        ("those of the days learned from", others, near & learned),
        ("those of other days", others, near & ~learned),
        ("all, the days learned from included", found, near),
    ):
        estimate = np.array([np.nan if each.metres is None else each.metres for each in results])
        inside = np.abs(np.log(estimate / metres))[chosen & np.isfinite(estimate)]
        factors = np.exp((np.median(inside), np.sqrt(np.mean(inside**2))))
        shown = f"median factor {factors[0]:.2f}, root mean square {factors[1]:.2f}"
        print(f"below 3 km, {name}: {shown} ({len(inside)} of {chosen.sum()} frames)")
    beyond = sum(each.least is not None and each.metres is None for each, far in zip(found, ~near, strict=True) if far)
    print(f"above 3 km: {beyond} of {(~near).sum()} given as 'at least'")
    covered = [
        each.least is not None and each.least <= value and (each.most is None or value <= each.most)
        for each, value in zip(others, metres, strict=True)
    ]
    print(f"the meter lies in the interval: {np.mean(covered):.0%}, below 3 km {np.mean(np.array(covered)[near]):.0%}")
    if plot is not None:
        draw(plot, folder, day, rows, found)


def draw(path: Path, folder: Path, day: str, rows: list[tuple[str, float]], found: list[Visibility]) -> None:
    """Meter and estimate of one day, picture by picture, and the density of the haze below."""
    from streamdehaze.plotting import new_figure, save_figure

    mine = [number for number, (name, _) in enumerate(rows) if name.startswith(day)]
    hours = [int(rows[number][0][11:13]) + int(rows[number][0][14:16]) / 60 for number in mine]
    figure = new_figure("--plot", 8, 5)
    above, below = figure.subplots(2, 1, sharex=True)
    above.semilogy(hours, [rows[number][1] for number in mine], color="black", label="visibility meter")
    for hour, visibility in zip(hours, (found[number] for number in mine), strict=True):
        if visibility.metres is not None:
            most = min(visibility.most or np.inf, 30_000)
            above.plot([hour, hour], [visibility.least, most], color="C0", alpha=0.4, lw=4, solid_capstyle="butt")
            above.plot(hour, visibility.metres, "o", color="C0")
        elif visibility.least is not None:
            above.plot(hour, visibility.least, "^", color="C0")
    above.plot([], [], "o-", color="C0", label="from the picture, with its interval (▲ at least)")
    above.set_ylabel("metres at 5 % contrast")
    above.legend(fontsize=8)
    with Dehazer(engine_wait=True) as dehazer:
        below.plot(hours, [read(dehazer, read_picture(folder / rows[number][0])).density for number in mine], "o-")
    below.set_ylim(0, 1)
    below.set_ylabel("haze density")
    below.set_xlabel(f"hour of {day}")
    save_figure(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traffic", type=Path)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--day", default="2020-02-09")
    asked = parser.parse_args()
    drawn()
    if asked.traffic:
        traffic(asked.traffic, asked.days, asked.plot, asked.day)


if __name__ == "__main__":
    main()
