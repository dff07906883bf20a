"""Data-set layouts as people have them on disk, recognised by rules on names instead of exact trees.

A picture is hazy or clear by the name of a folder above it (`hazy/`, `GT/`, `IN/`, …) or by the end of its own name
(`01_outdoor_hazy.jpg`, `01_GT.png`). What remains of the path is the key that pairs the two; RESIDE's hazy pictures
carry airlight and scattering after it (`1400_1.png`, `0005_0.8_0.04.jpg`), dropped if the whole key has no partner.
Never by position: a file without a partner is named, not shifted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamdehaze.errors import SourceError
from streamdehaze.training.picture import PICTURE_SUFFIXES

HAZY, CLEAR = "hazy", "clear"
_Role = tuple[str, str]
"""HAZY or CLEAR, and the key that pairs the two."""
_FOLDERS = {
    **dict.fromkeys(("hazy", "haze", "in", "input", "inputs", "lq", "fog", "foggy"), HAZY),
    **dict.fromkeys(("clear", "clean", "gt", "gts", "target", "targets", "groundtruth", "ground_truth", "hq"), CLEAR),
}
_OTHER_FOLDERS = ("trans", "transmission", "depth", "depths", "airlight")
_ENDINGS = re.compile(r"^(?P<key>.*?)[_.-](?P<role>hazy|haze|gt|clear|clean)$", re.IGNORECASE)
_DEPTH = re.compile(r"^(?P<key>.+)\.depth$", re.IGNORECASE)
_COLOUR = re.compile(r"^(?P<key>.+)\.colou?r$", re.IGNORECASE)


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
    """How its files were matched, in words."""
    pairs: tuple[Pair, ...] = ()
    """In natural order of the hazy files."""
    scenes: tuple[Scene, ...] = ()
    """In natural order."""
    unmatched: tuple[Path, ...] = ()
    """Pictures left without a partner."""

    @property
    def sequences(self) -> dict[str, list[Pair]]:
        """The pairs that are frames of videos, by the video's name and in order."""
        found: dict[str, list[Pair]] = {}
        for pair in self.pairs:
            if pair.sequence is not None:
                found.setdefault(pair.sequence, []).append(pair)
        return found


def find_layout(folder: str | os.PathLike[str]) -> Layout:
    """Recognise a data set: hazy and clear pairs, or clear pictures with depth.

    Raises:
        SourceError: if the folder is missing, holds no pictures, mixes both kinds, matches none, has two clear pictures
            for one key, or lacks a depth map.
    """
    folder = Path(folder)
    files = list(find_pictures(folder))
    if not files:
        raise SourceError(f"no pictures in {folder}; known are {', '.join(PICTURE_SUFFIXES)}")
    depths = [path for path in files if _DEPTH.match(path.stem)]
    roles = {path: _role(path.relative_to(folder)) for path in files}
    if depths and any(role for path, role in roles.items() if path not in set(depths)):
        raise SourceError(f"{folder} mixes hazy and clear pairs with depth maps; give each its own folder")
    if depths:
        return _scenes(folder, files)
    return _pairs(folder, list(roles.items()))


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


def natural_order(path: Path) -> tuple[tuple[int, int | str], ...]:
    """A sort key by which frame 10 comes after frame 9."""
    parts = re.split(r"(\d+)", path.as_posix())
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in parts)


def find_pictures(folder: Path) -> Iterator[Path]:
    """The picture files under a folder; hidden ones, transmission and depth folders are left out.

    Raises:
        SourceError: if there is no such folder.
    """
    if not folder.is_dir():
        raise SourceError(f"there is no folder {folder}")
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name.lower() not in _OTHER_FOLDERS)
        for name in names:
            path = Path(parent, name)
            if path.suffix.lower() in PICTURE_SUFFIXES and not name.startswith("."):
                yield path


def _role(relative: Path) -> _Role | None:
    """(role, key) of a picture, or None if neither its folders nor its name tell."""
    role, folders = None, list(relative.parts[:-1])
    for i in reversed(range(len(folders))):  # the innermost folder decides: RESIDE-IN/train/hazy is hazy
        if folders[i].lower() in _FOLDERS:
            role = _FOLDERS[folders.pop(i).lower()]
            break
    stem = relative.stem
    ending = _ENDINGS.match(stem)
    if ending:
        by_name = HAZY if ending["role"].lower() in ("hazy", "haze") else CLEAR
        if role in (None, by_name):
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
        raise SourceError(
            f"{folder} holds {len(roles)} pictures but no pair of a hazy and a clear one; name folders or files 'hazy' "
            f"and 'GT' (or 'clear'), or put NAME.depth.png beside each clear picture; the first is {first}"
        )
    rule = "same names" if not dropped else "names up to the first '_' (RESIDE)"
    if any(pair.sequence for pair in pairs):
        rule += ", frames of sequences"
    return Layout(folder, rule, tuple(pairs), unmatched=tuple(sorted(unmatched, key=natural_order)))


def _keys(key: str) -> Iterator[str]:
    """The keys a hazy picture's partner may have, the likeliest first."""
    folder, _, stem = key.rpartition("/")
    prefix = f"{folder}/" if folder else ""
    yield key
    yield prefix + stem.split("_")[0]
    if folder:  # several hazy videos of one clear one: VIDEO_0.8_1.2/00000.png, or VIDEO/0.8_1.2/00000.png
        outer, _, last = folder.rpartition("/")
        yield "/".join(part for part in (outer, last.split("_")[0], stem) if part)
        yield "/".join(part for part in (outer, stem) if part)


def _sequence(path: Path, key: str) -> str | None:
    """The video a hazy file is a frame of: the folder below the role's (hazy/C001/0.png) or above it (C001/hazy/)."""
    below = path.parent.name.lower() not in _FOLDERS and path.stem[-1:].isdigit()
    above = path.stem.isdigit() and len(path.stem) >= 5
    if _ENDINGS.match(path.stem) or not (below or above):
        return None
    return key.rpartition("/")[0] or None


def _scenes(folder: Path, files: list[Path]) -> Layout:
    depths = {path.with_name(match["key"]): path for path in files if (match := _DEPTH.match(path.stem))}
    scenes, missing = [], []
    for path in sorted(set(files) - set(depths.values()), key=natural_order):
        colour = _COLOUR.match(path.stem)
        depth = depths.pop(path.with_name(colour["key"] if colour else path.stem), None)
        if depth is None:
            missing.append(path)
        else:
            sequence = path.parent.name if colour else None
            scenes.append(Scene(path, depth, sequence))
    if missing:
        raise SourceError(f"no depth map for {_names(missing)}; expected beside it as NAME.depth.png")
    return Layout(folder, "pictures with depth", scenes=tuple(scenes), unmatched=tuple(sorted(depths.values())))


def _names(paths: list[Path]) -> str:
    shown = ", ".join(str(path) for path in paths[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"
