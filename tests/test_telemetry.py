"""Nothing here phones home: no package we import forks, opens a socket or writes into the user's home."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamdehaze.engine.build.picture import hazy_pictures

ROOT = Path(__file__).parents[1]

HARMLESS = {"ldconfig", "fc-list", "uname", "lscpu"}
"""System programs that torch and matplotlib run when they are imported, to find libraries and fonts."""

_WATCH = f"""
import os, sys

def _watch(event, arguments):
    if event == "subprocess.Popen":
        program = arguments[0] or arguments[1][0]
        if os.path.basename(os.fsdecode(program)) in {HARMLESS | {"python", Path(sys.executable).name}!r}:
            return
    if event in ("os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec", "subprocess.Popen") or (
        event.startswith("socket.") and event != "socket.__new__"
    ):
        with open(os.environ["WATCH_LOG"], "a") as log:
            log.write(f"{{event}} {{arguments}}\\n")

sys.addaudithook(_watch)
"""


class Watched:
    """Python processes, including children, whose forks and sockets are recorded, with an empty home at the start."""

    def __init__(self, folder: Path) -> None:
        (folder / "sitecustomize.py").write_text(_WATCH)
        self.home, self._log = folder / "home", folder / "events"
        self.home.mkdir()
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "STREAMDEHAZE"))
        } | {
            "HOME": str(self.home),
            "USERPROFILE": str(self.home),
            "MPLCONFIGDIR": str(folder / "matplotlib"),  # its list of fonts, when torchmetrics imports it
            "NUMBA_CACHE_DIR": str(folder / "numba"),
            "STREAMDEHAZE_ENGINES": str(folder / "engines"),
            "PYTHONPATH": str(folder),
            "WATCH_LOG": str(self._log),
        }

    def python(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=self._environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    @property
    def events(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []

    @property
    def written(self) -> list[Path]:
        return list(self.home.rglob("*"))


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_fork_and_a_socket_would_be_seen(watched: Watched) -> None:
    watched.python("import os, socket\nif os.fork() == 0: os._exit(0)\nsocket.socket().connect_ex(('127.0.0.1', 9))")
    assert [event.split()[0] for event in watched.events] == ["os.fork", "socket.connect"]


def test_importing_every_module_opens_nothing_and_writes_nothing(watched: Watched) -> None:
    program = """
import importlib, pkgutil, streamdehaze
from streamdehaze.errors import MissingPackageError
for module in pkgutil.walk_packages(streamdehaze.__path__, "streamdehaze."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except MissingPackageError:  # an extra that is not installed, or that this Python cannot have
            pass
        except ImportError as error:
            assert not error.name.startswith("streamdehaze"), error
        print(module.name)
"""
    assert "streamdehaze.engine.openvino.backend" in watched.python(program).splitlines()
    assert watched.events == []
    assert watched.written == []


@pytest.mark.parametrize("package", ["openvino", "nncf"])
def test_importing_openvino_and_nncf_reports_nothing(watched: Watched, package: str) -> None:
    pytest.importorskip(package)
    watched.python(f"from streamdehaze.telemetry import import_quietly\nimport_quietly({package!r})")
    assert watched.events == []
    assert watched.written == []


def test_importing_openvino_leaves_its_converter_for_those_who_want_it() -> None:
    pytest.importorskip("openvino")
    program = """
import sys
from streamdehaze.telemetry import import_quietly
openvino = import_quietly("openvino")
assert "openvino.tools.ovc" not in sys.modules
assert not hasattr(openvino, "convert_films")
assert callable(openvino.convert_model)
from openvino.tools.ovc import convert_model
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


def test_building_and_running_an_engine_reports_nothing(watched: Watched, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    photo = tmp_path / "hazy.png"
    cv2.imwrite(str(photo), (hazy_pictures(1, 64, 96)[0].transpose(1, 2, 0)[:, :, ::-1] * 255).astype(np.uint8))
    command = "from streamdehaze.cli import main; main()"
    arguments = "run", str(photo), "--engine", "openvino", "--engine-wait", "--network-size", "64"
    assert "openvino" in watched.python(command, *arguments)
    assert watched.events == []
    assert watched.written == []


def test_no_module_imports_openvino_or_nncf_by_itself() -> None:
    strays = []
    for path in [*(ROOT / "streamdehaze").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for_types = {
            inner
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            if node not in for_types and {name.partition(".")[0] for name in names} & {"openvino", "nncf"}:
                strays.append(f"{path.name}:{node.lineno}")
    assert strays == []
