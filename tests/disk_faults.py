"""Work on a disk that fails at a different call each time; run by `test_disk_faults.py` with `faulty_disk.c` loaded.

    LD_PRELOAD=faulty_disk.so python tests/disk_faults.py faulty_disk.so FOLDER

Prints one line of JSON for every case: what failed, what was reported, and what is left and valid afterwards.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from clips import Clip, other_packets, video_ticks
from doubles import EngineDouble, plain_dehazer
from streamdehaze import dehaze_video
from streamdehaze.errors import StreamDehazeError

READS, WRITES = 1, 2
"""Kinds of calls, as `faulty_disk.c` numbers them."""
FOR_GOOD = 1 << 40
SEGMENT_SECONDS = 0.8


@dataclass(frozen=True)
class Case:
    """One call that failed, and what happened to the work."""

    what: str
    call: int
    said: str
    """The sentence; "" if the work was finished anyway."""
    expected: bool
    """Whether it was one of the package's own errors, and not one that a stage did not expect."""
    published: bool
    whole: bool
    """Whether what has the final name, if anything, is the true result."""
    kept: bool
    """Whether a manifest is left."""
    again: str
    """What the same command says once the disk works, or how its result differs from an uninterrupted run; or ""."""
    left: list[str]
    """Files other than the input and the result."""


class Disk:
    """A folder whose calls can be counted and made to fail."""

    def __init__(self, library: str, folder: Path) -> None:
        self._library = ctypes.CDLL(library)
        self._library.counted.restype = ctypes.c_long
        self.folder = folder

    def fail(self, kind: int, first: int, last: int, code: int = errno.EIO) -> None:
        """Fail from the call `first` (1 for the next) to the call `last`."""
        under = os.fsencode(self.folder)
        self._library.fail(under, kind, ctypes.c_long(first), ctypes.c_long(last), ctypes.c_int(code))

    def get_well(self) -> int:
        """Stop failing, and return the calls counted since `fail`."""
        count = int(self._library.counted())
        self.fail(0, 0, 0)
        return count


def contents(path: Path) -> tuple[Any, ...]:
    """All frames, their times, and the packets of the other streams; of a picture, its bytes."""
    if path.suffix == ".png":
        return (path.read_bytes(),)
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]
    return frames, video_ticks(path), other_packets(path)


def attempt(source: Path, target: Path, seconds: float) -> tuple[str, bool]:
    """What is reported, and whether that is one of the package's sentences."""
    dehazer = plain_dehazer(engine=EngineDouble(), network_size=32)
    try:
        dehaze_video(source, target, dehazer=dehazer, segment_seconds=seconds, overwrite=True)
    except StreamDehazeError as error:
        return str(error), " failed: " not in str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}", False
    return "", True


def cases(disk: Disk, good: Path, what: str, kind: int, seconds: float, *, once: bool = False, step: int = 1) -> None:
    """Do the work repeatedly, failing at every `step`-th call of an uninterrupted run, and print the outcomes."""

    def prepare() -> tuple[Path, Path]:
        shutil.rmtree(disk.folder, ignore_errors=True)
        disk.folder.mkdir()
        return Path(shutil.copy(good, disk.folder)), disk.folder / f"out{good.suffix}"

    source, target = prepare()
    disk.fail(kind, FOR_GOOD, FOR_GOOD)
    said, _ = attempt(source, target, seconds)
    calls = disk.get_well()
    assert not said, said
    truth = contents(target)
    for call in range(1, calls + 1, step):
        source, target = prepare()
        disk.fail(kind, call, call if once else FOR_GOOD)
        said, expected = attempt(source, target, seconds)
        disk.get_well()
        published, kept = target.exists(), (disk.folder / f"{target.name}.part" / "manifest.json").exists()
        whole = not published or contents(target) == truth
        again, _ = attempt(source, target, seconds)
        if not again and (found := contents(target)) != truth:
            again = f"differs in {[part for part, (a, b) in enumerate(zip(found, truth, strict=True)) if a != b]}"
            shutil.copy(target, disk.folder.parent / f"differs-{what}-{call}{target.suffix}")
        left = sorted({path.name for path in disk.folder.iterdir()} - {source.name, target.name})
        case = Case(what, call, said, expected, published, whole, kept, again, left)
        print(json.dumps(asdict(case)), flush=True)


def main() -> None:
    library, name = sys.argv[1:]
    folder = Path(name)
    disk = Disk(library, folder / "disk")
    sizes: dict[str, Any] = {
        "pts": range(0, 2000, 40),
        "time_base": Fraction(1, 1000),
        "options": {"g": "12", "bf": "2"},
    }
    for ending in ("mkv", "mp4"):  # the second one shorter
        good = Clip(**{**sizes, "audio": "aac"}).write(folder / f"in.{ending}")
        cases(disk, good, "writing in segments", WRITES, SEGMENT_SECONDS)
        cases(disk, good, "writing in one go", WRITES, 0)
        cases(disk, good, "reading in segments", READS, SEGMENT_SECONDS, step=2)
        cases(disk, good, "reading in one go", READS, 0)
        cases(disk, good, "one reading in one go", READS, 0, once=True)
        sizes |= {"pts": range(0, 1000, 40)}
    photo = folder / "in.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)).save(photo)
    cases(disk, photo, "writing a picture", WRITES, 0)
    cases(disk, photo, "reading a picture", READS, 0)


if __name__ == "__main__":
    main()
