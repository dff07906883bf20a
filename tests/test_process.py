"""Our own child processes ignore modules in the folder they are started in; threads share the memory that is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamdehaze.process import free_memory, python_command

HOSTILE = (
    "runpy",
    "filelock",
    "queue",
    "numpy",
    "json",
    "av",
    "streamdehaze",
    "torch",
    "pkgutil",
    "os",
    "signal",
    "re",
)


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, full of modules that leave a trace when they are imported."""
    for name in HOSTILE:
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'caught')!r}, 'a').write({name + ' '!r})\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def traces(folder: Path) -> str:
    caught = folder / "caught"
    return caught.read_text() if caught.exists() else ""


def test_the_hostile_folder_leaves_traces(hostile: Path) -> None:
    subprocess.run([sys.executable, "-c", "import queue"], check=True)
    assert traces(hostile) == "queue "


@pytest.mark.parametrize("listed", [False, True])
def test_a_statement_finds_its_modules_elsewhere(hostile: Path, monkeypatch: pytest.MonkeyPatch, listed: bool) -> None:
    monkeypatch.setattr(sys, "path", ([os.getcwd(), ""] if listed else []) + sys.path)
    done = subprocess.run(python_command(f"import {', '.join(HOSTILE)}; print('fine')"), capture_output=True, text=True)
    assert done.stdout == "fine\n", done.stderr
    assert traces(hostile) == ""


def test_the_build_of_an_engine_finds_its_modules_elsewhere(hostile: Path) -> None:
    import threading

    from streamdehaze.engine.build.cache import EngineCache
    from streamdehaze.engine.build.in_subprocess import build_in_subprocess
    from streamdehaze.engine.build.request import BuildRequest
    from streamdehaze.engine.recipe import Recipe, Shape

    pytest.importorskip("openvino")
    cache = EngineCache(hostile / "engines")
    request = BuildRequest("aecrnet-s", Recipe(engine="openvino"), Shape(width=64, height=64, batch=1))
    build_in_subprocess(request, cache, threading.Event())
    assert traces(hostile) == ""


def test_the_sending_process_finds_its_modules_elsewhere(hostile: Path) -> None:
    from streamdehaze.video.writing.remote import Remote

    sender = Remote("udp://127.0.0.1:9?pkt_size=1316", "mpegts", {}, 5.0)
    sender.container.add_stream("libx264", rate=25)
    sender.give_up()
    assert traces(hostile) == ""


ARENAS = """
import ctypes, sys, threading
from streamdehaze.process import limit_arenas

if count := int(sys.argv[1]):
    limit_arenas(count)
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes, libc.fclose.argtypes = [ctypes.c_int, ctypes.c_void_p], [ctypes.c_void_p]
together = threading.Barrier(6)

def allocate():
    together.wait()
    libc.malloc(100)
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file = libc.fopen(sys.argv[2].encode(), b"w")
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.quick
@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_threads_share_as_many_arenas_as_are_allowed(tmp_path: Path) -> None:
    def arenas(limit: int) -> int:
        path = tmp_path / "arenas.xml"
        done = subprocess.run([sys.executable, "-c", ARENAS, str(limit), str(path)], capture_output=True, text=True)
        if "undefined symbol" in done.stderr:
            pytest.skip("this C library is not glibc")
        assert done.returncode == 0, done.stderr
        return path.read_text(encoding="ascii").count("<heap nr=")

    assert arenas(0) > 2
    assert arenas(1) == 1
    assert arenas(2) == 2


def test_a_containers_limit_counts_where_it_leaves_less_than_the_machine(tmp_path: Path) -> None:
    machines = free_memory(tmp_path)
    assert machines > 1 << 20
    (tmp_path / "memory.current").write_text("1000\n")
    for limit, left in (("max", None), ("5000", 4000), ("500", 0), (str(1 << 60), None)):
        (tmp_path / "memory.max").write_text(limit + "\n")
        assert free_memory(tmp_path) == left or (left is None and free_memory(tmp_path) > 1 << 20)
