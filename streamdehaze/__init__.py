"""StreamDehaze makes hazy, foggy or smoky video clear: files, photos and live cameras."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from streamdehaze.errors import StreamDehazeError

if TYPE_CHECKING:
    from streamdehaze.dehaze import Dehazer
    from streamdehaze.frame import ColorSpec, Frame, PixelFormat, VideoInfo
    from streamdehaze.live import CameraConfig, LivePipeline
    from streamdehaze.network import list_checkpoints, load_network
    from streamdehaze.pipeline import Report, dehaze_image, dehaze_video
    from streamdehaze.video import open_sink, open_source

__version__ = version("streamdehaze")

_HOMES = {
    "CameraConfig": "live",
    "ColorSpec": "frame",
    "Dehazer": "dehaze",
    "Frame": "frame",
    "LivePipeline": "live",
    "PixelFormat": "frame",
    "Report": "pipeline",
    "VideoInfo": "frame",
    "dehaze_image": "pipeline",
    "dehaze_video": "pipeline",
    "list_checkpoints": "network",
    "load_network": "network",
    "open_sink": "video",
    "open_source": "video",
}

__all__ = [
    "CameraConfig",
    "ColorSpec",
    "Dehazer",
    "Frame",
    "LivePipeline",
    "PixelFormat",
    "Report",
    "StreamDehazeError",
    "VideoInfo",
    "dehaze_image",
    "dehaze_video",
    "list_checkpoints",
    "load_network",
    "open_sink",
    "open_source",
]


def __getattr__(name: str) -> Any:
    # numpy, torch, OpenCV and FFmpeg take seconds to import; each name brings its own only when it is used.
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"streamdehaze.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
