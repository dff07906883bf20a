"""The benchmark prints what it measured and nothing else, and says what limits a pipeline."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from streamdehaze.bench import (
    BenchPlan,
    BenchReport,
    Measurement,
    Timing,
    compare_reports,
    differences,
    measure,
    read_quality,
    read_report,
    run_bench,
    write_markdown,
)
from streamdehaze.bench.gpu import GpuLoad, GpuWatch
from streamdehaze.bench.timing import percentiles
from streamdehaze.bench.verdict import changes, verdict
from streamdehaze.cli import main
from streamdehaze.cli.commands import bench
from streamdehaze.errors import ConfigError
from streamdehaze.extras import install_command
from streamdehaze.video.clip import Clip, write_clip
from waiting import wait_until
from web_server import serving

PARTS = [
    "decode", "encode", "shrink", "fit", "apply", "steady maps", "engine", "frame", "pipeline", "steady pipeline",
    "steady pipeline, every 3",
]  # fmt: skip


@pytest.fixture(scope="module")
def report() -> BenchReport:
    plan = BenchPlan(
        sizes=[(96, 64)], network_sizes=[32, 64], batches=[2], engines=["torch"], every=[3], limit_seconds=0.2,
        frames=12,
    )  # fmt: skip
    return run_bench(plan)


def test_every_part_is_measured_for_every_combination(report: BenchReport) -> None:
    found = [(row.part, row.network_size) for row in report.rows]
    assert sorted(found, key=str) == sorted(
        [("decode", None), ("encode", None)] + [(part, size) for part in PARTS[2:] for size in (32, 64)], key=str
    )
    for row in report.rows:
        timing = row.timing
        assert timing.fps > 0
        assert timing.frames >= 3
        assert timing.cpu_seconds_per_frame > 0
        latency = timing.latency_ms
        assert latency["min"] <= latency["median"] <= latency["p90"] <= latency["p95"] <= latency["p99"]
        assert latency["min"] <= latency["mean"]
    assert {row.engine for row in report.rows if row.part in PARTS[6:]} == {"torch cpu float32"}


def test_verdicts_name_the_bottleneck_and_what_changed_it(report: BenchReport) -> None:
    assert len(report.verdicts) in (2, 4)  # and two on flicker, if anything stood still
    assert "network size 32, aecrnet-s, batch 2, torch cpu float32: " in report.verdicts[0]
    assert "bound" in report.verdicts[0]


def test_reports_survive_json_and_compare_row_by_row(report: BenchReport, tmp_path: Path) -> None:
    report.write_json(tmp_path / "now.json")
    again = read_report(tmp_path / "now.json")
    assert again == report
    content = json.loads((tmp_path / "now.json").read_text())
    content["rows"][0]["timing"]["fps"] /= 2
    content["environment"]["versions"]["torch"] = "1.0"
    (tmp_path / "then.json").write_text(json.dumps(content))
    earlier = read_report(tmp_path / "then.json")
    assert [change.ratio for change in compare_reports(report, earlier)] == [2.0] + [1.0] * (len(report.rows) - 1)
    assert compare_reports(report, BenchReport({}, [], [])) == []
    assert any(said.startswith("torch: 1.0 then") for said in differences(report, earlier))


def test_pipelines_tell_what_they_add_to_a_still_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    still = rng.integers(60, 200, (48, 64, 3), dtype=np.uint8)
    frames = [still + rng.integers(0, 8, still.shape, dtype=np.uint8) for _ in range(12)]  # a sensor's noise
    write_clip(tmp_path / "still.mp4", Clip(frames, (64, 48), Fraction(25)))
    plan = BenchPlan(
        video=tmp_path / "still.mp4", network_sizes=[64], batches=[2], engines=["torch"], limit_seconds=0.1
    )
    report = run_bench(plan)
    found = {row.part: row.stillness for row in report.rows if row.stillness is not None}
    assert set(found) == {"pipeline", "steady pipeline"}
    assert found["steady pipeline"]["added_change"] < found["pipeline"]["added_change"]
    assert found["pipeline"]["brightness_wobble"] >= 0
    assert "steady, " in report.verdicts[-1]
    report.write_csv(tmp_path / "bench.csv")
    assert "added_change" in (tmp_path / "bench.csv").read_text().splitlines()[0]


def test_csv_has_a_line_per_row(report: BenchReport, tmp_path: Path) -> None:
    report.write_csv(tmp_path / "bench.csv")
    with (tmp_path / "bench.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["part"] for line in lines] == [row.part for row in report.rows]
    assert float(lines[0]["fps"]) == report.rows[0].timing.fps


class Clock:
    """Wall and processor time that pass only during the measured work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = self.processor = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.wall)
        monkeypatch.setattr(time, "process_time", lambda: self.processor)

    def work(self, seconds: float, cores: float = 1.0) -> None:
        self.wall += seconds
        self.processor += seconds * cores


