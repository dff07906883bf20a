"""A contact sheet of a data set: what a trainer would see of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.datasets.layouts import Layout, Pair, Scene, evenly_picked
from streamdehaze.datasets.pairs import read_pair, read_scene
from streamdehaze.datasets.sheet import contact_row, write_sheet
from streamdehaze.errors import SourceError

_TILE_HEIGHT = 150


def write_contact_sheet(layout: Layout, path: Path, count: int = 8) -> None:
    """Write rows of hazy and clear pictures, or of clear ones and their depth (near is dark), evenly picked.

    Damaged ones have a black row under what is wrong with them.

    Raises:
        SinkError: if the sheet cannot be written.
    """
    rows, labels = [], []
    for item in evenly_picked(layout.items, count):
        try:
            pictures, label = _pictures(item), item.clear.name
        except SourceError as error:
            pictures, label = [np.zeros((3, 4, 3), np.uint8)], str(error)
        rows.append(contact_row(pictures, _TILE_HEIGHT))
        labels.append(label)
    write_sheet(path, rows, labels)


def _pictures(item: Pair | Scene) -> list[npt.NDArray[np.uint8]]:
    if isinstance(item, Pair):
        return list(read_pair(item))
    clear, distance = read_scene(item)
    depth = (np.clip(distance, 0, 1) * 255).astype(np.uint8)
    return [clear, np.asarray(cv2.cvtColor(depth, cv2.COLOR_GRAY2RGB), np.uint8)]
