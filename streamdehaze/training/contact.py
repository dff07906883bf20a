"""A contact sheet of a data set: what a trainer would see of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from streamdehaze.evaluation.report import contact_row, write_sheet
from streamdehaze.training.layouts import Layout, Pair, Scene
from streamdehaze.training.pairs import read_pair
from streamdehaze.training.picture import read_depth, read_picture

_TILE_HEIGHT = 150


def write_contact_sheet(layout: Layout, path: Path, count: int = 8) -> None:
    """Write rows of hazy and clear pictures, or of clear ones and their depth (near is dark), evenly picked.

    Raises:
        SourceError: naming a file that is damaged or whose size differs from its partner's.
    """
    rows, labels = [], []
    items: list[Pair | Scene] = [*layout.pairs, *layout.scenes]
    chosen = [items[i * len(items) // count] for i in range(count)] if len(items) > count else items
    for item in chosen:
        if isinstance(item, Pair):
            pictures = list(read_pair(item))
        else:
            clear = read_picture(item.clear)
            depth = (np.clip(read_depth(item.depth), 0, 1) * 255).astype(np.uint8)
            pictures = [clear, np.asarray(cv2.cvtColor(depth, cv2.COLOR_GRAY2RGB), np.uint8)]
        rows.append(contact_row(pictures, _TILE_HEIGHT))
        labels.append(item.clear.name)
    write_sheet(path, rows, labels)
