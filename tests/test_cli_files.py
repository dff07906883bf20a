"""`streamdehaze run` on files of real devices: names, file times, and signals that come twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest
from click.testing import CliRunner

from clips import Clip
from public_tools import H264, PICTURES, ffmpeg
from streamdehaze.cli import main
from streamdehaze.cli.shutdown import ONE_SIGNAL_SECONDS
from streamdehaze.errors import SourceError
from streamdehaze.video import FileSource
from waiting import PATIENCE_SECONDS, wait_until


@pytest.mark.parametrize(
    ("made", "name", "container"),
    [
        ("ts", "clip.dav", "mpegts"),
        ("mp4", "VID.insv", "mov"),
        ("mpg", "MOV001.MOD", "mpeg"),
        ("mkv", "film.xyz", "matroska"),
        ("avi", "DVR_0001.cam", "avi"),
        ("mp4", "GX010001.LRV", "mov"),
    ],
)
def test_an_extension_nobody_knows_keeps_the_inputs_container(
    tmp_path: Path, made: str, name: str, container: str
) -> None:
    codec = ("-c:v", "mpeg2video") if made == "mpg" else H264
    ffmpeg(*PICTURES, *codec, tmp_path / f"in.{made}").rename(tmp_path / name)
    done = CliRunner().invoke(main, ["run", str(tmp_path / name), "--strength", "0", "--steady", "off", "-q"])
    assert done.exit_code == 0, done.output
    stem, suffix = name.split(".")
    with av.open(str(tmp_path / f"{stem}.clear.{suffix}")) as output:
        assert container in output.format.name


@pytest.mark.parametrize("name", ["shot.CR3", "photo.jxl", "shot.DNG", "shot.NEF", "shot.ARW", "shot.RAF"])
def test_photos_that_are_not_read_are_called_photos(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic")
    done = CliRunner().invoke(main, ["run", str(tmp_path / name), "--strength", "0"])
    assert done.exit_code == 1
    assert f"{name.split('.')[1].upper()} photos are not read; export it as JPEG or 16-bit TIFF first" in done.output


def test_heic_photos_without_their_package_name_the_command_that_installs_it(tmp_path: Path) -> None:
    (tmp_path / "IMG.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(SourceError, match=r"HEIC photos need pillow-heif: .*\[heif\].*; or export it as JPEG"):
        FileSource(tmp_path / "IMG.HEIC")


def test_outputs_get_the_file_times_of_their_inputs_on_request(tmp_path: Path) -> None:
    foggy = Clip().write(tmp_path / "foggy.mp4")
    os.utime(foggy, (1_500_000_000, 1_500_000_000))
    plain = ["run", str(foggy), "-o", str(tmp_path / "out.mp4"), "--strength", "0", "--steady", "off", "-q"]
    assert CliRunner().invoke(main, plain).exit_code == 0
    assert (tmp_path / "out.mp4").stat().st_mtime > 1_600_000_000
    assert CliRunner().invoke(main, [*plain, "--overwrite", "--keep-times"]).exit_code == 0
    assert (tmp_path / "out.mp4").stat().st_mtime == 1_500_000_000


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("apart", [0.0, 0.3])
def test_two_signals_close_together_count_as_one(tmp_path: Path, apart: float) -> None:
    """Tools that stop a process signal it and then its group; the second signal must not interrupt the shutdown."""
    os.mkfifo(tmp_path / "silent")
    # On a busy machine the second one may arrive late: it has a minute here.
    patient = "from streamdehaze.cli import main, shutdown; shutdown.ONE_SIGNAL_SECONDS = 60; main()"
    command = [sys.executable, "-c", patient, "run", str(tmp_path / "silent"), "-o"]
    process = subprocess.Popen([*command, str(tmp_path / "out.mkv"), "--engine", "torch"], stderr=subprocess.PIPE)
    try:
        wait_until(lambda: b"SigCgt" in _status(process.pid) and _catches_sigterm(process.pid), 60)
        process.send_signal(signal.SIGTERM)
        time.sleep(apart)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGTERM, said  # by itself, not -SIGTERM
    assert b"stopped;" in said
    assert apart < ONE_SIGNAL_SECONDS


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_a_library_that_hangs_cannot_keep_the_process_alive(tmp_path: Path) -> None:
    script = """
import threading
from streamdehaze.cli.shutdown import ShutdownHandler
with ShutdownHandler(0.2, hears_reload=False) as handler:
    handler.has_work = True
    threading.Thread(target=threading.Event().wait).start()
    print("ready", flush=True)
    handler.stop.wait()
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_SECONDS) == 1
    finally:
        process.kill()
        process.stdout.close()


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    foggy = Clip().write(tmp_path / "foggy.mp4")
    (tmp_path / "out.part.mp4").write_bytes(b"cut off")
    plain = ["run", str(foggy), "-o", str(tmp_path / "out.mp4"), "--strength", "0", "--steady", "off", "-q"]
    assert CliRunner().invoke(main, plain).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foggy.mp4", "out.mp4"]


def _status(pid: int) -> bytes:
    return Path(f"/proc/{pid}/status").read_bytes()


def _catches_sigterm(pid: int) -> bool:
    caught = next(line for line in _status(pid).splitlines() if line.startswith(b"SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
