"""Live cameras: supervised, kept fresh, made clear by one shared engine, and sent on."""

from streamdehaze.live.camera import Camera
from streamdehaze.live.config import CameraConfig, LiveConfig, read_config
from streamdehaze.live.pipeline import LivePipeline
from streamdehaze.live.state import TRANSITIONS, CameraState, StateMachine
from streamdehaze.live.status import CameraCounters, CameraStatus, CountersSnapshot, HistogramSnapshot, SinkStatus
from streamdehaze.live.view import FramePair, LatestPair

__all__ = [
    "TRANSITIONS",
    "Camera",
    "CameraConfig",
    "CameraCounters",
    "CameraState",
    "CameraStatus",
    "CountersSnapshot",
    "FramePair",
    "HistogramSnapshot",
    "LatestPair",
    "LiveConfig",
    "LivePipeline",
    "SinkStatus",
    "StateMachine",
    "read_config",
]
