"""Live cameras: supervised, kept fresh, made clear by one shared engine, and sent on."""

from streamdehaze.live.config import CameraConfig, LiveConfig, read_config
from streamdehaze.live.pipeline import Camera, LivePipeline
from streamdehaze.live.state import TRANSITIONS, CameraState, StateMachine
from streamdehaze.live.status import CameraCounters, CameraStatus, CountersSnapshot, HistogramSnapshot, SinkStatus
from streamdehaze.live.view import Pair, View

__all__ = [
    "TRANSITIONS",
    "Camera",
    "CameraConfig",
    "CameraCounters",
    "CameraState",
    "CameraStatus",
    "CountersSnapshot",
    "HistogramSnapshot",
    "LiveConfig",
    "LivePipeline",
    "Pair",
    "SinkStatus",
    "StateMachine",
    "View",
    "read_config",
]
