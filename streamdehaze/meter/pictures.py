"""Pictures of one camera, from photos and videos, and what a visibility meter read at the same times."""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from streamdehaze.address import without_secrets
from streamdehaze.errors import ConfigError, SourceError, StreamDehazeError
from streamdehaze.frame import Frame
from streamdehaze.pipeline.ends import open_source
from streamdehaze.pipeline.inputs import expand_inputs
from streamdehaze.pipeline.sharing.staging import Staging, in_store
from streamdehaze.video import Kind, what_is
from streamdehaze.video.reading.open import is_far_file

_DATE_AND_TIME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_.]?(\d\d)[-_.]?(\d\d)[-_. T]?(\d\d)[-_.h]?(\d\d)(?:[-_.m]?(\d\d))?(?!\d)"
)


@dataclass(frozen=True)
class SourcePicture:
    """One picture and where it comes from."""

    input: str
    seconds: float | None
    """In its video; None for a photo."""
    frame: Frame
    taken: datetime | None
    """When, in local time: by the date and time in its name, else by the camera's note in a photo (EXIF)."""


def pictures(
    inputs: tuple[str, ...],
    *,
    every: int,
    recursive: bool = False,
    failed: Callable[[StreamDehazeError], object] | None = None,
) -> Iterator[SourcePicture]:
    """Photos, and every k-th frame of videos.

    Args:
        inputs: files, folders, globs and addresses.
        every: k.
        recursive: take the folders inside folders too.
        failed: called for each input that cannot be read; the next follows then.

    Raises:
        SourceError: if an input is live.
        StreamDehazeError: if an input cannot be read, without `failed`.
    """
    expanded = expand_inputs(inputs, recursive=recursive)
    for each in expanded:
        if what_is(each.path).is_live and not is_far_file(each.path) and not in_store(each.path):
            raise SourceError(
                f"{without_secrets(each.path)} is a live stream, which has no end; record some of it first"
            )
    for each in expanded:
        try:
            yield from _pictures_of(each.path, every)
        except StreamDehazeError as error:
            if failed is None:
                raise
            failed(error)


def _pictures_of(path: str, every: int) -> Iterator[SourcePicture]:
    with Staging(path) as near, open_source(near.source) as source:
        photo = what_is(near.source) is Kind.PICTURE
        began = taken_at(near.source)
        for index, frame in enumerate(source):
            if index % every == 0:
                seconds = None if photo else frame.seconds
                taken = None if began is None else began + timedelta(seconds=seconds or 0.0)
                yield SourcePicture(path, seconds, frame, taken)


def taken_at(path: str) -> datetime | None:
    """When a picture or video was taken, or began: "gate-2026-11-28-0815.jpg", "20261028_081500.mp4", or EXIF's note.

    None if neither says; the file's own times are not used, since copies change them.
    """
    for match in _DATE_AND_TIME.finditer(Path(path).stem):
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        with contextlib.suppress(ValueError):
            return datetime(year, month, day, hour, minute, second)
    if what_is(path) is not Kind.PICTURE:
        return None
    from PIL import ExifTags, Image

    with contextlib.suppress(OSError, ValueError, TypeError), Image.open(path) as picture:
        exif = picture.getexif()
        noted = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
        return datetime.strptime(noted, "%Y:%m:%d %H:%M:%S")
    return None


def read_meter(path: Path) -> dict[str, float]:
    """Metres by the name of the picture, from a CSV file with the columns ``frame,metres``.

    Raises:
        ConfigError: if it is not such a file.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            found = {row["frame"]: float(row["metres"]) for row in csv.DictReader(file)}
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"'{path}' must have the columns 'frame' and 'metres', with numbers in the second") from error
    except OSError as error:
        raise ConfigError(f"'{path}' cannot be read: {error.strerror or error}") from error
    if any(metres <= 0 for metres in found.values()):
        raise ConfigError(f"'{path}' has a visibility that is not positive")
    return found
