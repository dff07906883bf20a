"""Data-set layouts as they are found on disk, recognised by rules on names instead of exact trees.

A picture is hazy or clear by the name of a folder above it (`hazy/`, `GT/`, `IN/`, `OutdoorTrainHazy/`, …) or by the
end of its own name (`01_outdoor_hazy.jpg`, `01_GT.png`). What remains of the path is the key that pairs the two;
RESIDE's hazy pictures carry airlight and scattering after it (`1400_1.png`, `0005_0.8_0.04.jpg`) and lie in parts
(`hazy/part1/`), dropped if the whole key has no partner. Depth is next to a picture (`NAME.depth.png`) or in a folder
next to its folder (`rgb/NAME.png`, `depth/NAME.png`). Never by position: a file without a partner is reported.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from streamdehaze.datasets.picture import PICTURE_SUFFIXES
from streamdehaze.errors import SourceError
from streamdehaze.video.picture.pattern import natural_order

HAZY, CLEAR = "hazy", "clear"
_Role = tuple[str, str]
"""HAZY or CLEAR, and the key that pairs the two."""
_FOLDERS = {
    **dict.fromkeys(("hazy", "haze", "in", "input", "inputs", "lq", "fog", "foggy"), HAZY),
    **dict.fromkeys(("clear", "clean", "gt", "gts", "target", "targets", "groundtruth", "ground_truth", "hq"), CLEAR),
}
_OTHER_FOLDERS = re.compile(r"^((.+_)?trans(mission)?|depths?|airlight)$", re.IGNORECASE)
_COLOUR_FOLDERS, _DEPTH_FOLDERS = ("rgb", "color", "colour", "image", "images"), ("depth", "depths")
_FOLDER_ENDINGS = re.compile(r"^(?P<key>.+?)(?:(?<=[a-z0-9])(?=[A-Z])|_)(?P<role>[Hh]az[ey]|GT|gt|[Cc]lear)$")
"""OutdoorTrainHazy, ITS_haze or train_gt, but not NH-HAZE or unclear."""
_PARTS = re.compile(r"^(part_?\d+|OTS|clear_images)$", re.IGNORECASE)
"""Folders that RESIDE's outdoor set is split into; they tell nothing."""
_ENDINGS = re.compile(r"^(?P<key>.*?)[_.-](?P<role>hazy|haze|gt|clear|clean)$", re.IGNORECASE)
_DEPTH = re.compile(r"^(?P<key>.+)\.depth$", re.IGNORECASE)
_COLOUR = re.compile(r"^(?P<key>.+)\.colou?r$", re.IGNORECASE)


_Item = TypeVar("_Item")


class NoTruthError(SourceError):
    """There are pictures, but none is known to be clear."""


@dataclass(frozen=True)
class Pair:
    """A hazy picture and the clear one of the same scene."""

    hazy: Path
    clear: Path
    sequence: str | None = None
    """Name of the video the two are frames of, or None for single pictures."""


@dataclass(frozen=True)
class Scene:
    """A clear picture and the depth to make haze of."""

    clear: Path
    depth: Path
    sequence: str | None = None
    """Folder of the video it is a frame of, for NAME.color.png as RGB-D cameras write; None for single pictures."""


@dataclass(frozen=True)
class Layout:
    """What a folder was recognised as."""

    folder: Path
    rule: str
    """How its files were matched, as text."""
    pairs: tuple[Pair, ...] = ()
    """In natural order of the hazy files."""
    scenes: tuple[Scene, ...] = ()
    """In natural order."""
    real: tuple[Path, ...] = ()
    """Hazy pictures without ground truth, in natural order."""
    unmatched: tuple[Path, ...] = ()
    """Pictures left without a partner."""

    @property
    def items(self) -> list[Pair | Scene]:
        """The pairs or scenes."""
        return [*self.pairs, *self.scenes]

    @property
    def sequences(self) -> dict[str, list[Pair | Scene]]:
        """Those of them that are frames of videos, by the video's name and in order."""
        found: dict[str, list[Pair | Scene]] = {}
        for frame in self.items:
            if frame.sequence is not None:
                found.setdefault(frame.sequence, []).append(frame)
        return found


def find_layout(folder: str | os.PathLike[str]) -> Layout:
    """Recognise a data set: hazy and clear pairs, or clear pictures with depth.

    Args:
        folder: where they are; or a CSV file with the columns `hazy` and `clear`, paths from where the file is.

    Raises:
        NoTruthError: if no picture is clear by its name and none has depth.
        SourceError: if the folder is missing, holds no pictures, mixes both kinds, matches none, has two clear pictures
            for one key, or lacks a depth map.
    """
    folder = Path(folder)
    if folder.suffix.lower() == ".csv":
        return _listed(folder)
    files = list(find_pictures(folder))
    if not files:
        raise SourceError(f"no pictures in {folder}; known are {', '.join(PICTURE_SUFFIXES)}")
    depths = [path for path in files if _DEPTH.match(path.stem)]
    roles = {path: _role(path.relative_to(folder)) for path in files}
    if depths and any(role for path, role in roles.items() if path not in set(depths)):
        raise SourceError(f"{folder} mixes hazy and clear pairs with depth maps; give each its own folder")
    if depths:
        return _scenes(folder, files)
    if not any(roles.values()) and any(_depth_folder(path) for path in files):
        return _scenes_in_folders(folder, files)
    return _pairs(folder, list(roles.items()))


