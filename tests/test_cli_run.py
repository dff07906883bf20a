"""`streamdehaze run` as its users call it: in a process of its own, on real files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from clips import Clip
from held_run import held_run
from waiting import PATIENCE_SECONDS, wait_until

STREAMDEHAZE = [sys.executable, "-c", "from streamdehaze.cli import main; main()"]


def streamdehaze(
    *arguments: str | Path, stdin: bytes | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*STREAMDEHAZE, *map(str, arguments)], input=stdin, capture_output=True, cwd=cwd, timeout=PATIENCE_SECONDS
    )


def run(
    *arguments: str | Path, stdin: bytes | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    return streamdehaze("run", "--engine", "torch", *arguments, stdin=stdin, cwd=cwd)


@pytest.fixture(scope="module")
def foggy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Clip(audio="aac", metadata={"title": "fog"}).write(tmp_path_factory.mktemp("clips") / "foggy.mp4")


def frame_times(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [frame.pts for frame in container.decode(video=0) if frame.pts is not None]


def assert_one_sentence(result: subprocess.CompletedProcess[bytes], *, code: int = 1) -> str:
    text = result.stderr.decode()
    assert result.returncode == code, text
    assert "Traceback" not in text
    lines = [line for line in text.splitlines() if line.startswith("streamdehaze: ")]
    assert len(lines) == 1, text
    return lines[0]


def test_foggy_mp4_becomes_foggy_clear_mp4_next_to_it(foggy: Path) -> None:
    result = run(foggy)
    assert result.returncode == 0, result.stderr.decode()
    clear = foggy.with_name("foggy.clear.mp4")
    assert frame_times(clear) == frame_times(foggy)
    assert sorted(p.name for p in foggy.parent.iterdir()) == ["foggy.clear.mp4", "foggy.mp4"]
    again = assert_one_sentence(run(foggy))
    assert "--overwrite" in again
    assert run(foggy, "--overwrite", "--quiet").stderr == b""


def test_one_bad_input_does_not_stop_the_others_and_is_reported(foggy: Path, tmp_path: Path) -> None:
    broken, missing = tmp_path / "broken.mp4", tmp_path / "missing.mp4"
    broken.write_bytes(b"not a video")
    result = run(broken, foggy, missing, "-o", f"{tmp_path}/out/", "--report", tmp_path / "report.json")
    assert result.returncode == 1
    text = result.stderr.decode()
    assert "Traceback" not in text
    assert "broken.mp4" in text
    assert "missing.mp4" in text
    assert os.listdir(tmp_path / "out") == ["foggy.clear.mp4"]
    jobs = json.loads((tmp_path / "report.json").read_text())["jobs"]
    assert ["error" in job for job in jobs] == [True, False, True]
    done = jobs[1]
    assert done["frames_in"] == done["frames_out"] == len(frame_times(foggy))
    assert list(done["stages"]) == ["decode", "dehaze", "apply", "encode"]
    assert done["bottleneck"] in done["stages"]
    assert done["checkpoint"] == "aecrnet-s"
    assert done["engine"].startswith("torch")
    assert {"python", "torch", "av", "streamdehaze"} <= set(done["versions"])


def test_standard_input_to_standard_output_through_pipes(foggy: Path, tmp_path: Path) -> None:
    matroska = run("-", "-o", "-", stdin=_as_matroska(foggy))
    assert matroska.returncode == 0, matroska.stderr.decode()
    (tmp_path / "clear.mkv").write_bytes(matroska.stdout)
    assert len(frame_times(tmp_path / "clear.mkv")) == len(frame_times(foggy))
    y4m = run("-", "-o", "-", "--container", "yuv4mpegpipe", stdin=_as_matroska(foggy))
    assert y4m.stdout.startswith(b"YUV4MPEG2 W64 H48")
    back = run("-", "-o", tmp_path / "back.mkv", stdin=y4m.stdout)
    assert back.returncode == 0, back.stderr.decode()
    assert len(frame_times(tmp_path / "back.mkv")) == len(frame_times(foggy))


def _wait_for(folder: Path, pattern: str) -> None:
    wait_until(lambda: list(folder.glob(pattern)), f"there is {pattern}")


def test_an_empty_pipe_is_said_to_be_empty(tmp_path: Path) -> None:
    outcome = run("-", "-o", tmp_path / "clear.mkv", stdin=b"")
    assert (outcome.returncode, outcome.stderr) == (1, b"streamdehaze: 'standard input' is empty (0 bytes)\n")


def _as_matroska(path: Path) -> bytes:
    target = path.with_name("piped.mkv.bin")
    with av.open(str(path)) as source, av.open(str(target), "w", format="matroska") as output:
        streams = {s.index: output.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                output.mux(packet)
    content = target.read_bytes()
    target.unlink()
    return content


def test_strength_zero_into_ffv1_is_bit_identical(foggy: Path, tmp_path: Path) -> None:
    run(foggy, "-o", tmp_path / "same.mkv", "--strength", "0", "--codec", "ffv1")
    with av.open(str(foggy)) as a, av.open(str(tmp_path / "same.mkv")) as b:
        pairs = list(zip(a.decode(video=0), b.decode(video=0), strict=True))
    assert len(pairs) == len(frame_times(foggy))
    for before, after in pairs:
        assert (before.to_ndarray() == after.to_ndarray()).all()


def test_a_report_replaces_reports_but_no_film(foggy: Path, tmp_path: Path) -> None:
    film, out = shutil.copy(foggy, tmp_path / "film.mp4"), tmp_path / "out.mp4"
    another = shutil.copy(foggy, tmp_path / "another.json")
    before = foggy.read_bytes()
    for command in (
        ["run", film, "-o", out, "--report", film],
        ["run", film, "-o", out, "--report", out],
        ["run", film, "-o", out, "--report", another],
        ["run", film, "-o", out, "--dry-run", "--report", another],
        ["meter", film, "--csv", film, "--overwrite"],
        ["meter", film, "--json", another, "--overwrite"],
        ["meter", film, "--csv", tmp_path / "x", "--json", tmp_path / "x"],
        ["bench", film, "--json", film],
    ):
        result = streamdehaze(*command)
        assert result.returncode == 1, command
        assert_one_sentence(result)
        assert "choose another name for the report" in " ".join(result.stderr.decode().split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another.json", "film.mp4"]
    assert Path(film).read_bytes() == Path(another).read_bytes() == before
    for _ in range(2):
        assert streamdehaze("run", film, "-o", out, "--dry-run", "--report", tmp_path / "x.json").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--strength", "2"], 2, "strength"),
        (["--start", "soon"], 2, "not a time"),
        (["--encoder-option", "x"], 2, "KEY=VALUE"),
        (["--encoder-option", "x264-params=nonsense=3"], 1, "does not take 'nonsense=3'"),
        (["--report", "s3://films/report.json"], 2, "'s3://films/report.json' is an address"),
        (["--mask", "https://user:hush@host/mask.png"], 2, "'https://host/mask.png' is an address"),
        (["--network-size", "250"], 1, "multiple of 4"),
        (["--checkpoint", "aecrnet-z"], 1, "did you mean"),
        (["--engine", "steam"], 1, "steam"),
        (["--codec", "x266"], 1, "x266"),
        (["--pixel-format", "yuv421p"], 1, "yuv421p"),
        (["--start", "0:20:00"], 1, "--start"),
        (["--encoder-option", "colour=blue"], 1, "colour"),
    ],
)
def test_wrong_options_are_reported_in_one_sentence_and_leave_nothing(
    foggy: Path, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    result = streamdehaze("run", foggy, "-o", tmp_path / "x.mp4", *arguments)
    assert result.returncode == code, result.stderr.decode()
    assert words in " ".join(result.stderr.decode().split())
    assert "Traceback" not in result.stderr.decode()
    if code == 1:
        assert_one_sentence(result)
    assert list(tmp_path.iterdir()) == []


def test_the_network_runs_as_often_as_needed_by_default(tmp_path: Path) -> None:
    still = Clip(still=True, options={"qp": "0"}).write(tmp_path / "still.mp4")  # lossless, so that its noise stays

    choices = ([], ["--every", "auto"], ["--every", "1"], ["--steady", "off"], ["--steady", "off", "--every", "1"])
    common = ["run", "--engine", "torch", "--network-size", "32", "--codec", "ffv1", str(still)]
    commands = [[*common, *options, "-o", str(tmp_path / f"{n}.mkv")] for n, options in enumerate(choices)]
    program = (
        "import sys; from streamdehaze.cli import main\nfor it in eval(sys.argv[1]): main(it, standalone_mode=False)"
    )
    subprocess.run([sys.executable, "-c", program, repr(commands)], check=True, timeout=300)
    cleared = []
    for n in range(len(choices)):
        with av.open(str(tmp_path / f"{n}.mkv")) as container:
            cleared.append([frame.to_ndarray().tobytes() for frame in container.decode(video=0)])
    assert cleared[0] == cleared[1] != cleared[2]
    assert cleared[3] == cleared[4]


def test_no_input_is_a_usage_error() -> None:
    assert streamdehaze("run").returncode == 2


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_leaves_no_partial_file(tmp_path: Path, signal_number: signal.Signals) -> None:
    long = Clip(size=(192, 144), pts=range(0, 100 * 512, 512)).write(tmp_path / "long.mp4")
    process = subprocess.Popen(
        held_run(50, "run", "--engine", "torch", "--network-size", "32", long), stderr=subprocess.PIPE, cwd=tmp_path
    )
    _wait_for(tmp_path, "*.part.mp4")
    process.send_signal(signal_number)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 128 + signal_number  # 130 or 143, which batch systems take for a job they ended
    assert b"nothing was kept" in errors
    assert b"Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["long.mp4"]


@pytest.mark.parametrize("begun", [False, True])
def test_a_stop_signal_ends_the_wait_for_a_silent_pipe(foggy: Path, tmp_path: Path, begun: bool) -> None:
    command = [*STREAMDEHAZE, "run", "--engine", "torch", "--verbose", "-", "-o", "clear.mkv"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        assert b"becomes" in process.stderr.readline()
        if begun:
            process.stdin.write(_as_matroska(foggy))
            process.stdin.flush()
        time.sleep(1)  # by now it waits for more
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(timeout=PATIENCE_SECONDS) == 130
        finally:
            process.kill()
    assert list(tmp_path.iterdir()) == []


def test_quiet_is_silent_on_a_terminal(foggy: Path, tmp_path: Path) -> None:
    controller, terminal = os.openpty()
    try:
        done = subprocess.run(
            [*STREAMDEHAZE, "run", "--engine", "torch", "--quiet", str(foggy), "-o", str(tmp_path / "clear.mp4")],
            stderr=terminal,
            timeout=PATIENCE_SECONDS,
        )
        os.set_blocking(controller, False)
        assert done.returncode == 0
        with pytest.raises(BlockingIOError):
            os.read(controller, 1)
    finally:
        os.close(controller)
        os.close(terminal)


def test_a_file_on_standard_input_is_read_in_any_order(foggy: Path, tmp_path: Path) -> None:
    """The index of this MP4 is at its end, where a pipe cannot seek to."""
    with foggy.open("rb") as file:
        done = subprocess.run(
            [*STREAMDEHAZE, "run", "--engine", "torch", "-", "-o", str(tmp_path / "clear.mp4")],
            stdin=file,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
        )
    assert done.returncode == 0, done.stderr.decode()
    assert frame_times(tmp_path / "clear.mp4") == frame_times(foggy)


def test_help_loads_nothing_heavy() -> None:
    """Importing torch, numpy, OpenCV or FFmpeg is what would make `--help` slow."""
    script = (
        "import sys\nfrom streamdehaze.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'numpy', 'cv2', 'av', 'numba', 'onnx', 'openvino', 'lightning'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
    assert "run" in result.stdout


def test_there_are_completion_scripts() -> None:
    for shell in ("bash", "zsh", "fish"):
        script = [sys.executable, "-c", "from streamdehaze.cli import main; main(prog_name='streamdehaze')"]
        environment = {**os.environ, "_STREAMDEHAZE_COMPLETE": f"{shell}_source"}
        result = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        assert "streamdehaze" in result.stdout


def test_every_kind_of_bad_file_is_reported_in_one_sentence_and_the_good_ones_are_done(
    foggy: Path, tmp_path: Path
) -> None:
    whole = foggy.read_bytes()
    bad = {
        "empty.mp4": b"",
        "text.mp4": b"this is no video\n" * 100,
        "noise.mkv": bytes(range(256)) * 40,
        "headless.mp4": whole[len(whole) // 2 :],
        "index-lost.mp4": whole[: len(whole) // 2],
        "picture.png": b"\x89PNG\r\n\x1a\n broken",
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    with av.open(str(tmp_path / "sound.m4a"), "w") as output:
        stream = output.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    (tmp_path / "folder.mp4").mkdir()
    names = [*bad, "sound.m4a", "missing.mp4", "folder.mp4"]
    result = run(*[tmp_path / name for name in names], foggy, "-o", f"{tmp_path}/out/")
    text = result.stderr.decode()
    assert result.returncode == 1, text
    assert "Traceback" not in text
    said = [line for line in text.splitlines() if line.startswith("streamdehaze: ")]
    for name in names:
        assert sum(name in line for line in said) == 1, f"{name} in {text}"
    assert len(said) == len(names)
    assert os.listdir(tmp_path / "out") == ["foggy.clear.mp4"]


def test_odd_sizes_and_depths_pass_through_everything(tmp_path: Path) -> None:
    shapes = [((1, 1), "yuv420p"), ((3, 5), "yuv422p10le"), ((1919, 1079), "yuv420p"), ((66, 50), "gray16le")]
    inputs = []
    for (width, height), pixel_format in shapes:
        clip = Clip(
            codec="rawvideo",
            size=(width, height),
            pixel_format=pixel_format,
            pts=range(0, 3 * 40, 40),
        )
        clip.time_base = Fraction(1, 1000)
        inputs.append(clip.write(tmp_path / f"{width}x{height}.nut"))
    result = run(*inputs)
    assert result.returncode == 0, result.stderr.decode()
    for path, ((width, height), pixel_format) in zip(inputs, shapes, strict=True):
        with av.open(str(path.with_name(f"{path.stem}.clear.nut"))) as container:
            frames = list(container.decode(video=0))
        assert [(f.width, f.height, f.format.name) for f in frames] == [(width, height, pixel_format)] * 3
