"""`Look`: a frame before the network runs."""

from __future__ import annotations

from dataclasses import dataclass

from streamdehaze.control.curves import InputCurve
from streamdehaze.control.place import Place
from streamdehaze.dehaze.atmosphere import Balanced
from streamdehaze.dehaze.format import FrameFormat
from streamdehaze.dehaze.frame_mask import Mask
from streamdehaze.dehaze.gpu import Surface
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
    """Hazy colour components, (n, rows, columns): small, or of full size if `exact`; what covers the scene is filled.
    None: the frame passes through."""
    balanced: Balanced | None = None
    """The picture for the network; None where it need not run on this frame."""
    keep: tuple[Mask, ...] | None = None
    """Samples of each colour component, (height, width), that stay as they are: bars, rims, boxes."""
    observation: Observation | None = None
    """Motion since the previous frame; None where frames are independent."""
    exact: bool = False
    """Whether `picture` is the whole frame."""
    look_ahead: bool = False
    """Whether the frame is held back for those after it."""
    auto: bool = False
    """Whether the measured haze still decides how much of `strength` applies."""
    curve: InputCurve = "sdr"
    """The frame's transfer curve."""
    place: Place | None = None
    """Where in the frame the maps apply; None: everywhere."""
    surface: Surface | None = None
    """The frame on a GPU, which applies the maps; None: the CPU does."""

    @property
    def picture(self) -> FloatArray | None:
        """RGB (3, rows, columns) in [0, 1] for the network; None where it need not run on this frame."""
        return None if self.balanced is None else self.balanced.picture
