"""The operators' examples fit the program: everything they name exists."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from clips import Clip
from live_feed import RenderedPipeline
from streamdehaze.cli import service
from streamdehaze.cli.commands.cameras.live import command
from streamdehaze.cli.service import ServiceManager
from streamdehaze.live import read_config
from streamdehaze.live.web import ListenAddress, WebServer
from waiting import PATIENCE_SECONDS

EXAMPLES = Path(__file__).parents[1] / "examples" / "live"
OPTIONS = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def test_the_cameras_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARBOUR_PASSWORD", "secret")
    shutil.copy(EXAMPLES / "cameras.toml", tmp_path)
    (tmp_path / "north-gate.password").write_text("secret\n")
    config = read_config(tmp_path / "cameras.toml")
    assert [camera.name for camera in config.camera] == ["north gate", "harbour", "yard"]
    assert [":secret@" in camera.address().full for camera in config.camera] == [True, True, False]
    assert not any("secret" in camera.shown_url for camera in config.camera)


def metrics_had() -> set[str]:
    """Names of all metrics that a running page exports."""
    with RenderedPipeline("north") as pipeline:
        server = WebServer(pipeline, ListenAddress("127.0.0.1", 0), token=None)
        server.start()
        metrics = httpx.get(server.url + "metrics").text
        server.stop()
    had = set(re.findall(r"^([a-z_]+)(?:\{| )", metrics, re.MULTILINE))
    had |= {line.split()[2] for line in metrics.splitlines() if line.startswith("# TYPE")}
    return had | {f"{name}_total" for name in had}


def metrics_of(query: str) -> set[str]:
    """Names of all metrics in a query."""
    return set(re.findall(r"\b(?:streamdehaze|process)_[a-z_]+", query))


def test_every_metric_on_the_dashboard_is_one_we_have() -> None:
    dashboard = json.loads((EXAMPLES / "grafana.json").read_text("utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used = metrics_of(" ".join(queries))
    assert len(used) > 12
    assert used <= metrics_had()


def test_every_metric_of_the_operators_page_is_one_we_have() -> None:
    page = (EXAMPLES.parents[1] / "docs" / "operators.md").read_text("utf-8")
    alerts = page.partition("Worth waking someone for:")[2].partition("```\n")[2].partition("```")[0]
    assert metrics_of(alerts) <= metrics_had()
    assert len(metrics_of(alerts)) == 3


def test_every_option_of_the_service_and_the_image_is_one_we_have() -> None:
    unit = (EXAMPLES / "streamdehaze.service").read_text("utf-8").replace("\\\n", " ")
    (started,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    image = (EXAMPLES / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    (arguments,) = re.findall(r"^CMD (\[.*\])$", image, re.MULTILINE)
    pod = (EXAMPLES / "statefulset.yaml").read_text("utf-8").partition("exec ")[2].partition("ports:")[0]
    for words in (shlex.split(started), json.loads(arguments), pod.split()):
        used = {word for word in words if word.startswith("-")}
        assert used
        assert used <= OPTIONS


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    program = tmp_path / "streamdehaze"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "streamdehaze.service"
    text = (EXAMPLES / "streamdehaze.service").read_text("utf-8")
    unit.write_text(text.replace("/opt/streamdehaze/bin/streamdehaze", str(program)))
    checked = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    complaints = [line for line in checked.stderr.splitlines() if "streamdehaze.service" in line]
    assert complaints == []


def test_every_metric_of_the_alerts_is_one_we_have() -> None:
    rules = (EXAMPLES / "alerts.yml").read_text("utf-8")
    used = metrics_of(" ".join(re.findall(r"expr: (.*)", rules)))
    assert len(used) == 8
    assert used <= metrics_had()
    assert "alerts.yml" in (EXAMPLES / "prometheus.yml").read_text("utf-8")


def test_every_file_that_the_compose_file_mounts_is_there() -> None:
    mounted = re.findall(r"- \./([\w./-]+):", (EXAMPLES / "compose.yaml").read_text("utf-8"))
    made = {"secrets/north-gate.password"}  # created by the command at its top
    assert len(mounted) >= 5
    assert [name for name in mounted if name not in made and not (EXAMPLES / name).exists()] == []


def test_the_service_manager_is_notified_of_readiness_and_liveness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [5.0]
    monkeypatch.setattr(service, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(0.2)
        manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"})
        manager.ready()
        manager.works()
        manager.works()
        now[0] += 0.15
        manager.works()
        manager.stopping()
        said = [heard.recv(64) for _ in range(4)]
        assert said == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"STOPPING=1"]
        with pytest.raises(TimeoutError):
            heard.recv(64)
    ServiceManager({}).ready()
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()


def test_a_running_command_reports_to_the_service_manager(tmp_path: Path) -> None:
    film = Clip(pts=tuple(512 * n for n in range(50))).write(tmp_path / "film.mp4")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(PATIENCE_SECONDS)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        arguments = ["live", str(film), "--realtime", "--loop", "--engine", "torch", "--serve", "127.0.0.1:0"]
        with subprocess.Popen([sys.executable, "-m", "streamdehaze", *arguments], env=environment) as process:
            try:
                assert [heard.recv(64) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
            finally:
                process.terminate()
