"""Train the small network that clears smoke and sand, and write it as the package has it.

    python benchmarks/train_smoke.py -o streamdehaze/dehaze/atmosphere/smoke/smoke.onnx --photos FOLDER ...
        [--weights W ...] [--left-out FOLDER] [--clear FOLDER ...] [--hazy FOLDER ...]
        [--minutes 60] [--state FILE] [--mean STATE ...]

- `--photos`: folders of clear photos with depth in the trainer's layout (docs/training.md); `--weights`: how often a
  photo of each is drawn, relative to the others; `--left-out`: the folder that `real_haze.py --depth` measures on: the
  photos it takes are not learned from.
- `--clear`: clear photos without depth; what is drawn over them thickens towards the upper edge. Each is drawn half as
  often as a photo of the first folder with depth.
- `--hazy`: photos of real haze, in which there is no smoke; what `real_haze.py --smog` measures on is left out.

`--minutes` are of the clock, mostly one core's; `--state` keeps the weights, and another call goes on from there. With
`--mean`, nothing is trained: what is written is the mean of the weights that several calls kept. Needs the extra `onnx`
and PyTorch.
"""

from __future__ import annotations

import argparse
import functools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from real_haze import measured_scenes, measured_smog
from small_networks import Course, load_mean, write
from torch import nn
from torch.nn import functional as F

from streamdehaze.datasets import find_layout
from streamdehaze.datasets.layouts import find_pictures
from streamdehaze.datasets.pairs import read_scene
from streamdehaze.datasets.picture import SKY_DEPTH, read_picture

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

ROWS, COLUMNS, CELL = 96, 160, 8
"""Of the picture that the network sees, whatever the aspect ratio of the frame, and of what it answers for at once."""
SHORT_SIDE = 150
"""Pixels of the pictures that are kept in memory, from which crops are taken."""
SHARES = {"clear": 0.05, "dim": 0.1, "real": 0.1, "grey": 0.15, "sand": 0.22, "smoke": 0.38}
"""Of the pictures that it learns from; those of a dim day, and of real haze, teach it what is no smoke, and no more."""
RECOGNITION = 0.06
"""Weight of whether there is smoke in the loss."""
UNCERTAIN = 0.5, 0.42
"""Grey fog that is darker than the first, and grey smoke that is brighter than the second, may be the other."""
NOTICEABLE = (0.1, 0.25)
"""Mean share of smoke in the light up to which a picture counts as free of it, and from which on as smoke."""
SMOOTH, EDGE = 24, 1e-3
"""As the package's `smoke` has them."""
SKY_WEIGHT = 0.15
BATCH, RATE = 32, 6e-4


class Block(nn.Module):
    """Two convolutions that add to what passes by, in the light of the whole picture; they begin as nothing.

    Dimensions are added by `unflatten`: before 5.0, OpenCV does not read what adds several in another way.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(4, channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.whole = nn.Linear(channels, 2 * channels)
        for layer in (self.second, self.whole):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.silu(self.first(self.norm(x)))
        factor, term = torch.tanh(self.whole(y.mean((2, 3)))).unflatten(1, (-1, 1, 1)).chunk(2, 1)  # type: ignore[no-untyped-call]
        return x + torch.as_tensor(self.second(y * (1 + factor) + term))


class Smoke(nn.Module):
    """RGB (n, 3, 96, 160) in [0, 1] to maps (n, 67, 12, 20), the smoke's colour (n, 3) and the logit of smoke (n, 1).

    The maps are an offset for each channel, and the gains of the 8×8 pixels of each cell.
    """

    def __init__(self, fine: int = 40, middle: int = 64, coarse: int = 96) -> None:
        super().__init__()
        self.cells = nn.Conv2d(3, fine, 3 * CELL, CELL, CELL)
        self.place = nn.Parameter(torch.zeros(1, fine, ROWS // CELL, COLUMNS // CELL))
        self.down = nn.ModuleList([nn.Conv2d(fine, middle, 3, 2, 1), nn.Conv2d(middle, coarse, 3, 2, 1)])
        self.up = nn.ModuleList([nn.Conv2d(coarse, middle, 1), nn.Conv2d(middle, fine, 1)])
        self.before = nn.ModuleList([blocks(fine, 3), blocks(middle, 3), blocks(coarse, 6)])
        self.after = nn.ModuleList([blocks(middle, 3), blocks(fine, 4)])
        self.gain = nn.Conv2d(fine, CELL * CELL, 3, padding=1)
        self.offset = nn.Conv2d(fine, 3, 3, padding=1)
        self.color = nn.Linear(coarse, 3)
        self.smoke = nn.Sequential(nn.LayerNorm(2 * coarse), nn.Linear(2 * coarse, 64), nn.SiLU(), nn.Linear(64, 1))
        for layer in (self.gain, self.offset):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        fine = self.before[0](self.cells(2 * picture - 1) + self.place)
        middle = self.before[1](self.down[0](F.silu(fine)))
        coarse = self.before[2](self.down[1](F.silu(middle)))
        middle = self.after[0](F.interpolate(self.up[0](coarse), scale_factor=2.0, mode="nearest") + middle)
        fine = F.silu(self.after[1](F.interpolate(self.up[1](middle), scale_factor=2.0, mode="nearest") + fine))
        gain = torch.exp(torch.clamp(self.gain(fine), -3, 3))
        signs = signs_in(coarse)
        color = torch.sigmoid(self.color(signs[:, : coarse.shape[1]]))
        return torch.cat([self.offset(fine), gain], 1), color, self.smoke(signs)


def signs_in(coarse: torch.Tensor) -> torch.Tensor:
    """Mean and standard deviation of each channel, (n, 2 * channels): what tells whether there is smoke."""
    x = F.silu(coarse)
    mean = x.mean((2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean((2, 3))
    return torch.cat([mean.flatten(1), (variance + 1e-6).sqrt()], 1)  # a root's slope at 0 is infinite


def blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Block(channels) for _ in range(count)))


def clear_pictures(hazy: torch.Tensor, maps: torch.Tensor, color: torch.Tensor) -> torch.Tensor:
    """What the package makes of the network's answer, (n, 3, 96, 160)."""
    gain = smooth_gain(hazy.mean(1, keepdim=True), F.pixel_shuffle(maps[:, 3:], CELL))
    offset = F.interpolate(maps[:, :3], scale_factor=float(CELL), mode="bilinear", align_corners=False)
    A = color[:, :, None, None]
    return A + gain * (hazy - A) + offset


