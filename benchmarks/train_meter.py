"""Train the small network that recognizes haze by the scene, and write it as the package has it.

    python benchmarks/train_meter.py -o streamdehaze/meter/recognition/haze.onnx --photos FOLDER ...
        [--clear FOLDER ...] [--hazy FOLDER ...] [--streets 260] [--rooms 260] [--minutes 60] [--state FILE]

- `--photos`: folders of clear photos with depth in the trainer's layout (docs/training.md).
- `--clear`: clear photos without depth; the haze drawn over them thickens towards the upper edge.
- `--hazy`: photos of real haze, whose density is unknown and taken for that of a thin fog.
- Streets and rooms are drawn from seed 3000 on; haze_meter.py measures others.

Of photos and hazy pictures every second one is left out, for `haze_meter.py --held-out`. `--minutes` are of one core's
processor time, whatever else runs; `--state` keeps the weights, and another call goes on from there. Needs the extra
`onnx` and PyTorch.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from fit_meter import SKY
from haze_meter import MOST, list_photos, rooms, streets
from small_networks import Course, write
from torch import nn

from streamdehaze.datasets import find_layout
from streamdehaze.datasets.pairs import read_scene
from streamdehaze.datasets.picture import read_picture

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

ROWS, COLUMNS = 64, 96
"""Of the picture that the network sees, whatever the aspect ratio of the frame."""
LONG_SIDE = 176
"""Pixels of the pictures that are kept in memory, from which crops are taken."""
FIRST_SEED = 3000
HAZY = 0.35
"""Density that photos of real haze count as."""
SHARE = {"photo": 0.62, "clear": 0.12, "hazy": 0.1, "street": 0.1, "room": 0.06}
"""Of the pictures of each kind."""
BATCH, RATE = 32, 1.5e-3


class Block(nn.Module):
    """Two convolutions that add to what passes by; they begin as nothing."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.past = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.shrink = nn.AvgPool2d(2, 2) if stride == 2 else nn.Identity()
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.past(self.shrink(x)) + self.second(torch.relu(self.first(x)))
        return torch.relu(found)


class Recognition(nn.Module):
    """RGB (n, 3, 64, 96) in [0, 1] to the logit of the density, (n, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 5, 2, 2)
        self.blocks = nn.Sequential(Block(16, 32, 2), Block(32, 64, 2), Block(64, 96, 2), Block(96, 96, 1))
        self.last = nn.Linear(96, 1)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.blocks(torch.relu(self.first(4 * x - 2)))
        return torch.as_tensor(self.last(self.dropout(found.mean((2, 3)))))


@dataclass(frozen=True)
class Scene:
    """A small picture, and how far away what it shows is."""

    kind: str
    picture: Bytes
    depth: Floats | None
    """None for real haze."""
    sky: float
    """Depth from which on it is sky."""
    thickness: tuple[float, float]
    """Least and most optical thickness for each unit of depth."""


def shrink(picture: Bytes | Floats) -> Floats:
    """With a long side of `LONG_SIDE`."""
    scale = LONG_SIDE / max(picture.shape[:2])
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.float32)


def scenes(photos: list[Path], clear: list[Path], hazy: list[Path], drawn: tuple[int, int]) -> Iterator[Scene]:
    """All there is to learn from."""
    for folder in photos:
        paths = set(list_photos(folder)[::2])
        for scene in find_layout(folder).scenes:
            if scene.clear in paths:
                photo, depth = read_scene(scene)
                yield Scene("photo", shrink(photo).astype(np.uint8), shrink(depth), SKY, (0.12, 4))
    for folder in clear:
        for path in list_photos(folder):
            photo = shrink(read_picture(path)).astype(np.uint8)
            rising = np.linspace(1, 0.15, len(photo), dtype=np.float32)
            yield Scene("clear", photo, np.repeat(rising[:, None], photo.shape[1], 1), SKY, (0.12, 4))
    for folder in hazy:
        for path in list_photos(folder)[::2]:
            yield Scene("hazy", shrink(read_picture(path)).astype(np.uint8), None, SKY, (0, 0))
    for kind, views, count, sky, thickness in (
        ("street", streets, drawn[0], 1500.0, (3 / 5000, 3 / 40)),
        ("room", rooms, drawn[1], math.inf, (0.1, 3.4)),
    ):
        for picture, depth, _ in views(count, FIRST_SEED):
            small = shrink(picture * 255).astype(np.uint8)
            yield Scene(kind, small, shrink(np.minimum(depth, 2000)), sky, thickness)


def example(scene: Scene, rng: np.random.Generator) -> tuple[Floats, float]:
    """A crop of a scene as some camera or other shows it, (3, rows, columns), with or without haze, and its density."""
    picture, depth = crop(scene, rng)
    density = HAZY
    if depth is not None:
        picture, density = (picture, 0.0) if rng.random() < 0.45 else through_haze(scene, picture, depth, rng)
    picture = picture ** rng.uniform(0.75, 1.35) * rng.choice((0.4, 0.55, 0.7, 0.85, 1, 1, 1, 1.1))
    if rng.random() < 0.3:
        picture = picture * (1 + rng.uniform(-0.1, 0.1, 3))
    picture = np.clip(picture + rng.choice((0, 0.002, 0.005, 0.01)) * rng.standard_normal(picture.shape), 0, 1)
    if rng.random() < 0.1:
        picture = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)
    return np.asarray(picture.transpose(2, 0, 1), np.float32), density


def crop(scene: Scene, rng: np.random.Generator) -> tuple[Floats, Floats | None]:
    """A part of a scene in the network's size: half of the frame or more, and all of it at times."""
    height, width = scene.picture.shape[:2]
    rows, columns, top, left = height, width, 0, 0
    if rng.random() < 0.7:
        scale, aspect = rng.uniform(0.55, 1) ** 0.5, math.exp(rng.uniform(-0.15, 0.15))
        rows, columns = round(height * min(1, scale * aspect)), round(width * min(1, scale / aspect))
        top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    step = 1 if rng.random() < 0.5 else -1

    def part(x: Bytes | Floats) -> Floats:
        inside = np.ascontiguousarray(x[top : top + rows, left : left + columns][:, ::step], np.float32)
        return np.asarray(cv2.resize(inside, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA))

    return part(scene.picture) / np.float32(255), None if scene.depth is None else part(scene.depth)


