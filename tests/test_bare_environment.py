"""Every command without extras: it works, or one sentence names the command that installs the extra."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from clips import Clip
from streamdehaze.cli import main
from training_data import make_pairs, make_scenes

HERE = Path(__file__).parent


class Outcome(NamedTuple):
    """The outcome of a command."""

    exit_code: int
    output: str
    fault: str | None


def in_bare_environment(folder: Path, commands: list[list[str]], without: str = "") -> list[Outcome]:
    """Run commands one after another in a process that sees no extras."""
    program = [sys.executable, str(HERE / "bare_environment.py"), "--without", without, str(folder)]
    environment = {**os.environ, "COLUMNS": "200", "STREAMDEHAZE_ENGINES": str(folder / "engines")}
    done = subprocess.run(program, input=json.dumps(commands), capture_output=True, text=True, env=environment)
    outcomes = [Outcome(*json.loads(line)) for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(outcomes) == len(commands), done.stderr
    return outcomes


WORKS = [
    "run foggy.mp4 -o clear.mp4 --engine torch --network-size 32",
    "run foggy.mp4 -o auto.mp4 --network-size 32",
    "parts .",
    "run foggy.mp4 -o shared.mp4 --engine torch --network-size 32 --segment 1/1",
    "join shared.mp4.part",
    "live foggy.mp4 --to live-{name}.mkv --engine torch --network-size 32",
    "compare foggy.mp4 clear.mp4 -o compare.mp4",
    "meter foggy.mp4 --csv haze.csv --engine torch --network-size 32",
    "visibility learn foggy.mp4 --every 1 -o gate.npz --mark 0.2,0.3,80 --mark 0.8,0.7,400",
    "demo -o demo --seconds 0.2",
    "doctor",
    "bench foggy.mp4 --engine torch --network-size 32 --limit 0 --frames 8",
    "engine list",
    "engine verify",
    "engine prune",
    "data check pairs --sheet sheet.jpg",
    "data rooms rooms --textures scenes --count 1",
    "data towns towns --textures scenes --count 1",
    "checkpoint show aecrnet-s",
    "checkpoint card aecrnet-s",
    "checkpoint convert aecrnet-s half.safetensors --half",
    "checkpoint average aecrnet-s aecrnet-s mean.safetensors",
    "checkpoint widen aecrnet-s wide.safetensors --width 32",
]
NEEDS = {
    "live foggy.mp4 --serve 127.0.0.1:0": "live",
    "bench foggy.mp4 --plot bench.png": "plot",
    "meter foggy.mp4 --plot haze.png": "plot",
    "export aecrnet-s": "openvino",
    "engine build --engine openvino --checkpoint aecrnet-s": "openvino",
    "run foggy.mp4 -o waits.mp4 --engine openvino --engine-wait": "openvino",
    "engine build --engine tensorrt": "tensorrt",
    "run foggy.mp4 -o rt.mp4 --engine tensorrt": "tensorrt",
    "run foggy.mp4 -o ort.mp4 --engine onnxruntime": "onnxruntime",
    "run foggy.mp4 -o ray.mp4 --ray local": "ray",
    "run s3://films/foggy.mp4": "cloud",
    "discover": "onvif",
    "train smoke": "train",
    "evaluate pairs --engine torch": "train",
}
"""Commands, and the extra without which each is refused."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    folder = tmp_path_factory.mktemp("bare")
    Clip(pts=range(0, 8 * 512, 512)).write(folder / "foggy.mp4")
    make_pairs(folder / "pairs")
    make_scenes(folder / "scenes")
    commands = [*WORKS, *NEEDS]
    return dict(zip(commands, in_bare_environment(folder, [c.split() for c in commands]), strict=True))


@pytest.mark.parametrize("command", WORKS)
def test_it_works(outcomes: dict[str, Outcome], command: str) -> None:
    outcome = outcomes[command]
    assert (outcome.exit_code, outcome.fault) == (0, None), outcome.output


@pytest.mark.parametrize("command", NEEDS)
def test_it_needs_an_extra_and_says_how_to_install_it(outcomes: dict[str, Outcome], command: str) -> None:
    outcome = outcomes[command]
    assert (outcome.exit_code, outcome.fault) == (1, None), outcome.output
    assert f"[{NEEDS[command]}]" in outcome.output, outcome.output
    assert " install " in outcome.output
    assert "Traceback" not in outcome.output


def test_every_command_is_tried() -> None:
    tried = {command.split()[0] for command in (*WORKS, *NEEDS)}
    import click

    assert tried == set(main.list_commands(click.Context(main)))
