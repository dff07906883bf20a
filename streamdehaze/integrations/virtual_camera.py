"""`VirtualCamera`: a camera's clear picture as a camera of this computer, for OBS, meetings and browsers.

The driver is the system's: v4l2loopback on Linux, OBS's virtual camera on Windows and macOS; pyvirtualcam speaks to all
of them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from streamdehaze.extras import needed_for
from streamdehaze.live.background import Background
from streamdehaze.video.rgb import RgbConverter

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamdehaze.live.view import LatestPair

log = logging.getLogger("streamdehaze.live")

_RATE = 30
"""Frames a second that programs are promised; they come as the camera sends them."""
_RETRY_SECONDS, _POLL_SECONDS = 5.0, 0.1


class VirtualCamera(Background):
    """Shows the newest clear frames of a camera in a thread of its own; a slow device misses frames and delays no one.

    A device that is missing or taken is waited for, and reported once.

    Args:
        view: gives the view to show at the moment, `Camera.full_view`.
        device: "/dev/video2", "OBS Virtual Camera"; None for the first that is free.

    Raises:
        MissingPackageError: if pyvirtualcam is not installed.

    Example:
        >>> with LivePipeline([CameraConfig(name="gate", url="rtsp://192.0.2.7/stream")]) as live:
        ...     VirtualCamera(lambda: live.cameras["gate"].full_view).start()
        ...     live.stopped.wait()
    """

    def __init__(self, view: Callable[[], LatestPair], device: str | None = None) -> None:
        with needed_for("a virtual camera", "virtual-camera"):
            import pyvirtualcam
        super().__init__("virtual-camera")
        self._library = pyvirtualcam
        self._view, self._wanted = view, device
        self.device: str | None = None
        """What is written to; None until a frame was."""

    def stop(self) -> None:
        """End and free the device."""
        super().stop()
        self.join(_RETRY_SECONDS)

    def _run(self) -> None:
        reported = ""
        while not self._stop.is_set():
            try:
                self._show()
            except (RuntimeError, OSError, ValueError) as error:  # as pyvirtualcam reports a device
                if str(error) != reported:
                    reported = str(error)
                    log.warning("the virtual camera cannot be used (%s); it is tried again", reported)
                self._stop.wait(_RETRY_SECONDS)

    def _show(self) -> None:
        """Show frames until the end."""
        rgb, before = RgbConverter(), None
        device: Any = None
        try:
            while not self._stop.is_set():
                pair = self._view().wait(0 if before is None else before.number, timeout=_POLL_SECONDS)
                if pair is None:
                    self._stop.wait(_POLL_SECONDS)  # a view that is closed does not wait
                    continue
                before, picture = pair, rgb(pair.clear)
                size = picture.shape[1], picture.shape[0]
                if device is not None and (device.width, device.height) != size:
                    device.close()
                    device = None
                if device is None:
                    device = self._library.Camera(*size, _RATE, device=self._wanted)
                    self.device = device.device
                    log.info("the clear picture is the camera %s, %d×%d", self.device, *size)
                device.send(picture)
        finally:
            self.device = None
            if device is not None:
                device.close()