def test_measuring_warms_up_and_stops_when_rounds_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, calls = Clock(monkeypatch), 0

    def steady() -> int:
        nonlocal calls
        calls += 1
        clock.work(0.5 if calls == 1 else 0.01, cores=1.5)  # the first call may compile, for instance
        return 2

    timing = measure(steady, limit_seconds=20, round_seconds=0.2)
    assert timing.settled
    assert timing.latency_ms["p99"] == pytest.approx(10)
    assert timing.fps == pytest.approx(200)
    assert timing.calls == calls - 2
    assert timing.cores_used == pytest.approx(1.5)
    assert clock.wall < 2, "three rounds"


def test_what_does_not_settle_stops_at_the_limit_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, calls = Clock(monkeypatch), 0

    def erratic() -> int:
        nonlocal calls
        calls += 1
        clock.work(0.005 * (1 + 5 * (calls % 2)))
        return 1

    timing = measure(erratic, limit_seconds=0.3, round_seconds=0.001)
    assert not timing.settled
    assert timing.spread > 0.02
    assert 0.3 < clock.wall < 0.3 + 3 * 0.03, "the limit, the warm-up and the last call"


def test_percentiles_are_values_that_occurred() -> None:
    found = percentiles([float(value) for value in range(1, 101)])
    assert found == {"min": 1.0, "mean": 50.5, "median": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}
    assert set(percentiles([7.0]).values()) == {7.0}


def timing(fps: float, cores_used: float = 1.0) -> Timing:
    return Timing(fps, 0.0, True, percentiles([1000 / fps]), 1, 1, 0.1, cores_used, None)


def row(part: str, fps: float, **facts: Any) -> Measurement:
    return Measurement(part, "1280×720", 256, 4, "aecrnet-s", "torch", timing(fps, **facts))


def test_the_verdict_blames_the_stage_that_worked_longest() -> None:
    rows = [row("shrink", 1000), row("engine", 100), row("fit", 1000), row("apply", 500), row("pipeline", 60)]
    said = verdict(rows, {"decode": 0.2, "dehaze": 0.97, "encode": 0.5}, 4)
    assert said == (
        "60.0 fps, dehaze-bound: dehaze worked 97% of the time (decode 20%, encode 50%); "
        "alone, engine is 83% of a frame's 12.0 ms there"
    )
    rows[-1] = row("pipeline", 60, cores_used=1.95)
    said = verdict(rows, {"decode": 0.2, "dehaze": 0.4, "encode": 0.99}, 2)
    assert said.startswith("60.0 fps, encode-bound")
    assert "all 2 cores are busy" in said
    assert "engine" not in said
    said = verdict(rows, {"decode": 0.2, "dehaze": 0.42, "encode": 0.3}, 4)
    assert said.startswith("60.0 fps, bound by none of its stages: dehaze worked 42% of the time")


def test_the_verdict_names_only_changes_that_were_measured() -> None:
    slow = row("pipeline", 20)
    smaller, torch = replace(slow, network_size=192, timing=timing(30)), replace(slow, engine="torch", timing=timing(9))
    both = replace(smaller, batch=8, timing=timing(40))
    other_part, other_size = replace(smaller, part="frame"), replace(smaller, size="640×480")
    rows = [slow, smaller, torch, both, other_part, other_size]
    assert changes(slow, rows) == "; network size 192 gave 30.0 fps (1.50 ×)"
    assert changes(smaller, rows) == "; batch 8 gave 40.0 fps (1.33 ×)"
    assert changes(both, rows) == ""
    unsteady = replace(smaller, timing=replace(smaller.timing, spread=0.4))
    assert changes(slow, [slow, unsteady]) == ""


