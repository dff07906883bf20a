"""Two or more videos or pictures shown as one."""

from streamdehaze.compare.compare import Comparison, compare
from streamdehaze.compare.montage import side_by_side, split_screen

__all__ = ["Comparison", "compare", "side_by_side", "split_screen"]
