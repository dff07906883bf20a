"""`Look`: a frame before the network runs."""

from __future__ import annotations

from dataclasses import dataclass

from streamdehaze.dehaze.format import FrameFormat
from streamdehaze.dehaze.steady import Observation
from streamdehaze.frame import FloatArray, Frame


@dataclass(frozen=True)
class Look:
    """What `Stream.look` found in a frame, and the settings in force for it."""

    frame: Frame
    frame_format: FrameFormat
    strength: float
    """Share of the haze to remove from this frame, 0 to 1."""
    components: FloatArray | None = None
    """Hazy colour components, (n, rows, columns): small, or of full size if `exact`. None: the frame passes through."""
    picture: FloatArray | None = None
    """RGB (3, rows, columns) in [0, 1] for the network; None where it need not run on this frame."""
    observation: Observation | None = None
    """Of the motion since the frame before; None where each frame stands for itself."""
    exact: bool = False
    """Whether `picture` is the whole frame."""
    look_ahead: bool = False
    """Whether the frame is held back for those after it."""
