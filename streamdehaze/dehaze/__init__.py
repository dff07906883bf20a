"""Hazy frames into clear ones: solve haze at a small size, apply it to the native planes at full size."""

from streamdehaze.dehaze.dehazer import DEFAULT_NETWORK_SIZE, Dehazer

__all__ = ["DEFAULT_NETWORK_SIZE", "Dehazer"]
