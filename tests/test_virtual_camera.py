"""The clear picture as a virtual camera: pyvirtualcam's interface with a double of the device."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from streamdehaze import Frame
from streamdehaze.errors import MissingPackageError
from streamdehaze.integrations.virtual_camera import VirtualCamera
from streamdehaze.live import LatestPair
from waiting import wait_until


class Device:
    """What pyvirtualcam.Camera offers; remembers what it was sent."""

    made: ClassVar[list[Device]]
    refuse: ClassVar[bool]

    def __init__(self, width: int, height: int, fps: float, *, device: str | None = None) -> None:
        if self.refuse:
            raise RuntimeError("No v4l2 loopback device found")
        self.width, self.height, self.device, self.closed = width, height, device or "/dev/video9", False
        self.sent: list[np.ndarray] = []
        self.made.append(self)

    def send(self, picture: np.ndarray) -> None:
        assert picture.shape == (self.height, self.width, 3)
        assert picture.dtype == np.uint8
        self.sent.append(picture)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> type[Device]:
    class Fresh(Device):
        made: ClassVar[list[Device]] = []
        refuse = False

    monkeypatch.setitem(sys.modules, "pyvirtualcam", SimpleNamespace(Camera=Fresh))
    return Fresh


def grey(value: int, width: int = 32, height: int = 24) -> Frame:
    return Frame.from_array(np.full((height, width, 3), value, np.uint8))


def test_the_device_gets_the_clear_frames_and_is_freed(device: type[Device]) -> None:
    view = LatestPair()
    camera = VirtualCamera(lambda: view, "/dev/video2")
    camera.start()
    view.show(grey(200), grey(90))
    wait_until(lambda: device.made and device.made[0].sent, "a frame is sent")
    camera.stop()
    (found,) = device.made
    assert found.device == "/dev/video2"
    assert (found.sent[0] == 90).all()
    assert found.closed


def test_another_size_opens_the_device_again(device: type[Device]) -> None:
    view = LatestPair()
    camera = VirtualCamera(lambda: view)
    camera.start()
    view.show(grey(200), grey(90))
    wait_until(lambda: device.made, "the device is opened")
    view.show(grey(200, 48, 32), grey(80, 48, 32))
    wait_until(lambda: len(device.made) == 2 and device.made[1].sent, "the second device gets a frame")
    camera.stop()
    assert [(each.width, each.height, each.closed) for each in device.made] == [(32, 24, True), (48, 32, True)]


def test_a_missing_device_is_reported_once_and_tried_again(
    device: type[Device], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("streamdehaze.integrations.virtual_camera._RETRY_SECONDS", 0.01)
    device.refuse = True
    tries: list[Any] = []
    view = LatestPair()

    def looked() -> LatestPair:
        tries.append(None)
        return view

    camera = VirtualCamera(looked)
    view.show(grey(200), grey(90))
    with caplog.at_level(logging.WARNING):
        camera.start()
        wait_until(lambda: len(tries) > 3, "three tries")
        assert [record.getMessage() for record in caplog.records] == [
            "the virtual camera cannot be used (No v4l2 loopback device found); it is tried again"
        ]
        device.refuse = False
        wait_until(lambda: device.made and device.made[0].sent, "a frame is sent")
    camera.stop()


def test_without_the_library_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(MissingPackageError, match="virtual-camera"):
        VirtualCamera(LatestPair)


def test_the_double_takes_what_the_real_library_takes() -> None:
    library = pytest.importorskip("pyvirtualcam", reason="pyvirtualcam is not installed")
    import inspect

    inspect.signature(library.Camera.__init__).bind(None, 32, 24, 30, device=None)
    assert {"send", "close", "device", "width", "height"} <= set(dir(library.Camera))
