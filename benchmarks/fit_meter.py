"""Fit the weights of the haze meter's density, and print them as `streamdehaze/meter/density.py` has them.

    python benchmarks/fit_meter.py --photos FOLDER ... [--take 6] [--first 1] [--streets 70] [--rooms 100]

Haze of random thickness is drawn over photos with depth (the folders; every `--take`-th photo of each from `--first`
on; once clear and twice hazy) and over drawn streets and rooms (from seed 300; haze_meter.py measures from seed 100),
with exposure, gamma, sensor noise, black bars and, in half of them, JPEG drawn at random. Ridge regression of
ln(τ + 0.1) on the terms, drawn scenes with twice the weight of photos, because their depth is known; cross validation
leaves whole scenes out. No network takes part, so a new checkpoint needs no new weights: only `_TRUST` and `_SCALE` in
density.py concern its answers.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from haze_meter import MOST, photograph, rooms, spearman, streets

from streamdehaze import Frame
from streamdehaze.datasets import find_layout
from streamdehaze.datasets.pairs import read_scene
from streamdehaze.dehaze.stream import Stream
from streamdehaze.meter.density import LEAST_THICKNESS, terms

FIRST_SEED = 300
LONG_SIDE = 400
"""Pixels, of photos."""
SKY = 1.19
"""Relative depth from which on a photo's pixel is sky."""
RIDGE = 3.0
DRAWN_WEIGHT = 2.0
FOLDS = 4

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Drawn = tuple[str, str, Picture, float]
"""Kind, scene, hazy picture and its mean optical thickness."""


def through_haze(
    kind: str, scene: str, clear: npt.NDArray[np.float32], depth: npt.NDArray[np.float32], sky: npt.NDArray[np.bool_],
    thicknesses: Floats, rng: np.random.Generator,
) -> Iterator[Drawn]:  # fmt: skip
    """A clear picture, and the same behind haze of these thicknesses per unit of depth."""
    for each in (0.0, *thicknesses):
        thickness = np.minimum(each * depth, MOST).astype(np.float32)
        hazy = photograph(clear, thickness, rng)
        if rng.random() < 0.5:
            _, packed = cv2.imencode(".jpg", hazy, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 96))])
            hazy = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
        yield kind, scene, hazy, float(thickness[~sky].mean())


def draw(folders: list[Path], first: int, take: int, street_count: int, room_count: int) -> Iterator[Drawn]:
    """All pictures to fit to."""
    rng = np.random.default_rng(77)

    def random(low: float, high: float, count: int) -> Floats:
        return np.exp(rng.uniform(np.log(low), np.log(high), count))

    for folder in folders:
        for scene in find_layout(folder).scenes[first::take]:
            photo, depth = read_scene(scene)
            scale = min(1.0, LONG_SIDE / max(depth.shape))
            clear, relative = (
                np.asarray(cv2.resize(x, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.float32)
                for x in (photo.astype(np.float32) / 255, depth.astype(np.float32))
            )
            sky = relative >= SKY
            if sky.mean() < 0.9:
                yield from through_haze("photos", str(scene.clear), clear, relative, sky, random(0.08, 6, 2), rng)
    for clear, depth, seed in streets(street_count, FIRST_SEED):
        sky = depth >= 1999
        yield from through_haze("streets", f"street {seed}", clear, depth, sky, random(3 / 8000, 3 / 40, 4), rng)
    for clear, depth, seed in rooms(room_count, FIRST_SEED):
        yield from through_haze("rooms", f"room {seed}", clear, depth, depth < 0, random(0.06, 3.4, 4), rng)


def fit(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Ridge regression; the last column of x is the constant, which is not penalized."""
    mean, spread = x[:, :-1].mean(axis=0), x[:, :-1].std(axis=0) + 1e-9
    normal = np.column_stack([(x[:, :-1] - mean) / spread, x[:, -1]]) * weight[:, None]
    penalty = np.diag([RIDGE] * len(mean) + [0.0])
    found = np.linalg.solve(normal.T @ normal + penalty, normal.T @ (y * weight))
    return np.append(found[:-1] / spread, found[-1] - (found[:-1] * mean / spread).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, nargs="*", default=[])
    parser.add_argument("--take", type=int, default=6)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--streets", type=int, default=70)
    parser.add_argument("--rooms", type=int, default=100)
    asked = parser.parse_args()
    rows, kinds, scenes, truths = [], [], [], []
    names: list[str] = []
    for kind, scene, hazy, truth in draw(asked.photos, asked.first, asked.take, asked.streets, asked.rooms):
        balanced = Stream().look(Frame.from_array(np.ascontiguousarray(hazy))).balanced
        assert balanced is not None  # as on every frame that stands for itself
        found = terms(balanced)
        names = list(found)
        rows.append(list(found.values()))
        kinds.append(kind)
        scenes.append(scene)
        truths.append(truth)
    x, truth, kind = np.array(rows), np.array(truths), np.array(kinds)
    y, weight = np.log(truth + LEAST_THICKNESS), np.where(kind == "photos", 1.0, DRAWN_WEIGHT)
    _, number = np.unique(scenes, return_inverse=True)
    fold = np.random.default_rng(0).permutation(number.max() + 1)[number] % FOLDS
    predicted = np.empty(len(y))
    for each in range(FOLDS):
        others = fold != each
        predicted[~others] = x[~others] @ fit(x[others], y[others], weight[others])
    for name in dict.fromkeys(kinds):
        mine = kind == name
        ranks = spearman(list(predicted[mine]), list(truth[mine]))
        print(f"# {name}: {mine.sum()} pictures, Spearman {ranks:.3f} on scenes left out")
    print("WEIGHTS = {")
    for name, value in zip(names, fit(x, y, weight), strict=True):
        print(f'    "{name}": {value:.4f},')
    print("}")


if __name__ == "__main__":
    main()
