"""Loops compiled by numba, whose machine code is used without numba from the second start on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamdehaze.dehaze.kernels.compiled import Loop

_PROGRAM = """
import sys
import numpy as np
from streamdehaze.dehaze import kernels
rng = np.random.default_rng(0)
plane, small = rng.integers(0, 255, (48, 64), np.uint8), np.empty((12, 16), np.float32)
kernels.shrink(plane, 0, 1, 0, 64, 48, 1 / 255, small)
maps, out = rng.random((2, 12, 16), np.float32), np.empty_like(plane)
kernels.apply_affine(plane, 0, 1, 0, 64, 48, maps[0], maps[1] / 6, 1.0, 255, out)
planes, cells = rng.random((6, 12, 16), np.float32), np.zeros((2, 3, 4), np.float32)
kernels.blend(planes, planes[::-1].copy(), small, cells)
print(sorted({"numba", "torch"} & set(sys.modules)), small.tobytes().hex(), out.tobytes().hex(), planes.tobytes().hex())
"""


_ELSEWHERE = """
import os, pathlib
import streamdehaze.dehaze.kernels.compiled as compiled
compiled._folders = lambda: [pathlib.Path(os.environ["NUMBA_CACHE_DIR"])]
"""
"""Code kept next to the source does not count."""


def start(folder: Path) -> list[str]:
    """What a process with this cache folder printed: its modules, and the bytes of three results."""
    result = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE + _PROGRAM], env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return result.stdout.rsplit(maxsplit=3)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A cache folder, and what the process that filled it printed."""
    folder = tmp_path_factory.mktemp("loops")
    return folder, start(folder)


def test_the_second_start_needs_no_numba_and_gives_the_same(first: tuple[Path, list[str]]) -> None:
    folder, (modules, *results) = first
    assert modules == "['numba']"
    assert len(list(folder.glob("*.o"))) == 3
    again = start(folder)
    assert again == ["[]", *results]


def test_truncated_code_is_compiled_again(first: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, (_, *results) = first
    for file in folder.glob("*.o"):
        content = file.read_bytes()
        (tmp_path / file.name).write_bytes(content[: len(content) // 2])
    assert start(tmp_path)[1:] == results


@Loop
def _double(row: np.ndarray, factor: float, out: np.ndarray) -> None:
    for x in range(row.size):
        out[x] = row[x] * factor


@Loop
def _reversed(row: np.ndarray, out: np.ndarray) -> None:
    out[:] = row[::-1].copy()  # which allocates, so numba itself must run it


def test_any_memory_order_and_type_works() -> None:
    wide = np.arange(8, dtype=np.float32)
    fixed = wide.copy()
    fixed.setflags(write=False)
    for row in (wide, wide.astype(np.float64), wide.astype(np.uint16), wide[::2], wide[::-1], fixed):
        out = np.empty(row.size)
        for _ in range(2):
            _double(row, 2.0, out)
            assert np.array_equal(out, 2 * row.astype(np.float64))


def test_a_loop_that_allocates_is_left_to_numba(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    out = np.empty(4)
    _reversed(np.arange(4.0), out)
    assert out.tolist() == [3, 2, 1, 0]
    (kept,) = tmp_path.glob("_reversed-*.o")
    assert kept.stat().st_size == 16  # only says so


def test_without_a_folder_to_keep_code_in_it_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("streamdehaze.dehaze.kernels.compiled._folders", lambda: [tmp_path / "file" / "below"])
    out = np.empty(3, np.float32)
    loop = Loop(_double._function)
    loop(np.arange(3, dtype=np.int32), 3.0, out)
    assert out.tolist() == [0, 3, 6]
