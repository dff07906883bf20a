"""A long film in shares: any number of workers make the same film, even if some of them die."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from click.testing import CliRunner

from clips import Clip
from streamdehaze import Dehazer, dehaze_video
from streamdehaze.cli import main
from streamdehaze.errors import ConfigError, SinkError, SourceError, StreamDehazeError
from streamdehaze.pipeline.options import RunOptions
from streamdehaze.pipeline.report import recorded_versions
from streamdehaze.pipeline.sharing.segments import (
    DeferredDehazer,
    SegmentJob,
    SegmentMade,
    join,
    make_segment,
    plan_segments,
)
from streamdehaze.pipeline.sharing.staging import Staging
from streamdehaze.video import EncodeOptions, FileSource, part_folder, unfinished_work
from waiting import PATIENCE_SECONDS, wait_until

pytest.importorskip("openvino")

SECONDS = 0.8  # a segment of 20 frames
RUN = RunOptions(segment_seconds=SECONDS)
OTHER_VERSIONS = {**recorded_versions(), "av": "0"}


def dehazer(**settings: Any) -> Dehazer:
    """The defaults of `run`, small."""
    usual: dict[str, Any] = {"engine": "openvino", "network_size": 32, "steady": "low", "every": "auto"}
    return Dehazer(**{**usual, "look_ahead": True, **settings}, engine_wait=True)


def contents(path: Path) -> tuple[list[Any], list[Any]]:
    """Every frame with its time, and every packet of sound."""
    with av.open(str(path)) as container:
        frames = [(frame.pts, frame.to_ndarray().tobytes()) for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        sound = [(packet.pts, bytes(packet)) for packet in container.demux(audio=0)] if container.streams.audio else []
    return frames, sound


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = Clip(pts=[512 * n for n in range(90)], options={"g": "12", "bf": "2"}, audio="aac", still=True)
    return clip.write(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture(scope="module")
def truth(film: Path) -> Path:
    """The film as one worker makes it."""
    with ThreadPoolExecutor(1) as one:
        report = dehaze_video(film, dehazer=dehazer(), executor=one, run=RUN)
    assert report.statistics.encode.frames == 90
    return Path(report.output)


def jobs(film: Path, target: Path, **settings: Any) -> list[SegmentJob]:
    with FileSource(film) as source, dehazer(**settings) as worker:
        return plan_segments(source, Staging(film, target), worker, EncodeOptions(), RUN)


def test_two_workers_give_the_film_of_one(film: Path, truth: Path, tmp_path: Path) -> None:
    target = tmp_path / "two.mp4"
    with ThreadPoolExecutor(2) as two:
        report = dehaze_video(film, target, dehazer=dehazer(), executor=two, run=RUN)
    assert contents(target) == contents(truth)
    assert len(contents(target)[0]) == 90
    assert contents(target)[1]
    assert not part_folder(target).exists()
    assert report.engine.startswith("openvino")
    assert sum(row["strength"] > 0 for row in report.as_dict()["haze"]["by_second"]) == 4


def test_a_dask_cluster_gives_the_film_of_one(film: Path, truth: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    target = tmp_path / "dask.mp4"
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        dehaze_video(film, target, dehazer=dehazer(), executor=client.get_executor(), run=RUN)
    assert contents(target) == contents(truth)


@pytest.mark.parametrize("settings", [{}, {"look_ahead": False}, {"steady": "off", "every": 1}])
def test_shares_give_every_sample_of_a_single_run(film: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    lossless = EncodeOptions("libx264", crf=0)
    one, shares, whole = (tmp_path / f"{name}.mp4" for name in ("one", "shares", "whole"))
    for target, run in ((one, RUN), (whole, RunOptions())):
        dehaze_video(film, target, dehazer=dehazer(**settings), encode=lossless, run=run)
    with ThreadPoolExecutor(2) as two:
        dehaze_video(film, shares, dehazer=dehazer(**settings), encode=lossless, executor=two, run=RUN)
    assert contents(shares) == contents(one)
    differ = [a != b for a, b in zip(contents(one)[0], contents(whole)[0], strict=True)]
    assert any(differ) == (settings.get("steady") != "off")  # otherwise there is no state in which a seam could show


def test_shares_of_an_array_job_are_joined_in_any_order(film: Path, truth: Path, tmp_path: Path) -> None:
    target, options = tmp_path / "clear.mp4", ["--segment-seconds", str(SECONDS), "--network-size", "32"]
    run = ["run", str(film), "-o", str(target), *options, "--engine", "openvino"]

    def streamdehaze(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, arguments)
        return result.exit_code, result.output

    for share in ("2/2", "1/2"):
        code, said = streamdehaze(*run, "--segment", share)
        assert code == 0, said
        assert f"streamdehaze join {part_folder(target)}" in said
        assert not target.exists()
        if share == "2/2":
            code, said = streamdehaze("join", str(part_folder(target)))
            assert code == 1
            assert "3 of 5 segments are missing in " in said
            assert said.endswith(": 1, 3, 5\n")
            code, said = streamdehaze(*run)
            assert code == 1
            assert "holds segments made by --segment" in said
    assert (work := unfinished_work(target)) is not None
    assert work.frames == 90
    code, said = streamdehaze("join", str(part_folder(target)))
    assert code == 0, said
    assert contents(target) == contents(truth)
    assert not part_folder(target).exists()


def test_a_worker_that_dies_costs_its_segment_alone(film: Path, truth: Path, tmp_path: Path) -> None:
    target = tmp_path / "clear.mp4"

    class Dying(ThreadPoolExecutor):
        """A pool whose process is killed during its third job."""

        def submit(  # type: ignore[override]
            self, work: Callable[[SegmentJob], SegmentMade], job: SegmentJob, /
        ) -> Future[SegmentMade]:
            def die(job: SegmentJob) -> SegmentMade:
                raise RuntimeError("killed")

            return super().submit(die if job.number == 2 else work, job)

    with Dying(1) as pool, pytest.raises(StreamDehazeError, match="a worker failed: RuntimeError: killed"):
        dehaze_video(film, target, dehazer=dehazer(), executor=pool, run=RUN)
    assert not target.exists()
    kept = len(list(part_folder(target).glob("*.record")))
    assert 0 < kept < 5
    with ThreadPoolExecutor(1) as pool:
        report = dehaze_video(film, target, dehazer=dehazer(), executor=pool, run=RUN)
    assert report.statistics.earlier_frames == 20 * kept
    assert contents(target) == contents(truth)


def test_a_damaged_segment_is_made_again(film: Path, truth: Path, tmp_path: Path) -> None:
    target = tmp_path / "clear.mp4"
    for job in (work := jobs(film, target)):
        make_segment(job)
    packets = part_folder(target) / "00001.packets"
    packets.write_bytes(packets.read_bytes()[:-1] + b"?")
    with pytest.raises(SinkError, match=r"1 of 5 segments is missing in .*: 2"):
        join(part_folder(target))
    assert make_segment(work[1]).statistics is not None
    assert make_segment(work[2]).statistics is None  # it was there
    join(part_folder(target))
    assert contents(target) == contents(truth)


def test_machines_with_other_settings_versions_or_input_are_reported(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, own = tmp_path / "clear.mp4", tmp_path / "film.mp4"
    shutil.copy(film, own)
    jobs(own, target)
    with pytest.raises(SinkError, match=r"network size was 32, now 48.*with the same versions"):
        jobs(own, target, network_size=48)
    with monkeypatch.context() as changed:
        changed.setattr("streamdehaze.pipeline.sharing.segments.recorded_versions", lambda: OTHER_VERSIONS)
        with pytest.raises(SinkError, match=r'versions was \{"av": ".*, now \{"av": "0"\}'):
            jobs(own, target)
    os.utime(own, (1, 1))
    jobs(own, target)  # a copy of another date is the same input
    own.write_bytes(own.read_bytes() + b"\0" * 8)
    with pytest.raises(SinkError, match="the input changed"):
        jobs(own, target)


def test_a_worker_that_differs_from_the_machine_where_work_began_is_refused(
    film: Path, truth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, own = tmp_path / "clear.mp4", tmp_path / "film.mp4"
    shutil.copy(film, own)
    first, *_ = work = jobs(own, target)
    with pytest.raises(SinkError, match="encoder 'libnothing'"):
        make_segment(
            replace(
                first, plan=first.plan.model_copy(update={"encode": replace(first.plan.encode, codec="libnothing")})
            )
        )
    with monkeypatch.context() as changed:
        changed.setattr("streamdehaze.pipeline.sharing.segments.versions", lambda packages: OTHER_VERSIONS)
        with pytest.raises(ConfigError, match=r'this machine differs .*now \{"av": "0"\}'):
            make_segment(first)
    good = own.read_bytes()
    own.write_bytes(good + b"\0" * 8)
    with pytest.raises(ConfigError, match=r"this machine differs .*: the input changed"):
        make_segment(first)
    own.write_bytes(good)
    for job in work:
        make_segment(job)
    for path in part_folder(target).iterdir():
        os.utime(path, (4e9, 4e9))  # by a clock that is far ahead
    join(part_folder(target))
    assert contents(target) == contents(truth)


def test_a_share_that_is_read_only_on_one_machine_is_reported_in_one_sentence(
    film: Path, truth: Path, tmp_path: Path
) -> None:
    if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("a folder can only be made read-only for one process by root on Linux")
    target = tmp_path / "out" / "clear.mp4"
    target.parent.mkdir()
    options = ["--segment-seconds", str(SECONDS), "--network-size", "32", "--engine", "openvino", "--segment", "1/1"]
    run = [sys.executable, "-m", "streamdehaze", "run", str(film), "-o", str(target), *options]
    folder = str(target.parent)
    only_read = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", only_read, folder, *run], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"streamdehaze: the folder '{folder}' is not writable\n"
    assert CliRunner().invoke(main, run[3:]).exit_code == 0
    join(part_folder(target))
    assert contents(target) == contents(truth)


def test_a_loss_is_reported_once_and_no_engine_is_opened_where_others_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film = Clip(pts=[512 * n for n in range(50)], aspect=Fraction(4, 3)).write(tmp_path / "film.mp4")
    settings = dehazer().arguments
    with ThreadPoolExecutor(1) as pool, DeferredDehazer(**settings) as worker:
        report = dehaze_video(
            film, tmp_path / "clear.avi", dehazer=worker, encode=EncodeOptions("ffv1"), executor=pool, run=RUN
        )
        assert "engine" not in vars(worker)
    assert "sample aspect ratio 4:3" in report.losses
    told = [record.message for record in caplog.records if "sample aspect ratio 4:3" in record.message]
    assert len(told) == 1


def test_frames_before_and_after_a_gap_longer_than_a_segment_stay_where_they_are(tmp_path: Path) -> None:
    pts = [512 * n for n in (*range(25), *range(125, 150))]
    film = Clip(pts=pts, options={"g": "12", "bf": "2"}).write(tmp_path / "film.mp4")
    with ThreadPoolExecutor(2) as pool:
        dehaze_video(film, tmp_path / "clear.mp4", dehazer=dehazer(), executor=pool, run=RUN)
    assert [time for time, _ in contents(tmp_path / "clear.mp4")[0]] == pts


def test_a_part_between_start_and_end_is_shared_out_too(film: Path, tmp_path: Path) -> None:
    results = []
    for number in (1, 2):
        target = tmp_path / f"{number}.mkv"
        with FileSource(film, start=0.9, end=3.0) as source, ThreadPoolExecutor(number) as pool:
            dehaze_video(source, target, dehazer=dehazer(), executor=pool, run=RUN)
        results.append(contents(target))
    assert results[0] == results[1]
    with FileSource(film, start=0.9, end=3.0) as source:
        assert len(results[0][0]) == sum(1 for _ in source)


def test_what_cannot_be_shared_out_is_reported_in_one_sentence(film: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ConfigError, match="on_frame is called in this process only"):
            dehaze_video(film, executor=pool, on_frame=lambda hazy, clear: None)
        with pytest.raises(ConfigError, match="only a video file"):
            dehaze_video(film, tmp_path / "x%03d.png", executor=pool, dehazer=dehazer())
        with pytest.raises(ConfigError, match="--segment-seconds more than 0"):
            dehaze_video(film, tmp_path / "x.mp4", executor=pool, dehazer=dehazer(), segment_seconds=0)
    with pytest.raises(SinkError, match="not a folder of segments"):
        join(tmp_path)
    for job in jobs(film, tmp_path / "gone.mp4"):
        make_segment(job)
    shutil.copy(film, tmp_path / "moved.mp4")
    plan = part_folder(tmp_path / "gone.mp4") / "plan.json"
    text = json.loads(plan.read_text())
    text["work"]["input"] = "/nowhere/film.mp4"
    plan.write_text(json.dumps(text))
    with pytest.raises(SourceError, match="nowhere"):
        join(part_folder(tmp_path / "gone.mp4"))
    join(part_folder(tmp_path / "gone.mp4"), source=tmp_path / "moved.mp4")
    assert (tmp_path / "gone.mp4").is_file()


def test_worker_processes_make_the_same_film_and_go_with_the_run(film: Path, truth: Path, tmp_path: Path) -> None:
    target, options = tmp_path / "clear.mp4", ["--segment-seconds", str(SECONDS), "--network-size", "32"]
    run = [sys.executable, "-m", "streamdehaze", "run", str(film), "-o", str(target), *options, "--engine", "openvino"]
    run += ["--workers", "2"]
    (tmp_path / "queue.py").write_text("raise SystemExit('a file of the working directory ran')")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONSAFEPATH": "1"}
    first = subprocess.Popen(run, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment)
    wait_until(lambda: any(part_folder(target).glob("*.record")) or first.poll() is not None, "a segment")
    first.send_signal(signal.SIGTERM)
    _, said = first.communicate(timeout=PATIENCE_SECONDS)
    assert first.returncode in (143, 0), said  # 0: it was done before the signal came
    if first.returncode:
        assert "rerun the same command to continue" in said
        done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr
    assert contents(target) == contents(truth)


def test_the_time_base_survives(tmp_path: Path) -> None:
    times = [int(Fraction(1001 * n, 24)) for n in range(60)]
    film = Clip(pts=times, time_base=Fraction(1, 1000), options={"g": "12"}).write(tmp_path / "film.mkv")
    with ThreadPoolExecutor(1) as pool:
        dehaze_video(film, tmp_path / "clear.mkv", dehazer=dehazer(), executor=pool, run=RUN)
    assert [time for time, _ in contents(tmp_path / "clear.mkv")[0]] == times