def smooth_gain(guide: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
    """The package's guided filter of the gains, both (n, 1, 96, 160)."""
    mean_I, mean_p, mean_II, mean_Ip = box_means([guide, gain, guide * guide, guide * gain])
    a = (mean_Ip - mean_I * mean_p) / (mean_II - mean_I**2 + EDGE)
    mean_a, mean_b = box_means([a, mean_p - a * mean_I])
    return mean_a * guide + mean_b


def box_means(pictures: list[torch.Tensor]) -> list[torch.Tensor]:
    """As `guided.box_mean`; products of matrices take a third of the time of `avg_pool2d` with its way back."""
    means = box_matrix(ROWS) @ torch.cat(pictures, 1) @ box_matrix(COLUMNS).T
    return list(means.chunk(len(pictures), 1))


@functools.cache
def box_matrix(size: int) -> torch.Tensor:
    """Takes the mean in a window around each of so many pixels, (size, size)."""
    side = 2 * (max(ROWS, COLUMNS) // SMOOTH) + 1
    return torch.from_numpy(cv2.blur(np.eye(size, dtype=np.float32), (1, side), borderType=cv2.BORDER_REFLECT))


@dataclass(frozen=True)
class Photo:
    """A clear picture, or one of real haze."""

    picture: Bytes
    depth: Floats | None
    """None for real haze."""


class Examples(torch.utils.data.IterableDataset[tuple[Floats, Floats, Floats, np.float32]]):
    """Drawn at random, without end: hazy and clear picture, (3, 96, 160), how much each pixel counts, and whether there
    is smoke: 1, 0, or 0.5 where neither is certain."""

    def __init__(self, photos: list[Photo], weights: list[float], hazy: list[Photo]) -> None:
        self._photos, self._hazy = photos, hazy
        self._shares = np.array(weights) / sum(weights)

    def __iter__(self) -> Iterator[tuple[Floats, Floats, Floats, np.float32]]:
        rng = np.random.default_rng(torch.initial_seed())
        kinds = {kind: share for kind, share in SHARES.items() if self._hazy or kind != "real"}
        shares = np.array(list(kinds.values())) / sum(kinds.values())
        while True:
            kind = str(rng.choice(list(kinds), p=shares))
            if kind == "real":
                hazy = crop(self._hazy[rng.integers(len(self._hazy))], rng)[0]
                yield planes(hazy), planes(hazy), np.zeros((ROWS, COLUMNS), np.float32), np.float32(0)
            else:
                photo = self._photos[rng.choice(len(self._photos), p=self._shares)]
                yield example(*crop(photo, rng), kind, rng)


def example(
    clear: Floats, depth: Floats, kind: str, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats, np.float32]:
    """A photo (96, 160, 3) in haze of some kind, as `Examples` has it."""
    black = np.percentile(clear.min(axis=2), 1)
    if black < 0.5 and rng.random() < 0.4:  # photos have a veil of their own
        clear = np.clip((clear - black) / (1 - black), 0, 1)
    if rng.random() < 0.5:
        clear = clear ** np.float32(math.exp(rng.uniform(-0.25, 0.25)))
    if rng.random() < 0.3:
        clear = np.clip(clear * (1 + rng.uniform(-0.06, 0.06, 3)), 0, 1).astype(np.float32)
    if rng.random() < 0.4:  # flowers and paint are more colourful than most photos
        clear = vivid(clear, rng)
    if kind in ("clear", "dim", "grey") and rng.random() < 0.4:  # the warm light of lamps and evenings is no sand
        clear = (clear * earthy(rng.uniform(0, 0.35), rng)).astype(np.float32)
    if kind == "dim":
        clear = clear * np.float32(math.exp(rng.uniform(math.log(0.08), math.log(0.8))))
    thickness = np.zeros_like(depth)
    if kind not in ("clear", "dim"):
        offset = rng.uniform(0, 0.25) if rng.random() < 0.3 else 0
        beta = rng.uniform(0.5, 2.8) if rng.random() < 0.8 else rng.uniform(2.8, 6)
        thickness = np.float32(beta) * (np.float32(rng.uniform(0.7, 1.2)) * depth + np.float32(offset))
    if rng.random() < 0.6:
        thickness = thickness * (1 + uneven(rng))
    t = np.exp(-np.maximum(thickness, 0))[..., None]
    color = color_of(kind, rng)
    light = np.float32(rng.uniform(0.3, 1)) if kind == "grey" and rng.random() < 0.3 else np.float32(1)  # dusk
    clear, hazy = clear * light, (clear * t + color * (1 - t)) * light
    if rng.random() < 0.3:
        hazy = hazy + rng.normal(0, rng.uniform(0, 0.04 if kind == "dim" else 0.01), hazy.shape)
    hazy = np.round(np.clip(hazy, 0, 1) * 255) / 255
    smoke = float(np.interp(1 - t.mean(), NOTICEABLE, (0, 1))) if kind in ("sand", "smoke") else 0.0
    brightness = float(color.mean() * light)
    either = brightness < UNCERTAIN[0] if kind == "grey" else kind == "smoke" and brightness > UNCERTAIN[1]
    if either and np.ptp(color) < 0.05:
        smoke = 0.5
    weight = np.where(depth > SKY_DEPTH - 0.06, SKY_WEIGHT, 1).astype(np.float32) * np.float32(kind != "dim")
    return planes(hazy), planes(clear), weight, np.float32(0.5 if 0 < smoke < 1 else smoke)


def vivid(clear: Floats, rng: np.random.Generator) -> Floats:
    """The photo (96, 160, 3) with its colours turned around grey by up to 34 degrees, and more or less of them."""
    angle = rng.uniform(-0.6, 0.6) if rng.random() < 0.5 else 0.0
    turn, _ = cv2.Rodrigues(np.full(3, angle / math.sqrt(3)))
    grey = clear.mean(axis=2, keepdims=True)
    more = math.exp(rng.uniform(-0.7, 0.7))
    return np.asarray(np.clip(grey + more * (clear @ turn.astype(np.float32) - grey), 0, 1), np.float32)


def color_of(kind: str, rng: np.random.Generator) -> Floats:
    """Of haze of some kind, RGB (3,)."""
    if kind == "sand":
        color = rng.uniform(0.55, 1) * earthy(rng.uniform(0.12, 0.55), rng)
    elif kind == "smoke":
        color = rng.uniform(0.12, 0.5) * earthy(rng.choice([0, rng.uniform(0.05, 0.45)]), rng)
        color = color * (1 + rng.uniform(-0.02, 0.02, 3))
    else:
        color = rng.uniform(0.45, 1) * (1 + rng.uniform(-0.04, 0.04, 3))
    return np.asarray(color, np.float32)


def earthy(missing: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Factors on red, green and blue; so much of blue is missing, and about half as much of green."""
    return np.array([1, 1 - missing * rng.uniform(0.3, 0.6), 1 - missing])


def uneven(rng: np.random.Generator) -> Floats:
    """Relative change of the thickness, (96, 160), by patches of all sizes."""
    coarse = rng.uniform(-0.25, 0.25, (4, 4)).astype(np.float32)
    fine = rng.uniform(-0.12, 0.12, (9, 9)).astype(np.float32) * np.float32(rng.random() < 0.5)
    both = cv2.resize(coarse, (9, 9), interpolation=cv2.INTER_CUBIC) + fine
    return np.asarray(cv2.resize(both, (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC), np.float32)


def crop(photo: Photo, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """A part of a photo in the network's size, more than half as high as it is, and its depth (0 if it has none)."""
    height, width = photo.picture.shape[:2]
    rows = min(height, width * ROWS / COLUMNS) * rng.uniform(0.6, 1)
    rows, columns = int(rows), int(rows * COLUMNS / ROWS)
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    step = 1 if rng.random() < 0.5 else -1

    def part(x: Bytes | Floats) -> Floats:
        inside = np.ascontiguousarray(x[top : top + rows, left : left + columns][:, ::step], np.float32)
        return np.asarray(cv2.resize(inside, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA), np.float32)

    depth = np.zeros((ROWS, COLUMNS), np.float32) if photo.depth is None else part(photo.depth)
    return part(photo.picture) / np.float32(255), depth


def planes(picture: npt.NDArray[np.floating]) -> Floats:
    return np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32)


def shrink(picture: Bytes, depth: Floats | None = None) -> Photo:
    """With a short side of `SHORT_SIDE` pixels."""
    scale = SHORT_SIDE / min(picture.shape[:2])
    size = round(scale * picture.shape[1]), round(scale * picture.shape[0])
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    if depth is None:
        return Photo(small, None)
    return Photo(small, np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_AREA), np.float32))


