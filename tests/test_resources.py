"""Memory, descriptors, signals and pipes: what a long-running process must not run out of or hang on."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import psutil
import pytest

from clips import Clip, video_ticks
from doubles import quick_dehazer
from streamdehaze import ReadOptions, dehaze_video
from streamdehaze.errors import ResourceError, StreamDehazeError
from waiting import PATIENCE_SECONDS

MILLISECONDS = {"time_base": Fraction(1, 1000), "pts": range(0, 4000, 40), "options": {"g": "12"}}


@pytest.fixture(scope="module")
def foggy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Clip(**MILLISECONDS, audio="aac").write(tmp_path_factory.mktemp("clips") / "foggy.mkv")


def streamdehaze(*arguments: str | Path) -> list[str]:
    program = [sys.executable, "-c", "from streamdehaze.cli import main; main()", "run", "--engine", "torch"]
    return [*program, "--network-size", "32", *map(str, arguments)]


def test_the_work_stops_before_it_takes_more_memory_than_allowed(foggy: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    slow = quick_dehazer(0.05)
    with pytest.raises(ResourceError, match=r"uses \d+ MiB, above --memory-limit \(\d+ MiB\)"):
        dehaze_video(foggy, target, dehazer=slow, memory_limit=psutil.Process().memory_info().rss // 2)
    assert list(tmp_path.iterdir()) == []
    dehaze_video(foggy, target, dehazer=slow, memory_limit=psutil.Process().memory_info().rss + (2 << 30))
    assert len(video_ticks(target)[1]) == 100


def test_the_memory_limit_on_the_command_line(foggy: Path, tmp_path: Path) -> None:
    little = streamdehaze(foggy, "-o", tmp_path / "out.mkv", "--memory-limit", "10M")
    done = subprocess.run(little, capture_output=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 1
    assert b"above --memory-limit (10 MiB)" in done.stderr
    assert b"Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
    wrong = subprocess.run(streamdehaze(foggy, "--memory-limit", "lots"), capture_output=True, timeout=PATIENCE_SECONDS)
    assert wrong.returncode == 2


def open_descriptors() -> set[tuple[str, str]]:
    """The number of each descriptor of this process and what it refers to."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found.add((name, os.readlink(f"/proc/self/fd/{name}")))
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors as Linux shows them")
def test_many_jobs_leave_no_descriptor_and_no_thread(foggy: Path, tmp_path: Path) -> None:
    dehazer = quick_dehazer()
    (tmp_path / "bad.mkv").write_bytes(foggy.read_bytes()[:2000])

    def work() -> None:
        for seconds in (0, 0.8):
            dehaze_video(foggy, tmp_path / "out.mkv", dehazer=dehazer, overwrite=True, segment_seconds=seconds)
            with pytest.raises(StreamDehazeError):
                dehaze_video(tmp_path / "bad.mkv", tmp_path / "no.mkv", dehazer=dehazer, segment_seconds=seconds)

    work()
    descriptors, threads = open_descriptors(), set(threading.enumerate())
    for _ in range(3):
        work()
    assert open_descriptors() == descriptors
    assert set(threading.enumerate()) == threads


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="sees its descriptors as Linux shows them")
def test_running_out_of_descriptors_is_reported_in_one_sentence(foggy: Path, tmp_path: Path) -> None:
    dehazer = quick_dehazer()
    dehaze_video(foggy, tmp_path / "first.mkv", dehazer=dehazer, segment_seconds=0.8)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = {int(name) for name in os.listdir("/proc/self/fd")}
    free = next(number for number in range(limits[0]) if number not in taken)
    said = []
    try:
        for spare in range(1, 9):
            resource.setrlimit(resource.RLIMIT_NOFILE, (free + spare, limits[1]))
            try:
                dehaze_video(foggy, tmp_path / f"{spare}.mkv", dehazer=dehazer, segment_seconds=0.8)
            except StreamDehazeError as error:
                said.append(str(error))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert said
    assert not any(" failed: " in sentence for sentence in said)
    assert len(list(tmp_path.glob("?.mkv"))) + len(said) == 8


def test_a_file_size_limit_keeps_the_finished_segments(foggy: Path, tmp_path: Path) -> None:
    """Like a quota: the file that grows too large cannot be written, the smaller ones before it can."""
    dehazer = quick_dehazer()
    target = tmp_path / "out.mkv"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (foggy.stat().st_size // 2, limits[1]))
    try:
        with pytest.raises(StreamDehazeError, match="cannot be written"):
            dehaze_video(foggy, target, dehazer=dehazer, segment_seconds=0.8)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not target.exists()
    assert (tmp_path / "out.mkv.part" / "manifest.json").exists()
    dehaze_video(foggy, target, dehazer=dehazer, segment_seconds=0.8)
    assert len(video_ticks(target)[1]) == 100


def test_a_named_pipe_is_read_once(foggy: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(foggy.read_bytes()))
    writer.start()
    dehaze_video(pipe, tmp_path / "out.mkv", dehazer=quick_dehazer())
    writer.join()
    assert video_ticks(tmp_path / "out.mkv") == video_ticks(foggy)


@pytest.mark.parametrize("start", [None, 0.2])
def test_an_index_at_the_end_of_a_named_pipe_is_reported(tmp_path: Path, start: float | None) -> None:
    """Nothing opens the pipe again to find out more: that would wait for another writer."""
    film = Clip().write(tmp_path / "film.mp4").read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(film), daemon=True)
    writer.start()
    with pytest.raises(StreamDehazeError, match="its index is at its end, which a pipe cannot seek to"):
        dehaze_video(pipe, tmp_path / "out.mkv", dehazer=quick_dehazer(), read=ReadOptions(start=start))
    writer.join(PATIENCE_SECONDS)
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize("begun", [False, True])
def test_a_named_pipe_that_stalls_can_be_stopped(foggy: Path, tmp_path: Path, begun: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        streamdehaze(pipe, "-v", "-o", tmp_path / "out.mkv"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    assert b"becomes" in process.stderr.readline()
    holder = os.open(pipe, os.O_RDWR)  # a writer that never stops
    if begun:
        os.write(holder, foggy.read_bytes()[:40_000])
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(timeout=PATIENCE_SECONDS) == 143
    finally:
        process.kill()
        process.communicate()
        os.close(holder)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_suspended_run_continues(foggy: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    command = streamdehaze(foggy, "--segment-seconds", "0.8", "-o", target)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(4):
            time.sleep(0.5)
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.3)
            process.send_signal(signal.SIGCONT)
        assert process.wait(timeout=PATIENCE_SECONDS) == 0
    assert video_ticks(target) == video_ticks(foggy)
