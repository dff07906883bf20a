"""Rows of pictures on one sheet, each under its label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.errors import SinkError

LABEL_HEIGHT = 20
"""Height of the label above a row, pixels."""


def contact_row(pictures: Sequence[npt.NDArray[np.uint8]], height: int) -> npt.NDArray[np.uint8]:
    """RGB pictures side by side at one height in pixels."""
    tiles = []
    for picture in pictures:
        width = max(1, round(picture.shape[1] * height / picture.shape[0]))
        tiles.append(np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8))
    return np.concatenate(tiles, axis=1)


def write_sheet(path: Path, rows: Sequence[npt.NDArray[np.uint8]], labels: Sequence[str]) -> None:
    """Write rows of pictures under each other, each under its label; narrower ones are filled up with black.

    Raises:
        SinkError: if the file cannot be written.
    """
    width = max(row.shape[1] for row in rows)
    tiles = []
    for row, label in zip(rows, labels, strict=True):
        tile = np.zeros((LABEL_HEIGHT + row.shape[0], width, 3), np.uint8)
        tile[LABEL_HEIGHT:, : row.shape[1]] = row
        cv2.putText(tile, label, (4, LABEL_HEIGHT - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255,) * 3, 1, cv2.LINE_AA)
        tiles.append(tile)
    try:
        written = cv2.imwrite(str(path), np.concatenate(tiles)[..., ::-1])
    except cv2.error:
        raise SinkError(f"{path} does not name a picture; use .png or .jpg") from None
    if not written:
        raise SinkError(f"{path} cannot be written; is its folder there, and space?")
