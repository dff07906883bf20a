"""`streamdehaze doctor` says what is installed, and what to type for what is missing, most useful first."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

from streamdehaze import extras
from streamdehaze.diagnosis import Finding, advice, diagnose, is_healthy
from streamdehaze.diagnosis.packages import module_of, packages, user_extras
from streamdehaze.errors import MissingPackageError
from streamdehaze.extras import PURPOSES, install_command, needed_for, pip_install, requirements, versions


def _doctor(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from streamdehaze.cli import main; main()", "doctor", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        env={**os.environ, "COLUMNS": "160", **(environment or {})},
    )


@pytest.fixture(scope="module")
def findings() -> list[Finding]:
    return diagnose()


def test_a_working_installation_is_healthy(findings: list[Finding]) -> None:
    assert is_healthy(findings), [finding for finding in findings if finding.state == "broken"]
    states = {finding.name: finding.state for finding in findings}
    for name in (
        "libx264",
        "libx265",
        "libsvtav1",
        "libvpx-vp9",
        "prores_ks",
        "ffv1",
        "aecrnet-s",
        "dehazing",
        "torch",
    ):
        assert states[name] == "ok"


def test_every_requirement_and_every_extra_is_looked_at(findings: list[Finding]) -> None:
    names = {finding.name for finding in findings if finding.section in ("packages", "engines", "extras")}
    assert {*user_extras(), *(each.name for each in requirements())} <= names
    assert {"live", "webrtc", "plot", "train", "openvino"} <= names
    assert {"starlette", "uvicorn"} <= {each.name for each in requirements("webrtc")}, "extras inside extras"


def test_an_extra_whose_package_needs_a_newer_python_is_not_called_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ['future; python_version >= "4.2" and extra == "vapoursynth"', 'numpy; extra == "vapoursynth"']
    monkeypatch.setattr(metadata, "requires", lambda name: lines)
    (found,) = (each for each in packages() if each.name == "vapoursynth")
    assert (found.state, found.fix) == ("missing", None)
    assert found.detail.endswith("future needs Python 4.2 or newer")
    with (
        pytest.raises(MissingPackageError, match=r"a script needs future, and that Python 4\.2 or newer"),
        needed_for("a script", "vapoursynth"),
    ):
        raise ModuleNotFoundError(name="future")


def test_every_extra_has_a_purpose() -> None:
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[1] / "setup.cfg")  # newer than the metadata, which an installation wrote
    assert set(setup["options.extras_require"]) - {"dev", "docs"} == set(PURPOSES)


def test_every_requirement_that_is_installed_has_a_module() -> None:
    required = [each for extra in ("", *user_extras()) for each in requirements(extra)]
    installed = versions([each.name for each in required])
    assert {"av", "numpy", "opencv-python-headless", "pillow"} <= installed.keys()
    for each in required:
        if each.name in installed:
            assert find_spec(module_of(each)) is not None, each


def test_an_installation_whose_folder_is_gone_is_given_the_package_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "_origin", lambda: ((), "streamdehaze", "file:///src"))
    command = install_command("webrtc")
    assert "aiortc" in command
    assert "streamdehaze" not in command


def test_advice_begins_with_what_is_required_and_what_helps_this_machine_most() -> None:
    plot = Finding("extras", "plot", "missing", "", "a")
    openvino = Finding("engines", "openvino", "missing", "", "b", useful=True)
    onnx = Finding("extras", "onnx", "broken", "", "c")
    numpy = Finding("packages", "numpy", "broken", "", "d", core=True)
    fine = Finding("packages", "click", "ok", "8.1", core=True)
    assert advice([plot, openvino, fine, onnx, numpy]) == [numpy, onnx, openvino, plot]


def test_json_output_is_for_programs() -> None:
    done = _doctor("--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["healthy"] is True
    assert {"python", "packages", "ffmpeg", "encoders", "engines", "cpu", "gpu", "checkpoints", "folders"} <= {
        finding["section"] for finding in report["findings"]
    }


def _broken(folder: Path, module: str, statement: str) -> dict[str, str]:
    """An environment in which importing `module` fails as a half-removed package does."""
    (folder / module).mkdir()
    (folder / module / "__init__.py").write_text(statement + "\n")
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("raise ImportError('libnothing.so: cannot open')", "libnothing.so"),
        ("import os; os.abort()", "importing it ends the process"),  # a runtime without its driver
    ],
)
def test_a_broken_optional_package_is_no_reason_to_fail(tmp_path: Path, statement: str, said: str) -> None:
    done = _doctor(environment=_broken(tmp_path, "torchmetrics", statement))
    assert done.returncode == 0
    assert said in done.stdout
    assert f"To fix:\n  train\n    {install_command('train')}" in done.stdout


def test_a_broken_core_package_is(tmp_path: Path) -> None:
    environment = _broken(tmp_path, "cv2", "raise ModuleNotFoundError('No module named cv2', name='cv2')")
    done = _doctor(environment=environment)
    assert done.returncode == 1
    assert pip_install("--force-reinstall", "opencv-python-headless>=4.10") in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
