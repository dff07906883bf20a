"""Hazy frames into clear ones: solve haze at a small size, apply it to the native planes at full size."""

from streamdehaze.dehaze.dehazer import Dehazer
from streamdehaze.dehaze.settings import DEFAULT_NETWORK_SIZE
from streamdehaze.dehaze.stream import Stream

__all__ = ["DEFAULT_NETWORK_SIZE", "Dehazer", "Stream"]
