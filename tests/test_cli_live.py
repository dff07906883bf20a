"""`streamdehaze live` as a process: signals, logs, exit codes, and no secret anywhere."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest
from click.testing import CliRunner

from clips import Clip
from rtsp_camera import free_port
from streamdehaze.cli import main
from streamdehaze.cli.commands.cameras.live import command
from waiting import PATIENCE_SECONDS, wait_until


class Live:
    """A running `streamdehaze live` and the lines it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def says(self, words: str) -> bool:
        return any(words in line for line in list(self.lines))

    def ends(self, number: int) -> int:
        """Send a signal and return the exit code; that takes under 5 seconds on a machine that is not overloaded."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join()
        return code


@contextmanager
def live(*arguments: object, **environment: str) -> Iterator[Live]:
    command = [sys.executable, "-m", "streamdehaze", "live", *map(str, arguments)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}, bufsize=1
    ) as process:
        running = Live(process)
        try:
            yield running
        finally:
            process.kill()


def film(folder: Path, frames: int = 50) -> Path:
    return Clip(pts=tuple(512 * n for n in range(frames))).write(folder / "film.mp4")


def test_sigterm_finishes_the_files(tmp_path: Path) -> None:
    arguments = [film(tmp_path), "--realtime", "--loop", "--to", tmp_path / "clear" / "{name}.mp4", "--engine", "torch"]
    with live(*arguments) as running:
        wait_until(lambda: running.says("sends to"), "it sends")
        clear = tmp_path / "clear"
        first = sum(path.stat().st_size for path in clear.glob("film-*.mp4"))
        wait_until(lambda: sum(path.stat().st_size for path in clear.glob("film-*.mp4")) > first, "it writes")
        assert running.ends(signal.SIGTERM) == 0
    (clear,) = (tmp_path / "clear").glob("film-*.mp4")
    with av.open(str(clear)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert len(times) > 5
    assert times == sorted(times)


@contextmanager
def python_that(folder: Path, name: str, code: str) -> Iterator[dict[str, str]]:
    """An environment in which Python finds this module before all others."""
    (folder / name).write_text(code)
    yield {"PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH", ""))))}


def test_the_command_ends_as_soon_as_the_files_are_finished(tmp_path: Path) -> None:
    arguments = [film(tmp_path), "--realtime", "--loop", "--to", tmp_path / "{name}-clear.mp4", "--engine", "torch"]
    slow_runtime = "import atexit, time\natexit.register(time.sleep, 600)\n"
    with python_that(tmp_path, "sitecustomize.py", slow_runtime) as environment, live(*arguments, **environment) as it:
        wait_until(lambda: it.says("sends to"), "it sends")
        assert it.ends(signal.SIGTERM) == 0
    (clear,) = tmp_path.glob("film-clear-*.mp4")
    with av.open(str(clear)) as container:
        assert next(container.decode(video=0)).width > 0


def test_a_signal_while_an_engine_is_being_opened_is_heard_at_once(tmp_path: Path) -> None:
    slow_import = "import sys, time\nprint('opening', file=sys.stderr, flush=True)\ntime.sleep(600)\n"
    with (
        python_that(tmp_path, "openvino.py", slow_import) as environment,
        live(film(tmp_path), "--engine", "openvino", **environment) as it,
    ):
        wait_until(lambda: it.says("opening"), "it opens the engine")
        assert it.says("the clear frames go nowhere: give a target with --to, or --serve to look at them")
        assert it.ends(signal.SIGTERM) == 0


_STUCK = """
import logging, time
from streamdehaze.cli.shutdown import ONE_SIGNAL_SECONDS, ShutdownHandler
logging.basicConfig(format="%(message)s")
with ShutdownHandler() as shutdown:
    shutdown.has_work = True
    logging.warning("at work")
    shutdown.stop.wait()
    time.sleep(1.1 * ONE_SIGNAL_SECONDS)
    logging.warning("finishing")
    time.sleep(600)