def through_haze(scene: Scene, clear: Floats, depth: Floats, rng: np.random.Generator) -> tuple[Floats, float]:
    """The picture through haze drawn at random, and the density."""
    sky = depth >= scene.sky
    if scene.kind in ("photo", "clear"):
        if rng.random() < 0.3:  # photos have a veil of their own
            black = np.percentile(clear.min(axis=2), 1)
            clear = np.clip((clear - black) / (1 - black), 0, 1)
        if rng.random() < 0.4:  # what is near is in the haze as well
            depth = depth + np.float32(rng.uniform(0, 0.7))
    if rng.random() < 0.3:
        depth = depth * np.clip(1 + 0.35 * uneven(rng), 0.2, 2)
    least, most = scene.thickness
    thickness = np.minimum(math.exp(rng.uniform(math.log(least), math.log(most))) * depth, MOST)
    airlight = np.full(3, rng.uniform(0.55, 1)) * (1 + rng.uniform(-0.12, 0.12, 3) * (rng.random() < 0.4))
    if rng.random() < 0.08:  # sand and brown smoke
        airlight = np.array((0.85, 0.68, 0.45)) * rng.uniform(0.6, 1.1) * (1 + rng.uniform(-0.15, 0.15, 3))
    light = np.clip(airlight, 0, 1) * (1 + 0.08 * uneven(rng)[..., None] * (rng.random() < 0.2))
    t = np.exp(-thickness)[..., None]
    mean = float(thickness[~sky].mean() if (~sky).any() else thickness.mean())
    return (clear * t + light * (1 - t)).astype(np.float32), 1 - math.exp(-mean)


def uneven(rng: np.random.Generator) -> Floats:
    """Smooth noise, (rows, columns)."""
    coarse = rng.standard_normal(tuple(rng.integers(2, 6, 2))).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC))


def train(found: list[Scene], minutes: float, state: Path | None) -> Recognition:
    """The network after so many minutes of processor time."""
    rng, network = np.random.default_rng(0), Recognition().to(memory_format=torch.channels_last)
    kinds = {kind: [scene for scene in found if scene.kind == kind] for kind in SHARE}
    kinds = {kind: members for kind, members in kinds.items() if members}
    shares = np.array([SHARE[kind] for kind in kinds])
    print(*(f"{kind}: {len(members)}" for kind, members in kinds.items()), flush=True)
    course = Course(network, state)
    if course.goes_on:
        rng = np.random.default_rng()
    began = time.process_time()
    for step in itertools.count():
        done = (time.process_time() - began) / (60 * minutes)
        if done >= 1:
            break
        drawn = (kinds[kind] for kind in rng.choice(list(kinds), BATCH, p=shares / shares.sum()))
        pictures, densities = zip(*(example(each[rng.integers(len(each))], rng) for each in drawn), strict=True)
        truth = torch.tensor(densities, dtype=torch.float32)
        seen = torch.from_numpy(np.stack(pictures)).to(memory_format=torch.channels_last)
        loss = nn.functional.binary_cross_entropy_with_logits(network(seen)[:, 0], truth)
        loss = loss - nn.functional.binary_cross_entropy(truth, truth)  # 0 for the truth itself
        course.step(loss, RATE * min(1, step / 200) * (0.5 + 0.5 * math.cos(math.pi * done)) + 1e-6, done)
    course.finish()
    return network.to(memory_format=torch.contiguous_format)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--clear", type=Path, nargs="*", default=[])
    parser.add_argument("--hazy", type=Path, nargs="*", default=[])
    parser.add_argument("--streets", type=int, default=260)
    parser.add_argument("--rooms", type=int, default=260)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--state", type=Path)
    asked = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    found = list(scenes(asked.photos, asked.clear, asked.hazy, (asked.streets, asked.rooms)))
    network = train(found, asked.minutes, asked.state)
    named = ", ".join(folder.name for folder in (*asked.photos, *asked.clear, *asked.hazy))
    named += f"; {asked.streets} drawn streets, {asked.rooms} drawn rooms"
    write(network, asked.output, (ROWS, COLUMNS), ["logit"], named)


if __name__ == "__main__":
    main()