def rising(height: int, width: int) -> Floats:
    """A depth that grows towards the upper edge, (height, width)."""
    return np.repeat(np.linspace(1, 0.15, height, dtype=np.float32)[:, None], width, 1)


def loss_of(network: Smoke, batch: list[torch.Tensor]) -> torch.Tensor:
    hazy, clear, weight, smoke = batch
    maps, color, logit = network(hazy)
    total = weight.sum((1, 2))
    error = (clear_pictures(hazy, maps, color) - clear)[total > 0]
    share = (weight / total[:, None, None])[total > 0]
    squares, sizes = ((each.mean(1) * share).sum((1, 2)) for each in (error**2, error.abs()))
    known = smoke != 0.5
    recognition = F.binary_cross_entropy_with_logits(logit[known, 0], smoke[known])
    # The mean logarithm is a mean PSNR; alone, it would neglect what is hard.
    return 0.1 * torch.log(squares + 1e-3).mean() + sizes.mean() + RECOGNITION * recognition


def train(examples: Examples, minutes: float, state: Path | None) -> Smoke:
    """The network after so many minutes."""
    network = Smoke()
    course, began = Course(network, state), time.monotonic()
    for step, batch in enumerate(torch.utils.data.DataLoader(examples, BATCH, num_workers=1, prefetch_factor=4), 1):
        done = (time.monotonic() - began) / (60 * minutes)
        if done >= 1:
            break
        course.step(loss_of(network, batch), RATE * min(1, step / 150) * (1 - done) + 1e-6, done)
    course.finish()
    return network


