"""Cameras shared by several processes: each is served by one, and by another one when that dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from clips import Clip
from streamdehaze.cli import main
from streamdehaze.live.config import CameraConfig
from streamdehaze.live.shards import LOST_SECONDS, Shards
from waiting import wait_until

CAMERAS = [CameraConfig(name=f"gate-{number}", url="foggy.mp4") for number in range(60)]


def names(shard: Shards) -> set[str]:
    return {camera.name for camera in shard.mine(CAMERAS)}


def test_every_camera_is_served_once_and_the_shares_are_about_equal() -> None:
    served = Counter(name for number in range(1, 6) for name in names(Shards(number, 5)))
    assert set(served.values()) == {1}
    assert len(served) == 60
    assert all(4 <= len(names(Shards(number, 5))) <= 24 for number in range(1, 6))


def test_another_shard_takes_the_cameras_of_a_dead_one_and_gives_them_back(tmp_path: Path) -> None:
    now = 0.0
    shards = {number: Shards(number, 3, tmp_path, clock=lambda: now) for number in (1, 2, 3)}
    own = {number: names(shard) for number, shard in shards.items()}

    def pass_time(seconds: float, *living: int) -> None:
        nonlocal now
        for _ in range(round(seconds / 0.5)):
            now += 0.5
            for number in living:
                shards[number].beat()

    pass_time(20, 1, 2, 3)
    assert {number: names(shard) for number, shard in shards.items()} == own
    pass_time(LOST_SECONDS + 1.5, 1, 2)
    assert names(shards[1]) | names(shards[2]) == set().union(*own.values())
    assert not names(shards[1]) & names(shards[2])
    assert own[1] <= names(shards[1])
    shards[3] = Shards(3, 3, tmp_path, clock=lambda: now)
    pass_time(2, 1, 2, 3)
    assert {number: names(shard) for number, shard in shards.items()} == own
    shards[3].leave()
    pass_time(1.5, 1, 2)
    assert names(shards[1]) | names(shards[2]) == set().union(*own.values())


def test_a_shard_whose_folder_is_gone_keeps_its_cameras(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shard = Shards(1, 2, tmp_path / "gone")
    before = names(shard)
    assert not shard.beat()
    assert names(shard) == before
    assert "other shards may take over" in caplog.text


def test_the_cameras_of_a_killed_process_are_taken_over(tmp_path: Path) -> None:
    clip = Clip(pts=range(0, 25 * 512, 512)).write(tmp_path / "foggy.mp4")
    (tmp_path / "alive").mkdir()
    shares = {number: next(c.name for c in Shards(number, 2).mine(CAMERAS)) for number in (1, 2)}
    config = "\n".join(
        f'[[camera]]\nname = "{name}"\nurl = "{clip}"\nloop = true\nrealtime = true' for name in shares.values()
    )
    (tmp_path / "cameras.toml").write_text(config)

    def start(number: int) -> subprocess.Popen[bytes]:
        options = ["--shard", f"{number}/2", "--shards-folder", str(tmp_path / "alive"), "--network-size", "32"]
        target = tmp_path / f"{{name}}-by-{number}.mkv"
        return subprocess.Popen(
            [sys.executable, "-m", "streamdehaze", "live", "--config", str(tmp_path / "cameras.toml"), *options,
             "--to", str(target), "--segment-seconds", "0.4", "--engine", "torch"],
            stderr=subprocess.DEVNULL, env={**os.environ, "STREAMDEHAZE_ENGINES": str(tmp_path / "engines")},
        )  # fmt: skip

    def served(name: str, number: int) -> bool:
        return any(tmp_path.glob(f"{name}-by-{number}*.mkv"))

    processes = [start(1), start(2)]
    try:
        wait_until(lambda: served(shares[1], 1) and served(shares[2], 2), "both cameras")
        assert not served(shares[1], 2)
        processes[0].send_signal(signal.SIGKILL)
        wait_until(lambda: served(shares[1], 2), "the camera of the killed process")
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_folder_of_shards_without_a_shard_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["live", "foggy.mp4", "--shards-folder", str(tmp_path)])
    assert result.exit_code == 2
    assert "--shards-folder goes with --shard" in result.output
    result = CliRunner().invoke(main, ["live", "foggy.mp4", "--shard", "3/2"])
    assert "is not a part of several" in result.output