def _listed(file: Path) -> Layout:
    """The pairs that a CSV file lists."""
    try:
        with open(file, encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, ValueError, csv.Error) as error:
        raise SourceError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not rows or not all(row.get(role) for row in rows for role in (HAZY, CLEAR)):
        raise SourceError(f"{file} must have the columns '{HAZY}' and '{CLEAR}', and a pair of pictures in each row")
    pairs = tuple(Pair(file.parent / row[HAZY], file.parent / row[CLEAR]) for row in rows)
    if gone := [path for pair in pairs for path in (pair.hazy, pair.clear) if not path.is_file()]:
        raise SourceError(f"{file} lists {gone[0]}, which is missing")
    return Layout(file.parent, "its rows", pairs)


def pair_folders(hazy: str | os.PathLike[str], clear: str | os.PathLike[str]) -> Layout:
    """Pair two folders of any name by the rules of `find_layout`.

    A folder of clear pictures pairs with itself: what dehazing does to pictures without haze.

    Raises:
        SourceError: as `find_layout`.
    """
    keys: list[tuple[Path, _Role | None]] = []  # a folder paired with itself has every path twice
    for role, folder in ((HAZY, Path(hazy)), (CLEAR, Path(clear))):
        for path in find_pictures(folder):
            inner = _role(path.relative_to(folder))
            key = inner[1] if inner else path.relative_to(folder).with_suffix("").as_posix()
            keys.append((path, (role, key)))
    if not keys:
        raise SourceError(f"no pictures in {hazy} and {clear}; known are {', '.join(PICTURE_SUFFIXES)}")
    return _pairs(Path(hazy), keys)


def real_haze(folder: str | os.PathLike[str], left_out: int | None = None) -> Layout:
    """Hazy pictures without ground truth; each `left_out`-th, from the first, is left out.

    Raises:
        SourceError: if there are none.
    """
    files = sorted(find_pictures(Path(folder)), key=natural_order)
    taken = tuple(path for index, path in enumerate(files) if left_out is None or index % left_out)
    if not taken:
        raise SourceError(f"no pictures in {folder}; known are {', '.join(PICTURE_SUFFIXES)}")
    return Layout(Path(folder), "real haze without ground truth", real=taken)


