"""What `streamdehaze live --serve` promises: the command, its page, its logs and its shutdown, all together."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from click.testing import CliRunner

from clips import Clip
from streamdehaze.cli import main
from waiting import PATIENCE_SECONDS, wait_until

SECRET = "hunter2"
TOKEN = "correct-horse-battery"
# On a busy machine the server may close a kept-alive connection just when the next request is sent.
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Connection": "close"}


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[str], Path]]:
    """The page's address, the process, and its log: a file played in a loop and a camera that is not there."""
    folder = tmp_path_factory.mktemp("live")
    clip = Clip(size=(192, 108)).write(folder / "foggy.mp4")
    config = folder / "cameras.toml"
    config.write_text(
        f'engine = "torch"\nnetwork_size = 64\n'
        f'[[camera]]\nname = "street"\nurl = "{clip}"\nrealtime = true\nloop = true\nlatency_budget = 5.0\n'
        f'[[camera]]\nname = "gate"\nurl = "rtsp://operator:{SECRET}@127.0.0.1:9/stream?token={SECRET}"\n'
        f'to = ["rtmp://user:{SECRET}@127.0.0.1:9/live/clear"]\n',
        encoding="utf-8",
    )
    (folder / "token").write_text(TOKEN + "\n")
    log = folder / "log"
    arguments = ["--config", str(config), "--serve", "127.0.0.1:0", "--token-file", str(folder / "token")]
    with log.open("w") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamdehaze", "live", *arguments, "--log-format", "json", "--verbose"],
            stdout=written,
            stderr=written,
            text=True,
        )
        try:
            yield _address(process, log), process, log
        finally:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[str], log: Path) -> str:
    """The page's address, once it serves a picture."""

    def printed() -> bool:
        assert process.poll() is None, log.read_text()
        return "http://" in log.read_text()

    wait_until(printed, "the address is printed")
    address = "http://" + log.read_text().partition("http://")[2].partition('"')[0]
    wait_until(lambda: httpx.get(address + "readyz").status_code == 200, "a camera runs")
    return address


def halves(client: httpx.Client) -> tuple[np.ndarray, np.ndarray]:
    """A snapshot's hazy and clear picture."""
    jpeg = client.get("/cameras/street/snapshot?side=both").content
    both = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).astype(int)
    return both[:, : both.shape[1] // 2], both[:, both.shape[1] // 2 :]


def test_the_page_shows_and_steers_a_running_command(command: tuple[str, subprocess.Popen[str], Path]) -> None:
    address, _, _ = command
    with httpx.Client(base_url=address, headers=HEADERS, timeout=PATIENCE_SECONDS) as client:
        cameras = {camera["name"]: camera for camera in client.get("/api/cameras").json()["cameras"]}
        assert cameras["street"]["state"] == "running"
        assert cameras["gate"]["state"] in ("connecting", "backing_off")
        wait_until(lambda: np.abs(np.subtract(*halves(client))).mean() > 3, "they differ once the engine is ready")
        assert client.patch("/api/cameras/street", json={"enabled": False}).json()["enabled"] is False
        wait_until(lambda: np.abs(np.subtract(*halves(client))).mean() <= 1, "the switch reaches the pictures")
        assert client.get("/metrics").text.count('streamdehaze_frames_out_total{camera="street"}') == 1


def test_no_password_in_logs_pages_or_metrics(command: tuple[str, subprocess.Popen[str], Path]) -> None:
    address, _, log = command
    wait_until(lambda: '"camera": "gate"' in log.read_text(), "the dead camera is in the log")
    with httpx.Client(base_url=address, headers=HEADERS) as client:
        for path in ("/", "/api/cameras", "/metrics", "/readyz", "/cameras/gate/snapshot"):
            assert SECRET not in client.get(path).text, path
    assert SECRET not in log.read_text()
    assert TOKEN not in log.read_text()


def test_sigterm_ends_streams_and_process_in_order(command: tuple[str, subprocess.Popen[str], Path]) -> None:
    address, process, log = command
    with httpx.stream("GET", address + "wall", headers=HEADERS) as response:
        for number, _ in enumerate(response.iter_raw()):
            if number == 0:
                process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0, log.read_text()
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert not [entry for entry in entries if "traceback" in entry]


def test_an_address_others_can_reach_is_refused_without_a_token(tmp_path: Path) -> None:
    clip = Clip(size=(64, 48)).write(tmp_path / "foggy.mp4")
    result = CliRunner().invoke(main, ["live", str(clip), "--serve", "0.0.0.0:0"])
    assert result.exit_code == 2
    assert "needs --token-env or --token-file" in " ".join(result.output.split()).replace(" │ │ ", " ")
