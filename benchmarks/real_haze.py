"""Whether the pictures are worth having in real haze: the measures that checkpoints are chosen by.

    python benchmarks/real_haze.py [CHECKPOINT ...] [--smog FOLDER] [--traffic FOLDER] [--video FILE] [--depth FOLDER]
        [--street] [--pairs FOLDER] [--set KEY=VALUE ...] [--json FILE]

Each checkpoint (a name, a file, or "teacher" for the physical estimate that real haze is learned from) becomes a
column, each measure a row; rows whose pictures are not given are left out. `Dehazer` works as `streamdehaze run` does
by default, but with `brightness="natural"` where the result is compared with a truth; `--set` changes one of its
settings, such as `--set strength=0.7`. The pictures and the drawn haze are the same every time.

- `--smog`: a folder of real haze without ground truth; every 4th picture from the first (recipes train on the other
  three): far-band r̄, sky, chroma, halo, brightness and black, as `streamdehaze evaluate` defines them. Every 8th also
  behind each of four covers (below).
- `--traffic`: a folder of pictures of one fixed camera with a `visibility.csv` (frame, metres): brightness, black,
  far-band r̄ and local contrast of 24 (if there are as many) under 1.5 km of visibility; 12 above 10 km, which should
  stay as they are. Local contrast is the standard deviation of CIELAB lightness in windows of 1/32 of the width; it is
  summed where the clear days (the median of the 12) have more than their median, and divided by theirs: 1 is as on a
  clear day.
- `--video`: a file of real haze in 8-bit planar YUV; six moments of 8 frames, with and without a letterbox: far-band r̄
  of the fifth frame; what dehazing adds to the change between frames in the 8 rows below the upper bar, and in the same
  rows without bars; samples of the bars that changed.
- `--depth`: a folder of clear photos with depth, 24 evenly picked of those that have next to no haze of their own: PSNR
  gained against the clear photo of drawn grey fog, sand, brown and dark smoke (β 1.2 and 2.2 alternately, the smoke
  uneven; sky, where the depth marks it, is left out). The fog also behind the covers, as far as there is a gain without
  them. The clear photos against themselves.
- `--street`: the same gains on our own drawn street, which nothing is trained on (seeds 5 and 11, first and 16th frame,
  visibilities of 60 and 130 m), without its sky: nothing is seen of it, and behind dark smoke it is most of the error.
- `--pairs`: hazy pictures with a truth, such as SOTS-indoor: PSNR of 50, evenly picked; their clear pictures against
  themselves.

Covers: black bars of 2 % of the height above and below, a letterbox of 2.39:1, a clock (white digits in a black box)
and a round rim. The measures leave out what they cover, and the map of the haze is that of the bare picture. The effect
"with against without" is the ratio of the mean gains on the same pixels: of PSNR for drawn fog, of far-band r̄ − 1 for
smog. Covers must come out bit for bit.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze import Dehazer, open_source
from streamdehaze.control.color import Color
from streamdehaze.datasets import Scene, find_layout
from streamdehaze.datasets.haze import Haze, HazeConfig
from streamdehaze.datasets.layouts import find_pictures
from streamdehaze.datasets.pairs import read_pair, read_scene
from streamdehaze.datasets.picture import SKY_DEPTH, read_picture, shrink, to_float
from streamdehaze.datasets.teacher import clear_picture
from streamdehaze.dehaze.atmosphere.airlight import estimate_airlight
from streamdehaze.engine import Engine, open_engine
from streamdehaze.evaluation import HazeMap, appearance, map_haze, visibility
from streamdehaze.evaluation.haze_map import LONG_SIDE
from streamdehaze.fidelity import psnr
from streamdehaze.frame import Frame
from streamdehaze.meter.pictures import read_meter
from streamdehaze.scene import Fog, StreetScene
from streamdehaze.scene.clip import to_bytes
from streamdehaze.scene.raycast import SKY_METRES
from streamdehaze.video.picture.pattern import natural_order
from streamdehaze.video.rgb import RgbConverter

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Photo = Callable[[Bytes], Bytes]
"""Dehazes one picture, (H, W, 3) RGB, that stands for itself."""

LETTERBOX = 2.39
_WEATHER = HazeConfig(clear=0, offset=0, uneven=1, tinted=0, slope=0, noisy=0, codec=0, depth_scale=(1, 1))
AIRLIGHTS = {
    "grey fog": (0.85, 0.85, 0.85),
    "sand": (0.85, 0.70, 0.51),
    "brown smoke": (0.34, 0.30, 0.24),
    "dark smoke": (0.26, 0.26, 0.26),
}
"""Of drawn haze, in the middle of what the trainer draws as such."""
STREET_AIRLIGHTS = {
    "grey fog": (0.85, 0.85, 0.85),
    "sand": (0.80, 0.62, 0.40),
    "brown smoke": (0.45, 0.38, 0.32),
    "dark smoke": (0.25, 0.25, 0.26),
}


class Teacher:
    """The physical estimate as an engine."""

    name = "physical estimate"

    def infer(self, hazy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.stack([self._clear(picture) for picture in hazy])

    def _clear(self, rgb: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        airlight = estimate_airlight(rgb)
        balance = airlight.balance
        balanced = np.clip(rgb.transpose(1, 2, 0) * balance, 0, 1)
        clear = clear_picture(balanced, airlight.brightness)
        return np.ascontiguousarray((clear / balance).clip(0, 1).transpose(2, 0, 1), np.float32)

    def close(self) -> None: ...


@dataclass(frozen=True)
class Cover:
    """Something in front of the scene."""

    pixels: Bytes
    """(H, W, 3), black where there is nothing."""
    where: Mask
    """(H, W)."""

    def over(self, picture: Bytes) -> Bytes:
        """The picture behind it."""
        return np.where(self.where[..., None], self.pixels, picture)

    @property
    def seen(self) -> Mask:
        """Where the scene is seen, a few pixels off the edge: no gradient of the edge is the scene's."""
        kernel = np.ones((9, 9), np.uint8)
        return cv2.dilate(self.where.astype(np.uint8), kernel) == 0