def test_a_ratio_to_an_earlier_report_says_if_it_may_be_chance() -> None:
    steady, shaky = row("engine", 100), row("pipeline", 100)
    shaky = replace(shaky, timing=replace(shaky.timing, spread=0.3))
    now = [replace(r, timing=replace(r.timing, fps=120)) for r in (steady, shaky)]
    found = compare_reports(BenchReport({}, now, []), BenchReport({}, [steady, shaky], []))
    assert [(change.ratio, change.sure) for change in found] == [(1.2, True), (1.2, False)]


def test_markdown_has_a_table_per_combination_and_the_verdicts(report: BenchReport, tmp_path: Path) -> None:
    write_markdown(report, tmp_path / "bench.md")
    text = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert report.environment["processor"] in text
    assert text.count("| part | fps | min ms | mean ms | median ms | p90 ms | p95 ms | p99 ms |") == 5
    assert text.count("\n| ") == 5 + len(report.rows)
    assert "**96×64, network size 64, aecrnet-s, torch cpu float32**" in text
    assert all(f"- {sentence}" in text for sentence in report.verdicts)


def test_a_gpu_is_asked_for_memory_and_clocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A stand-in for nvidia-smi that answers as it does, a field it does not know included.
    tool = tmp_path / "nvidia-smi"
    lines = ["1000, 1410, 1593, 40, [N/A]", "3000, 1980, 1593, 98, [N/A]", "2000, 1980, 1593, 97, [N/A]"]
    tool.write_text(
        "#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines) + f"touch '{tmp_path}/told'\nexec sleep 600\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with GpuWatch() as watch:
        wait_until((tmp_path / "told").exists, "its lines")
    assert watch.load == GpuLoad(3000, 1980, 1593, 97, None)
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with GpuWatch() as watch:
        pass
    assert watch.load is None


def test_a_stream_is_recorded_as_it_is_and_measured(tmp_path: Path) -> None:
    from streamdehaze.bench.clip import draw_clip, first_frames
    from streamdehaze.video.reading.recording import record

    draw_clip(tmp_path / "camera.mp4", 64, 48, 20)
    with serving(tmp_path) as address:
        assert record(f"{address}/camera.mp4", tmp_path / "received.mkv", 99) > 0
        sent, got = (first_frames(tmp_path / name, 99) for name in ("camera.mp4", "received.mkv"))
        for before, after in zip(sent, got, strict=True):
            assert all((a == b).all() for a, b in zip(before.planes, after.planes, strict=True))
        arguments = ["bench", f"{address}/camera.mp4", "--engine", "torch", "--network-size", "32", "--limit", "0.1"]
        result = CliRunner().invoke(main, [*arguments, "--frames", "8"])
        assert result.exit_code == 0, result.output
        assert "64×48" in result.output
        result = CliRunner().invoke(
            main, ["bench", f"{address.replace('//', '//me:p@secret@')}/gone.mp4", *arguments[2:]]
        )
        assert result.exit_code == 1
        assert "127.0.0.1" in result.output
        assert "has no such stream" in result.output
        assert "secret" not in result.output


def test_a_camera_is_recorded_over_rtsp(tmp_path: Path) -> None:
    rtsp_camera = pytest.importorskip("rtsp_camera")
    if not rtsp_camera.is_available():
        pytest.skip("needs GStreamer's RTSP server")
    from streamdehaze.bench.clip import first_frames
    from streamdehaze.video.reading.recording import record

    with rtsp_camera.RtspCamera() as camera:
        record(camera.url, tmp_path / "received.mkv", 10)
    assert len(first_frames(tmp_path / "received.mkv", 99)) >= 8


def test_the_command_measures_a_file_and_compares(tmp_path: Path) -> None:
    from streamdehaze.bench.clip import draw_clip

    draw_clip(tmp_path / "clip.mp4", 64, 48, 12)
    arguments = ["bench", str(tmp_path / "clip.mp4"), "--engine", "torch", "--network-size", "32", "--limit", "0.1"]
    arguments += ["--every", "3"]
    arguments += ["--frames", "8", "--json", str(tmp_path / "b.json"), "--csv", str(tmp_path / "b.csv")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "bound" in result.output
    rows = read_report(tmp_path / "b.json").rows
    pipeline = next(row for row in rows if row.part == "pipeline")
    assert pipeline.size == "64×48"
    assert pipeline.timing.frames % 8 == 0  # --frames cuts the file
    result = CliRunner().invoke(main, [*arguments, "--against", str(tmp_path / "b.json")])
    assert result.exit_code == 0, result.output
    assert result.output.count(" × ") >= len(PARTS)
    assert " × engine, batch 4: 64×48, network size 32, aecrnet-s, torch cpu float32" in result.output


def test_each_number_is_printed_as_soon_as_it_is_measured() -> None:
    arguments = ["bench", "--size", "64x48", "--engine", "torch", "--network-size", "32", "--limit", "0"]
    result = CliRunner().invoke(main, [*arguments, "--frames", "8"])
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stderr.splitlines() if "fps" in line]
    assert len(lines) == len(PARTS) - 1
    assert lines[0].startswith("64×48: decode: ")
    assert lines[-1].startswith("64×48, network size 32, aecrnet-s, torch cpu float32: steady pipeline, batch 4: ")


def test_the_default_plan_is_short_and_a_thorough_one_is_not() -> None:
    plan, thorough = BenchPlan(), BenchPlan(thorough=True)
    assert [plan.frames_of(*size) for size in ((854, 480), (1280, 720), (1920, 1080), (3840, 2160))] == [
        100,
        100,
        67,
        30,
    ]
    assert thorough.frames_of(3840, 2160) == 100
    assert BenchPlan(frames=40).frames_of(3840, 2160) == 40
    assert plan.limit < thorough.limit
    assert BenchPlan(limit_seconds=0).limit == 0


def test_the_plot_is_a_picture(report: BenchReport, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra plot)")
    from streamdehaze.bench.plot import plot

    plot(report, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes()[:4] == b"\x89PNG"
    assert [path.name for path in tmp_path.iterdir()] == ["bench.png"]
    facts = {"folder": "sots", "checkpoint": "aecrnet-s", "mode": "fast, network size 32"}
    (tmp_path / "e.json").write_text(json.dumps({"facts": facts, "summary": {"psnr": {"mean": 21.5}}}))
    quality = read_quality(tmp_path / "e.json")
    assert (quality.network_size, quality.psnr_db) == (32, 21.5)
    plot(report, tmp_path / "three.png", [quality])
    assert (tmp_path / "three.png").stat().st_size > (tmp_path / "bench.png").stat().st_size


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--size", "big"], 2, "neither WIDTHxHEIGHT nor one of 480p"),
        (["gone.mp4"], 1, "gone.mp4"),
        (["--against", "gone.json"], 1, "there is no report"),
        (["--size", "33x20", "--engine", "torch"], 1, "cannot be drawn"),
        (["--engine", "tensorflow"], 1, "there is no engine 'tensorflow'"),
        (["clip.mp4", "--size", "720p"], 2, "a size of its own"),
        (["--quality", "e.json"], 2, "drawn by --plot"),
        (["--quality", "gone.json", "--plot", "p.png"], 1, "there is no evaluation"),
        (["--json", "no/such/folder/b.json"], 1, "does not exist; create it first"),
        (["--limit", "-1"], 2, "--limit"),
    ],
)
def test_bad_options_are_reported_in_one_sentence(arguments: list[str], code: int, said: str) -> None:
    result = CliRunner().invoke(main, ["bench", *arguments])
    assert result.exit_code == code
    assert said in result.output
    assert "Traceback" not in result.output


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_results_that_cannot_be_written_are_still_shown() -> None:
    arguments = ["bench", "--size", "64x48", "--engine", "torch", "--network-size", "32", "--limit", "0"]
    result = CliRunner().invoke(main, [*arguments, "--frames", "8", "--json", "/dev/full"])
    assert result.exit_code == 1
    assert "bound" in result.output
    assert "'/dev/full' cannot be written: No space left on device" in result.output


def test_a_missing_matplotlib_is_reported_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else name)
    result = CliRunner().invoke(bench.command, ["--plot", str(tmp_path / "b.png"), "--size", "33x33"])
    assert str(result.exception) == f"--plot needs matplotlib: {install_command('plot')}"


def test_a_file_that_is_not_a_report_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"rows": 3}')
    with pytest.raises(ConfigError, match=r"x\.json is not a report"):
        read_report(tmp_path / "x.json")
