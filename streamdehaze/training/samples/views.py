"""Which part of a picture is trained on, at what size, turned how."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from streamdehaze.datasets.look import Share, Shares
from streamdehaze.errors import ConfigError
from streamdehaze.toml import Table


class ViewConfig(Table):
    """How views are cut from pictures."""

    kind: Literal["crop", "whole"] = "whole"
    """"crop" cuts pixels as they are, the published way; "whole" shrinks most of the picture, as the runtime does."""
    share: Shares = (0.45, 1.0)
    """"whole": part of the picture's area in view."""
    aspect: Annotated[float, Field(ge=0, le=1)] = 0.2
    """"whole": largest change of the aspect ratio, in its logarithm."""
    flip: Share = 0.5
    """Share mirrored left to right."""
    turn: bool = False
    """Whether views are also turned by right angles."""


@dataclass(frozen=True)
class Augmentation:
    """One view, drawn for a picture of a certain size; applied to its hazy, clear and depth alike."""

    top: int
    left: int
    height: int
    width: int
    out_height: int
    out_width: int
    mirrored: bool
    quarter_turns: int

    @classmethod
    def draw(
        cls, config: ViewConfig, shape: tuple[int, int], size: tuple[int, int], rng: np.random.Generator
    ) -> Augmentation:
        """Draw a view of `size` (height, width) from a picture of `shape`.

        Raises:
            ConfigError: if a crop is larger than the picture.
        """
        height, width = shape
        turns = int(rng.integers(4)) if config.turn else 0
        # The view is cut before it is turned.
        out_height, out_width = size[::-1] if turns % 2 else size
        if config.kind == "crop":
            if out_height > height or out_width > width:
                raise ConfigError(
                    f"a crop of {out_width}x{out_height} does not fit a picture of {width}x{height}; "
                    "choose a smaller size or view.kind = 'whole'"
                )
            view_height, view_width = out_height, out_width
        else:
            aspect = out_width / out_height * math.exp(rng.uniform(-config.aspect, config.aspect))
            scale = math.sqrt(rng.uniform(*config.share))
            exact_height = min(height, width / aspect) * scale
            view_height, view_width = max(1, int(exact_height)), max(1, min(int(exact_height * aspect), width))
        top = int(rng.integers(height - view_height, endpoint=True))
        left = int(rng.integers(width - view_width, endpoint=True))
        mirrored = bool(rng.random() < config.flip)
        return cls(top, left, view_height, view_width, out_height, out_width, mirrored, turns)

    def of(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """This view of (H, W) or (H, W, C) pixels."""
        seen = pixels[self.top : self.top + self.height, self.left : self.left + self.width]
        if (self.height, self.width) != (self.out_height, self.out_width):
            shrinks = self.height * self.width > self.out_height * self.out_width
            method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            seen = np.asarray(cv2.resize(seen, (self.out_width, self.out_height), interpolation=method))
        if self.mirrored:
            seen = seen[:, ::-1]
        return np.ascontiguousarray(np.rot90(seen, self.quarter_turns))
