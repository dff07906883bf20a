"""`streamdehaze doctor` tells what is there and what to type for what is not."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streamdehaze import diagnosis
from streamdehaze.diagnosis import Finding, diagnose, is_healthy


def _doctor(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from streamdehaze.cli import main; main()", "doctor", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
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


def test_what_is_missing_names_its_command(findings: list[Finding]) -> None:
    for finding in findings:
        if finding.state == "missing" and finding.section in ("engines", "extras"):
            assert finding.fix is not None
            assert finding.fix.startswith("pip install ")


def test_the_commands_name_extras_that_exist() -> None:
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[1] / "setup.cfg")
    source = Path(diagnosis.__file__).read_text(encoding="utf-8")
    named = set(re.findall(r"streamdehaze\[([a-z-]+)\]", source))
    assert "openvino" in named
    assert named <= set(setup["options.extras_require"])


def test_json_is_for_programs() -> None:
    done = _doctor("--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["healthy"] is True
    assert {"python", "packages", "ffmpeg", "encoders", "engines", "cpu", "gpu", "checkpoints", "folders"} <= {
        finding["section"] for finding in report["findings"]
    }


def _hide(folder: Path, module: str, error: str) -> dict[str, str]:
    """An environment in which importing `module` fails as a half-removed package does."""
    (folder / module).mkdir()
    (folder / module / "__init__.py").write_text(f"raise {error}\n")
    return {"PYTHONPATH": str(folder)}


def test_a_broken_optional_package_is_no_reason_to_fail(tmp_path: Path) -> None:
    done = _doctor(environment=_hide(tmp_path, "torchmetrics", "ImportError('libnothing.so: cannot open')"))
    assert done.returncode == 0
    assert "libnothing.so" in done.stdout
    assert "torchmetrics is broken: pip install 'streamdehaze[train]'" in done.stdout


def test_a_broken_core_package_is(tmp_path: Path) -> None:
    done = _doctor(environment=_hide(tmp_path, "cv2", "ModuleNotFoundError('No module named cv2', name='cv2')"))
    assert done.returncode == 1
    assert "pip install --force-reinstall opencv-python-headless" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
