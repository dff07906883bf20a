"""A real RTSP camera for tests: GStreamer's server in a process that can be killed, frozen and restarted."""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType

import pytest

_PYTHON = "/usr/bin/python3"  # the system's, for which distributions package GStreamer's bindings
_SERVER = Path(__file__).with_name("rtsp_camera_server.py")
_CHECK = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


@functools.cache
def is_available() -> bool:
    """Whether this machine has GStreamer's RTSP server and x264."""
    try:
        found = subprocess.run([_PYTHON, "-c", _CHECK], capture_output=True, timeout=60)
        return found.returncode == 0
    except OSError:
        return False


needs_rtsp_server = pytest.mark.skipif(
    not is_available(),
    reason="needs GStreamer's RTSP server: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 "
    "gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly",
)


def free_port() -> int:
    """A TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RtspCamera:
    """Starts with the options of `rtsp_camera_server.py`, as keywords."""

    def __init__(self, **options: object) -> None:
        self.port = free_port()
        self.options = options
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"rtsp://127.0.0.1:{self.port}/stream"

    def start(self, **changes: object) -> None:
        """Start it, or start it again with some options changed, on the same port."""
        self.options = {**self.options, **changes}
        command = [_PYTHON, str(_SERVER), "--port", str(self.port)]
        for key, value in self.options.items():
            option = f"--{key.replace('_', '-')}"
            command += [option] if value is True else [] if value in (None, False) else [option, str(value)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """Kill it, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def freeze(self) -> None:
        """Freeze it: it stays connected and sends nothing more."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it continue."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def __enter__(self) -> RtspCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
