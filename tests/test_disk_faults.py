"""Disks and network shares that fail: no result looks complete that is not, and no finished work is lost."""

from __future__ import annotations

import collections
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the disk that fails is made for Linux")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Every reading and writing call of a run, failed in turn with EIO."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler here to make the disk that fails")
    folder = tmp_path_factory.mktemp("disk")
    library = folder / "faulty_disk.so"
    build = [compiler, "-shared", "-fPIC", "-o", library, TESTS / "faulty_disk.c", "-ldl"]
    if (built := subprocess.run(build, capture_output=True, text=True)).returncode:
        pytest.skip(f"the disk that fails cannot be compiled here: {built.stderr.strip().splitlines()[-1]}")
    done = subprocess.run(
        [sys.executable, TESTS / "disk_faults.py", library, folder],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def wrong(cases: list[dict[str, Any]], fact: str) -> list[dict[str, Any]]:
    return [case for case in cases if not case[fact]]


def test_every_kind_of_call_failed(cases: list[dict[str, Any]]) -> None:
    failed = collections.Counter(case["what"] for case in cases if "Input/output error" in case["said"])
    assert failed["writing in segments"] >= 30
    assert failed["reading in segments"] >= 10
    assert len(failed) == 7


def test_only_a_complete_result_gets_the_final_name(cases: list[dict[str, Any]]) -> None:
    assert wrong(cases, "whole") == []


def test_what_failed_is_reported_in_one_sentence(cases: list[dict[str, Any]]) -> None:
    assert wrong(cases, "expected") == []
    reading = [case for case in cases if case["what"].startswith(("reading", "one reading"))]
    assert [case for case in reading if "--no-resume" in case["said"]] == []  # a failing disk is no reason for that
    assert [case for case in reading if "is damaged" in case["said"]] == []
    assert [case for case in reading if "in.m" in case["said"] and "cannot be written" in case["said"]] == []


def test_the_same_command_continues_once_the_disk_works_again(cases: list[dict[str, Any]]) -> None:
    assert [case for case in cases if case["again"]] == []
    assert [case for case in cases if case["left"]] == []
    assert any(case["kept"] for case in cases)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", [["--help"], ["--version"], ["parts"], ["run", "--help"], ["doctor", "--json"]])
def test_a_full_disk_under_standard_output_is_reported_in_one_sentence(tmp_path: Path, command: list[str]) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "streamdehaze", *command],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            check=False,
        )
    assert result.returncode == 1
    assert result.stderr.decode() == "streamdehaze: standard output cannot be written: No space left on device\n"
