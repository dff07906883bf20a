"""The web page of live cameras: pictures hazy and clear, controls, health and metrics, behind a guarded door."""

from streamdehaze.live.web.address import DEFAULT_PORT, ListenAddress
from streamdehaze.live.web.protocols import WatchedCamera, WatchedPipeline
from streamdehaze.live.web.server import Limits, WebServer

__all__ = ["DEFAULT_PORT", "Limits", "ListenAddress", "WatchedCamera", "WatchedPipeline", "WebServer"]