def train_on(asked: argparse.Namespace) -> Smoke:
    """The network, trained on the photos asked for."""
    torch.manual_seed(int(time.time()) if asked.state is not None and asked.state.exists() else 0)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)  # with threads, it would hang in the process that draws the pictures
    left_out = {scene.clear for scene in measured_scenes(asked.left_out)} if asked.left_out else set()
    photos, weights = [], []
    for folder, weight in zip(asked.photos, asked.weights or [1.0] * len(asked.photos), strict=True):
        scenes = [scene for scene in find_layout(folder).scenes if scene.clear not in left_out]
        photos += [shrink(*read_scene(scene)) for scene in scenes]
        weights += [weight] * len(scenes)
    clear = [shrink(read_picture(path)) for folder in asked.clear for path in sorted(find_pictures(folder))]
    photos += [replace(photo, depth=rising(*photo.picture.shape[:2])) for photo in clear]
    weights += [weights[0] / 2] * len(clear)
    paths = {path for folder in asked.hazy for path in find_pictures(folder)}
    paths -= {path for folder in asked.hazy for path in measured_smog(folder)}
    hazy = [shrink(read_picture(path)) for path in sorted(paths)]
    return train(Examples(photos, weights, hazy), asked.minutes, asked.state)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--weights", type=float, nargs="+")
    parser.add_argument("--left-out", type=Path)
    parser.add_argument("--clear", type=Path, nargs="*", default=[])
    parser.add_argument("--hazy", type=Path, nargs="*", default=[])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--mean", type=Path, nargs="+")
    asked = parser.parse_args()
    if asked.mean:
        load_mean(network := Smoke(), asked.mean)
    else:
        network = train_on(asked)
    named = ", ".join(folder.name for folder in (*asked.photos, *asked.clear, *asked.hazy))
    write(network, asked.output, (ROWS, COLUMNS), ["maps", "airlight", "logit"], named)


if __name__ == "__main__":
    main()