"""


@pytest.mark.parametrize(("signals", "code"), [([signal.SIGTERM], 1), ([signal.SIGTERM, signal.SIGINT], 130)])
def test_what_cannot_be_finished_is_abandoned_in_time_or_at_a_second_signal(signals: list[int], code: int) -> None:
    with subprocess.Popen([sys.executable, "-c", _STUCK], stderr=subprocess.PIPE, text=True) as process:
        stuck = Live(process)
        wait_until(lambda: stuck.says("at work"), "it works")
        for number in signals[:-1]:
            process.send_signal(number)
            wait_until(lambda: stuck.says("finishing"), "it receives the first signal")
            time.sleep(1.2)  # two within a second count as one
        assert stuck.ends(signals[-1]) == code
    assert stuck.says("exiting anyway") == (code == 1)


def test_the_size_of_files_is_typed_as_in_other_commands() -> None:
    with command.make_context("live", ["camera.mp4", "--segment-bytes", "1.5M"]) as context:
        assert context.params["segment_bytes"] == 3 << 19
    result = CliRunner().invoke(main, ["live", "camera.mp4", "--segment-bytes", "many"])
    assert result.exit_code == 2
    assert "'many' is not a size in bytes" in result.output


def test_files_that_end_end_the_command(tmp_path: Path) -> None:
    with live(film(tmp_path, frames=5), "--to", tmp_path / "clear.mkv", "--engine", "torch") as running:
        assert running.process.wait(PATIENCE_SECONDS) == 0
    assert len(list(tmp_path.glob("clear-*.mkv"))) == 1


def test_the_configuration_is_read_again_on_sighup_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "cameras.toml"
    sink = f"rtmp://warden:hush@127.0.0.1:{free_port()}/live/{{{{name}}}}?key=hush"
    camera = f'[[camera]]\nname = "{{name}}"\nurl = "{film(tmp_path)}"\nrealtime = true\nloop = true\nto = ["{sink}"]\n'
    config.write_text(camera.format(name="gate"))
    with live("--config", config, "--engine", "torch", "--log-format", "json") as running:
        wait_until(lambda: running.says("gate: runs"), "the first camera")
        config.write_text("batch_size = 2\n" + camera.format(name="gate") + camera.format(name="yard"))
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: running.says("yard: runs"), "the second camera")
        assert running.says("changes of batch_size take effect when the command is started again")
        config.write_text(camera.format(name="gate") + "strenght = 1\n")
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: running.says("the cameras stay as they are"), "what is wrong")
        assert running.says("there is no such option")
        wait_until(lambda: running.says("nothing listens at rtmp://127.0.0.1"), "the sink's trouble")
        assert running.ends(signal.SIGTERM) == 0
    for line in running.lines:
        assert "hush" not in line
        assert "warden" not in line
        assert {"time", "level", "logger", "message"} <= json.loads(line).keys()


def test_quiet_reports_what_needs_an_operator_and_takes_a_password_that_comes_later(tmp_path: Path) -> None:
    config, password = tmp_path / "cameras.toml", tmp_path / "gate.password"
    config.write_text(
        f'[[camera]]\nname = "gate"\nurl = "{film(tmp_path)}"\npassword_file = "{password.name}"\n'
        f'to = ["{tmp_path / "clear.mkv"}"]\nslow_retry_seconds = 0.5\n'
    )
    with live("--config", config, "--quiet", "--engine", "torch") as running:
        wait_until(lambda: running.says(f"gate: the password file '{password}' cannot be read"), "the missing password")
        password.write_text("hush\n")
        password.chmod(0o600)
        assert running.process.wait(PATIENCE_SECONDS) == 0, "the film is over"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 2, "give the URLs of cameras, or --config"),
        (["rtsp://h/", "--config", "cameras.toml"], 2, "give the URLs of cameras, or --config"),
        (["--config", "cameras.toml"], 1, "'cameras.toml' cannot be read"),
        (["rtsp://h/", "rtsp://g/", "--to", "clear.mkv"], 1, "put {name} in --to"),
        (["rtsp://h/", "--to", "clear.avi"], 1, "use a .mkv, .ts, .mp4 file"),
        (["rtsp://h/", "--network-size", "50"], 1, "network_size: write a multiple of 4"),
        (["rtsp://h/", "--password-file", "gone.txt"], 1, "the password file 'gone.txt' cannot be read: No such file"),
        (
            ["rtsp://h/", "--password-env", "GONE"],
            1,
            "the environment variable GONE, which an address needs, is not set",
        ),
        (["rtsp://u:${GONE}@h/"], 1, "the environment variable GONE, which an address needs, is not set"),
        (["rtsp://h/", "--latency-budget", "soon"], 2, "write 90, 1.5s, 200ms"),
    ],
)
def test_what_is_wrong_is_reported_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["live", *arguments])
    assert result.exit_code == code
    assert sentence in " ".join(result.output.replace("│", " ").split())
