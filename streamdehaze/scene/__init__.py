"""A rendered street whose clear truth, fog, distances and optical flow are exactly known."""

from streamdehaze.scene.clip import write_clip
from streamdehaze.scene.fog import Fog
from streamdehaze.scene.scene import SceneFrame, StreetScene

__all__ = ["Fog", "SceneFrame", "StreetScene", "write_clip"]