def evenly_picked(items: Sequence[_Item], count: int | None) -> Sequence[_Item]:
    """At most `count` of them, evenly spread from the first on; all for None."""
    if count is None or count >= len(items):
        return items
    return [items[i * len(items) // count] for i in range(count)]


def find_pictures(folder: Path) -> Iterator[Path]:
    """The picture files under a folder; hidden ones, transmission and depth folders are left out.

    Raises:
        SourceError: if there is no such folder.
    """
    if not folder.is_dir():
        if folder.exists():
            raise SourceError(f"{folder} is a file; name a folder of pictures")
        raise SourceError(f"there is no folder {folder}")
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not _OTHER_FOLDERS.match(name))
        for name in names:
            path = Path(parent, name)
            if path.suffix.lower() in PICTURE_SUFFIXES and not name.startswith("."):
                yield path


def _role(relative: Path) -> _Role | None:
    """(role, key) of a picture, or None if neither its folders nor its name tell."""
    role, folders, stem = None, list(relative.parts[:-1]), relative.stem
    by_name, ending = None, _ENDINGS.match(stem)
    if ending:
        by_name = HAZY if ending["role"].lower() in ("hazy", "haze") else CLEAR
    if len(folders) > 1 and _PARTS.match(folders[-1]):
        del folders[-1]
    for i in reversed(range(len(folders))):  # the innermost folder decides: RESIDE-IN/train/hazy is hazy
        if folders[i].lower() in _FOLDERS:
            role = _FOLDERS[folders.pop(i).lower()]
            break
        if part := _FOLDER_ENDINGS.match(folders[i]):
            # nh_haze/51_GT.png is clear: the folder's name is the data set's.
            role, folders[i] = by_name or _FOLDERS[part["role"].lower()], part["key"]
            break
    if ending and role in (None, by_name):
        role, stem = by_name, ending["key"]
    return (role, "/".join([*folders, stem])) if role else None


def _pairs(folder: Path, roles: Sequence[tuple[Path, _Role | None]]) -> Layout:
    clear: dict[str, Path] = {}
    for path, role in roles:
        if role and role[0] == CLEAR:
            if role[1] in clear:
                raise SourceError(f"two clear pictures for one name: {clear[role[1]]} and {path}; remove one")
            clear[role[1]] = path
    pairs, used, unmatched, dropped = [], set[Path](), [], False
    for path, role in sorted(roles, key=lambda entry: natural_order(entry[0])):
        if role is None:
            unmatched.append(path)
        elif role[0] == HAZY:
            key = next((k for k in _keys(role[1]) if k in clear), None)
            if key is None:
                unmatched.append(path)
                continue
            dropped |= key != role[1]
            used.add(clear[key])
            pairs.append(Pair(path, clear[key], _sequence(path, role[1])))
    unmatched += [path for path in clear.values() if path not in used]
    if not pairs:
        first = min(path for path, _ in roles)
        raise (SourceError if clear else NoTruthError)(
            f"{folder} holds {len(roles)} pictures but no pair of a hazy and a clear one; name folders or files 'hazy' "
            f"and 'GT' (or 'clear'), or put NAME.depth.png next to each clear picture; the first is {first}"
        )
    rule = "same names" if not dropped else "names up to a '_' (RESIDE)"
    if any(pair.sequence for pair in pairs):
        rule += ", frames of sequences"
    return Layout(folder, rule, tuple(pairs), unmatched=tuple(sorted(unmatched, key=natural_order)))


def _keys(key: str) -> Iterator[str]:
    """The keys a hazy picture's partner may have, the likeliest first."""
    folder, _, stem = key.rpartition("/")
    outer, _, last = folder.rpartition("/")
    # Several hazy videos of one clear one (VIDEO_0.8_1.2/00000.png, or VIDEO/0.8_1.2/00000.png).
    inner = [*_shortened(last), ""] if last else [""]
    for name in inner:
        for shorter in _shortened(stem):
            yield "/".join(part for part in (outer, name, shorter) if part)


def _shortened(name: str) -> Iterator[str]:
    """The name, then without its last `_0.8`, the one before, and so on."""
    words = name.split("_")
    return ("_".join(words[:count]) for count in range(len(words), 0, -1))


def _sequence(path: Path, key: str) -> str | None:
    """The video a hazy file is a frame of: the folder below the role's (hazy/C001/0.png) or above it (C001/hazy/)."""
    below = not _tells_the_role(path.parent.name) and path.stem[-1:].isdigit()
    above = path.stem.isdigit() and len(path.stem) >= 5
    if _ENDINGS.match(path.stem) or not (below or above):
        return None
    return key.rpartition("/")[0] or None


def _tells_the_role(folder: str) -> bool:
    return folder.lower() in _FOLDERS or bool(_FOLDER_ENDINGS.match(folder) or _PARTS.match(folder))


def _scenes(folder: Path, files: list[Path]) -> Layout:
    depths = {path.with_name(match["key"]): path for path in files if (match := _DEPTH.match(path.stem))}
    scenes = []
    for path in sorted(set(files) - set(depths.values()), key=natural_order):
        colour = _COLOUR.match(path.stem)
        depth = depths.pop(path.with_name(colour["key"] if colour else path.stem), None)
        scenes.append((path, depth, path.parent.name if colour else None))
    return _with_depth(folder, scenes, depths.values(), "expected next to it as NAME.depth.png")


def _depth_folder(path: Path) -> Path | None:
    """The folder of depth maps next to that of a colour picture, if there is one."""
    if path.parent.name.lower() not in _COLOUR_FOLDERS:
        return None
    folders = (path.parent.with_name(name) for name in _DEPTH_FOLDERS)
    return next((folder for folder in folders if folder.is_dir()), None)


def _scenes_in_folders(folder: Path, files: list[Path]) -> Layout:
    scenes = []
    maps: dict[Path, dict[str, Path]] = {}
    for path in sorted(files, key=natural_order):
        depth_folder = _depth_folder(path)
        if depth_folder is not None and depth_folder not in maps:
            maps[depth_folder] = {depth.stem: depth for depth in find_pictures(depth_folder)}
        depth = maps[depth_folder].pop(path.stem, None) if depth_folder is not None else None
        scenes.append((path, depth, path.parent.parent.name if path.stem.isdigit() else None))
    rest = [depth for found in maps.values() for depth in found.values()]
    return _with_depth(folder, scenes, rest, "expected as depth/NAME.png next to its folder")


def _with_depth(
    folder: Path, scenes: list[tuple[Path, Path | None, str | None]], unmatched: Iterable[Path], expected: str
) -> Layout:
    missing = [str(path) for path, depth, _ in scenes if depth is None]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise SourceError(f"no depth map for {', '.join(missing[:3])}{more}; {expected}")
    found = tuple(Scene(path, depth, sequence) for path, depth, sequence in scenes if depth is not None)
    return Layout(folder, "pictures with depth", scenes=found, unmatched=tuple(sorted(unmatched)))