def covers(height: int, width: int) -> dict[str, Cover]:
    """The four covers of a picture."""
    made: dict[str, Cover] = {}
    for name, size in (("bars", max(2, round(0.02 * height))), ("letterbox", letterbox_rows(height, width))):
        where = np.zeros((height, width), np.bool_)
        where[:size] = where[height - size :] = True
        made[name] = Cover(np.zeros((height, width, 3), np.uint8), where)
    pixels, where = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.bool_)
    rows, columns = max(10, height // 14), width * 2 // 5
    where[4 : 4 + rows, 4 : 4 + columns] = True
    scale = rows / 30
    cv2.putText(pixels, "2026-11-28 08:15", (8, 4 + rows * 3 // 4), cv2.FONT_HERSHEY_SIMPLEX, scale, (255,) * 3, 1)
    pixels[~where] = 0
    made["clock"] = Cover(pixels, where)
    y, x = np.mgrid[:height, :width]
    rim = np.hypot(y - height / 2, x - width / 2) > 0.56 * min(height, width)
    made["rim"] = Cover(np.zeros((height, width, 3), np.uint8), rim)
    return made


def letterbox_rows(height: int, width: int) -> int:
    """Rows of a bar that leaves 2.39:1 (or takes an eighth of the height, where the picture is wider already), even."""
    return max(int(height - width / LETTERBOX) // 2, height // 8) // 2 * 2


class Means:
    """Numbers by name, and their means; None is left out."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def add(self, name: str, value: float | None) -> None:
        values = self._values.setdefault(name, [])
        if value is not None:
            values.append(value)

    def __getitem__(self, name: str) -> float:
        return float(np.mean(self._values[name])) if self._values.get(name) else float("nan")

    def of(self, name: str) -> list[float]:
        return self._values.get(name, [])


def evenly(items: Sequence[Any], count: int) -> list[Any]:
    """At most this many of them, evenly picked."""
    return [items[i * len(items) // count] for i in range(count)] if len(items) > count else list(items)


def measured_smog(folder: Path) -> list[Path]:
    """The photos of real haze that are measured: recipes leave every fourth out."""
    return sorted(find_pictures(folder), key=natural_order)[::4]


def smog(folder: Path, photo: Photo) -> Iterator[tuple[str, float]]:
    """Rows of real haze without ground truth."""
    means, changed = Means(), 0
    for number, path in enumerate(measured_smog(folder)):
        hazy = read_picture(path)
        haze, result = map_haze(hazy), photo(hazy)
        score(means, hazy, result, haze)
        if number % 2:
            continue
        for name, cover in {"bare": None, **covers(*hazy.shape[:2])}.items():
            shown = hazy if cover is None else cover.over(hazy)
            out = result if cover is None else photo(shown)
            seen = haze.far if cover is None else haze.far & cover.seen
            # Against the bare result, on the same pixels: a rim leaves another part of the scene than bars do.
            means.add(f"gain {name}", gain_of(hazy, out, seen))
            if cover is not None:
                means.add(f"bare behind {name}", gain_of(hazy, result, seen))
                changed += int((out != shown)[cover.where].sum())
    yield "smog: far-band r̄", means["far"]
    yield "smog: brightness after/before", means["brightness"]
    yield "smog: near-black added, %", 100 * means["near_black"]
    yield "smog: clipped added, %", 100 * means["clipped"]
    yield "smog: chroma of the haziest tenth, mean of after/before", means["chroma"]
    yield "smog: sky σ after/before, mean", means["sky"]
    yield "smog: sky σ after/before, median", float(np.median(means.of("sky") or [np.nan]))
    yield "smog: halo, %", 100 * means["halo"]
    yield from cover_rows("smog", means, changed)


def gain_of(hazy: Bytes, result: Bytes, far: Mask) -> float | None:
    """Far-band r̄ − 1."""
    ratio = visibility(hazy, result, far).far_gradients
    return None if ratio is None else ratio - 1


def cover_rows(title: str, means: Means, changed: int) -> Iterator[tuple[str, float]]:
    shares = {}
    for name in ("bars", "letterbox", "clock", "rim"):
        bare = means[f"bare behind {name}"]
        shares[name] = means[f"gain {name}"] / bare if bare > 0 else float("nan")
        yield f"{title}: effect with {name} against without", shares[name]
    yield f"{title}: least effect with covers against without", min(shares.values())
    yield f"{title}: samples of covers that changed", float(changed)


def score(means: Means, hazy: Bytes, result: Bytes, haze: HazeMap) -> None:
    """Add the measures without ground truth of one picture."""
    found = appearance(hazy, result, haze)
    means.add("far", visibility(hazy, result, haze.far).far_gradients)
    for name in ("brightness", "near_black", "clipped", "chroma", "sky", "halo"):
        means.add(name, getattr(found, name))


def traffic(folder: Path, photo: Photo) -> Iterator[tuple[str, float]]:
    """Rows of the fixed camera."""
    metres = read_meter(folder / "visibility.csv")
    names = sorted(metres)
    foggy = evenly([name for name in names if metres[name] < 1500], 24)
    clear = evenly([name for name in names if metres[name] > 10000], 12)
    clear_pictures = [read_picture(folder / name) for name in clear]
    clear_day = np.median([local_contrast(picture) for picture in clear_pictures], axis=0)
    textured = clear_day > np.median(clear_day)
    wanted = float(clear_day[textured].sum())
    means, better = Means(), 0
    for name in foggy:
        hazy = read_picture(folder / name)
        result = photo(hazy)
        score(means, hazy, result, map_haze(hazy))
        before, after = (float(local_contrast(picture)[textured].sum()) / wanted for picture in (hazy, result))
        means.add("contrast before", before)
        means.add("contrast", after)
        better += after > before
    yield f"traffic, {len(foggy)} frames under 1.5 km: brightness after/before", means["brightness"]
    yield "traffic: near-black added, %", 100 * means["near_black"]
    yield "traffic: local contrast of the hazy frames (1: clear day)", means["contrast before"]
    yield "traffic: local contrast (1: clear day)", means["contrast"]
    yield "traffic: frames with more contrast than the hazy, %", 100 * better / len(foggy)
    yield "traffic: far-band r̄", means["far"]
    yield "traffic: halo, %", 100 * means["halo"]
    unharmed = Means()
    for picture in clear_pictures:
        result = photo(picture)
        unharmed.add("psnr", psnr(result, picture))
        score(unharmed, picture, result, map_haze(picture))
    yield "traffic, 12 frames over 10 km: brightness after/before", unharmed["brightness"]
    yield "traffic over 10 km: near-black added, %", 100 * unharmed["near_black"]
    yield "traffic over 10 km: PSNR against themselves, dB", unharmed["psnr"]


def local_contrast(picture: Bytes) -> npt.NDArray[np.float32]:
    """Standard deviation of CIELAB lightness in windows of 1/32 of the width, (H, W)."""
    lightness = cv2.cvtColor(to_float(picture), cv2.COLOR_RGB2LAB)[..., 0]
    side = picture.shape[1] // 64 * 2 + 1
    mean, square = (cv2.blur(x, (side, side)) for x in (lightness, lightness * lightness))
    return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0)), np.float32)


def video(path: Path, dehazer: Dehazer) -> Iterator[tuple[str, float]]:
    """Rows of a file of real haze, with and without a letterbox."""
    moments, length, measured = 6, 8, 4
    with closing(open_source(path)) as source:
        count = source.info.frame_count or 0
        if count < moments * length:
            raise SystemExit(f"{path} has {count} frames; {moments * length} are needed")
        starts = {count * (2 * i + 1) // (2 * moments) - length // 2 for i in range(moments)}
        wanted = {start + i for start in starts for i in range(length)}
        frames = [frame for number, frame in enumerate(source) if number in wanted]
    to_rgb = RgbConverter()
    means, changed = Means(), 0
    for first in range(0, len(frames), length):
        bare = frames[first : first + length]
        rows = letterbox_rows(bare[0].height, bare[0].width)
        boxed = [with_bars(frame, rows) for frame in bare]
        clear = {name: list(dehazed(dehazer, shown)) for name, shown in (("bare", bare), ("boxed", boxed))}
        pairs_of_frames = zip(boxed, clear["boxed"], strict=True)
        changed += sum(changed_in_bars(before, after, rows) for before, after in pairs_of_frames)
        hazy = to_rgb(bare[measured])
        haze = map_haze(hazy)
        inside = np.zeros(haze.far.shape, np.bool_)
        inside[rows + 8 : hazy.shape[0] - rows - 8] = True
        for name, far in (("bare", haze.far), ("boxed", haze.far & inside)):
            result = to_rgb(clear[name][measured])
            means.add(f"far {name}", visibility(hazy, result, far).far_gradients)
            means.add(f"seam {name}", change_below(clear[name], rows) - change_below(bare, rows))
    yield "video: far-band r̄", means["far bare"]
    yield "video, letterboxed: far-band r̄", means["far boxed"]
    yield "video: change added next to the bars, levels, without them", means["seam bare"]
    yield "video, letterboxed: change added next to the bars, levels", means["seam boxed"]
    yield "video, letterboxed: samples of bars that changed", float(changed)


def dehazed(dehazer: Dehazer, frames: Sequence[Frame]) -> Iterator[Frame]:
    dehazer.reset()
    for frame in frames:
        yield from dehazer.process([frame])
    yield from dehazer.flush()


def change_below(frames: Sequence[Frame], rows: int) -> float:
    """Mean absolute change of luma between frames in the 8 rows below this one, levels."""
    luma = np.stack([frame.planes[0][rows : rows + 8, : frame.width].astype(np.float32) for frame in frames])
    return float(np.abs(np.diff(luma, axis=0)).mean())


def with_bars(frame: Frame, rows: int) -> Frame:
    """The frame, 8-bit planar YUV, between black bars of this many rows of luma, an even number."""
    planes = tuple(plane.copy() for plane in frame.planes)
    for index, plane in enumerate(planes):
        for bar in bars_of(frame, index, rows):
            plane[bar] = 128 if index else 16
    return frame.with_planes(planes)


def bars_of(frame: Frame, plane: int, rows: int) -> tuple[slice, slice]:
    """The rows of a plane that the upper and the lower bar take."""
    size = rows >> (frame.pixel_format.chroma_shift[1] if plane else 0)
    height = frame.pixel_format.plane_size(plane, frame.width, frame.height)[1]
    return slice(size), slice(height - size, height)


def changed_in_bars(before: Frame, after: Frame, rows: int) -> int:
    """How many samples of the bars differ."""
    differing = 0
    for index, (old, new) in enumerate(zip(before.planes, after.planes, strict=True)):
        width = before.pixel_format.plane_size(index, before.width, before.height)[0]
        for bar in bars_of(before, index, rows):
            differing += int((old[bar, :width] != new[bar, :width]).sum())
    return differing


def drawn(folder: Path, photo: Photo, natural: Photo, knowing: Callable[[Color], Photo]) -> Iterator[tuple[str, float]]:
    """Rows of drawn haze on clear photos with depth."""
    means, changed = Means(), 0
    for number, scene in enumerate(measured_scenes(folder)):
        clear, depth = read_scene(scene)
        no_sky = depth < SKY_DEPTH - 0.04
        means.add("itself", psnr(photo(clear), clear))
        for name, color in AIRLIGHTS.items():
            hazy = draw_haze(clear, depth, name, color, number)
            result = natural(hazy)
            means.add(name, gain_db(hazy, result, clear, no_sky))
            means.add(f"{name}, colour given", gain_db(hazy, knowing(color)(hazy), clear, no_sky))
            if name != "grey fog":
                continue
            for which, cover in covers(*hazy.shape[:2]).items():
                shown = cover.over(hazy)
                out = natural(shown)
                seen = no_sky & cover.seen
                if (bare := gain_db(hazy, result, clear, seen)) > 0:
                    means.add(f"gain {which}", gain_db(hazy, out, clear, seen))
                    means.add(f"bare behind {which}", bare)
                changed += int((out != shown)[cover.where].sum())
    for name in AIRLIGHTS:
        yield f"drawn {name}: gain, dB", means[name]
        yield f"drawn {name}, its colour given: gain, dB", means[f"{name}, colour given"]
    yield from cover_rows("drawn fog", means, changed)
    yield "clear photos against themselves, dB", means["itself"]


def street(natural: Photo) -> Iterator[tuple[str, float]]:
    """Rows of drawn haze in our own street."""
    means = Means()
    for seed, index in itertools.product((5, 11), (0, 15)):
        frame = StreetScene(384, 216, frames=16, seed=seed).render(index)
        clear, no_sky = to_bytes(frame.clear), frame.depth_metres < SKY_METRES
        for (name, color), metres in itertools.product(STREET_AIRLIGHTS.items(), (60, 130)):
            hazy = to_bytes(Fog(metres, color).apply(frame.clear, frame.depth_metres))
            means.add(name, gain_db(hazy, natural(hazy), clear, no_sky))
    for name in STREET_AIRLIGHTS:
        yield f"street, {name}: gain, dB", means[name]


def measured_scenes(folder: Path) -> list[Scene]:
    """The photos with depth before which haze is drawn."""
    return evenly([scene for scene in find_layout(folder).scenes if is_clear(scene)], 24)


def is_clear(scene: Scene) -> bool:
    """Whether a photo has next to no haze of its own, as far as its darkest channel tells."""
    small = to_float(shrink(read_scene(scene)[0], LONG_SIDE))
    return estimate_airlight(np.ascontiguousarray(small.transpose(2, 0, 1))).density < 0.3


def draw_haze(
    clear: Bytes, depth: npt.NDArray[np.float32], name: str, color: tuple[float, float, float], number: int
) -> Bytes:
    """A hazy picture of a clear one: airlight of this colour, β 1.2 for even numbers and 2.2 for odd."""
    rng = np.random.default_rng(number)
    weather = replace(
        Haze.draw(_WEATHER, rng), scattering=2.2 if number % 2 else 1.2, airlight=np.array([[color]], np.float32)
    )
    if "smoke" not in name:
        weather = replace(weather, patches=None)
    return (weather.add_to(to_float(clear), depth, rng) * 255 + 0.5).astype(np.uint8)


def gain_db(hazy: Bytes, result: Bytes, clear: Bytes, where: Mask) -> float:
    """PSNR gained over some of the pixels, dB."""
    return psnr(result[where], clear[where]) - psnr(hazy[where], clear[where])


def pairs(folder: Path, photo: Photo, natural: Photo) -> Iterator[tuple[str, float]]:
    """Rows of pictures with a truth."""
    means, seen = Means(), set[Path]()
    for pair in evenly(find_layout(folder).pairs, 50):
        hazy, clear = read_pair(pair)
        means.add("psnr", psnr(natural(hazy), clear))
        if pair.clear not in seen:
            seen.add(pair.clear)
            means.add("itself", psnr(photo(clear), clear))
    yield f"{folder.name}: PSNR, dB", means["psnr"]
    yield f"its {len(seen)} clear pictures against themselves, dB", means["itself"]


def column(checkpoint: str, asked: argparse.Namespace, settings: dict[str, Any]) -> dict[str, float]:
    """All rows of one checkpoint."""
    engine: Engine = Teacher() if checkpoint == "teacher" else open_engine(checkpoint, asked.engine, wait=True)
    dehazer = Dehazer(checkpoint, engine=engine, **{"steady": "low", "look_ahead": True, **settings})
    natural_dehazer = Dehazer(checkpoint, engine=engine, **{**settings, "brightness": "natural"})

    def photo(picture: Bytes) -> Bytes:
        dehazer.reset()
        return np.asarray(dehazer(picture), np.uint8)

    def natural(picture: Bytes) -> Bytes:
        return np.asarray(natural_dehazer(picture), np.uint8)

    def knowing(color: Color) -> Photo:
        known = Dehazer(checkpoint, engine=engine, **{**settings, "brightness": "natural", "airlight_color": color})
        return lambda picture: np.asarray(known(picture), np.uint8)

    parts = (
        traffic(asked.traffic, photo) if asked.traffic else (),
        smog(asked.smog, photo) if asked.smog else (),
        video(asked.video, dehazer) if asked.video else (),
        drawn(asked.depth, photo, natural, knowing) if asked.depth else (),
        street(natural) if asked.street else (),
        pairs(asked.pairs, photo, natural) if asked.pairs else (),
    )
    rows = dict(itertools.chain.from_iterable(parts))
    if asked.smog and asked.traffic:
        rows["far-band r̄, smog and traffic together"] = (rows["smog: far-band r̄"] + rows["traffic: far-band r̄"]) / 2
    engine.close()
    return rows


def setting(text: str) -> tuple[str, Any]:
    """KEY=VALUE; numbers and true and false as such, anything else as text."""
    key, _, value = text.partition("=")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="*", default=["aecrnet-s"])
    for name in ("smog", "traffic", "video", "depth", "pairs"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--street", action="store_true")
    parser.add_argument("--engine", default="torch")
    parser.add_argument("--set", dest="settings", type=setting, action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    columns: dict[str, dict[str, float]] = {}
    for name in asked.checkpoints:
        columns[name] = column(name, asked, dict(asked.settings))
        if asked.json:  # after each: the next may take long
            asked.json.write_text(json.dumps(columns, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print("| |", " | ".join(Path(name).name for name in columns), "|")
    print("|---|" + "---:|" * len(columns))
    for row in next(iter(columns.values())):
        print(f"| {row} |", " | ".join(f"{values[row]:.3g}" for values in columns.values()), "|")


if __name__ == "__main__":
    main()
