"""The operators' examples fit the program: what they name is there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from live_feed import RenderedPipeline
from streamdehaze.cli.commands.live import command
from streamdehaze.live import read_config
from streamdehaze.live.web import serve

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
    """Names of all metrics a running page gives."""
    with RenderedPipeline("north") as pipeline:
        server = serve(pipeline, port=0)
        metrics = httpx.get(server.url + "metrics").text
        server.stop()
    had = set(re.findall(r"^([a-z_]+)(?:\{| )", metrics, re.MULTILINE))
    had |= {line.split()[2] for line in metrics.splitlines() if line.startswith("# TYPE")}
    return had | {f"{name}_total" for name in had}


def metrics_of(query: str) -> set[str]:
    """Names of all metrics a query asks for."""
    return set(re.findall(r"\b(?:streamdehaze|process)_[a-z_]+", query))


def test_every_metric_on_the_dashboard_is_one_we_have() -> None:
    dashboard = json.loads((EXAMPLES / "grafana.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used = metrics_of(" ".join(queries))
    assert len(used) > 12
    assert used <= metrics_had()


def test_every_metric_of_the_operators_page_is_one_we_have() -> None:
    page = (EXAMPLES.parents[1] / "docs" / "operators.md").read_text()
    alerts = page.partition("Worth waking someone for:")[2].partition("```\n")[2].partition("```")[0]
    assert metrics_of(alerts) <= metrics_had()
    assert len(metrics_of(alerts)) == 3


def test_every_option_of_the_service_and_the_image_is_one_we_have() -> None:
    unit = (EXAMPLES / "streamdehaze.service").read_text().replace("\\\n", " ")
    (started,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    image = (EXAMPLES / "Dockerfile").read_text().replace("\\\n", " ")
    (arguments,) = re.findall(r"^CMD (\[.*\])$", image, re.MULTILINE)
    for words in (shlex.split(started), json.loads(arguments)):
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
    text = (EXAMPLES / "streamdehaze.service").read_text()
    unit.write_text(text.replace("/opt/streamdehaze/bin/streamdehaze", str(program)))
    checked = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    complaints = [line for line in checked.stderr.splitlines() if "streamdehaze.service" in line]
    assert complaints == []
