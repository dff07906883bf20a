"""What can be read in a picture: signs and plates, before and after."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdehaze.extras import needed_for

TextReader = Callable[[npt.NDArray[np.uint8]], list[str]]
"""Lines of text in an (H, W, 3) RGB picture."""
_CONFIDENCE = 0.8
"""Lines that the reader is less sure of do not count: it sees letters in branches."""


def open_reader() -> TextReader:
    """RapidOCR, whose models are part of its package.

    Raises:
        MissingPackageError: if it is not installed.
    """
    with needed_for("reading text", "ocr"):
        from rapidocr import RapidOCR
    engine = RapidOCR(params={"Global.log_level": "error"})
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)  # it reports each picture without text

    def read(picture: npt.NDArray[np.uint8]) -> list[str]:
        # Its type is a union over what may be asked of it; as called here, it has lines.
        found: Any = engine(np.ascontiguousarray(picture[..., ::-1]))
        lines = zip(found.txts or (), found.scores or (), strict=True)
        return [text for text, confidence in lines if confidence >= _CONFIDENCE]

    return read


def characters(lines: Sequence[str]) -> int:
    """How many characters they hold, without spaces."""
    return sum(len("".join(line.split())) for line in lines)


def share_read(lines: Sequence[str], truth: Sequence[str]) -> float | None:
    """Share of the truth's characters that were read: of each of its lines, in the line most like it.

    None if the truth holds no text.
    """
    total = characters(truth)
    if not total:
        return None
    return sum(max((_matching(line, true) for line in lines), default=0) for true in truth) / total


def _matching(line: str, true: str) -> int:
    one, other = "".join(line.split()), "".join(true.split())
    return sum(block.size for block in SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks())
