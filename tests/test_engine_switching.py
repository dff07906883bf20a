"""Nobody waits for an engine: PyTorch serves at once, the engine takes over, and a failing one is set aside."""

from __future__ import annotations

import functools
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from clips import Clip
from streamdehaze.cli import main, work
from streamdehaze.engine import ENGINES, EngineCache, TorchEngine, open_engine, switching
from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.engine.build.request import BuildRequest
from streamdehaze.engine.switching import SwitchingEngine
from streamdehaze.errors import CheckpointError, EngineError
from streamdehaze.extras import install_command
from streamdehaze.fidelity import psnr
from streamdehaze.network import find_checkpoint, load_network
from waiting import PATIENCE_SECONDS, wait_until

HAZY = hazy_pictures(2, 144, 256)


def serve(engine: object, until: str) -> list[np.ndarray]:
    results, deadline = [], time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        results.append(engine.infer(HAZY))  # type: ignore[attr-defined]
        if engine.name.startswith(until):  # type: ignore[attr-defined]
            return results
    raise AssertionError(f"after {PATIENCE_SECONDS} s still {engine.name}")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_pytorch_serves_at_once_and_the_compiled_engine_takes_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    pytest.importorskip(name)
    pytest.importorskip("onnx")
    with caplog.at_level(logging.INFO, logger="streamdehaze"):
        engine = open_engine("aecrnet-s", name, cache=EngineCache(tmp_path))
        assert engine.name == "torch cpu float32"
        results = serve(engine, name)
        engine.close()
    assert len(results) >= 2  # the first was PyTorch's
    assert not np.array_equal(results[0], results[-1])
    assert min(psnr(result, results[0], peak=1.0) for result in results) > 35  # dB; the CPU may compute in bfloat16
    assert [record.message for record in caplog.records if "takes over" in record.message] == [
        f"the engine {EngineCache(tmp_path).records()[0].verification.engine} is built and verified, "  # type: ignore[union-attr]
        "and takes over from PyTorch"
    ]


def test_closing_ends_a_build_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    engine = open_engine("aecrnet-s", "openvino", cache=EngineCache(tmp_path))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not list(tmp_path.glob("*.part")) and time.monotonic() < deadline:
        engine.infer(HAZY)
    assert list(tmp_path.glob("*.part"))
    engine.close()
    assert list(tmp_path.glob("*.part")) == []
    assert EngineCache(tmp_path).records() == [], "the build was waited for"


def test_a_build_that_fails_costs_one_warning_and_no_frame(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING, logger="streamdehaze"):
        engine = open_engine("aecrnet-s", "openvino", cache=EngineCache(tmp_path / "file" / "engines"))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not caplog.records and time.monotonic() < deadline:
            assert engine.infer(HAZY).shape == HAZY.shape
        for _ in range(3):
            engine.infer(HAZY)
        engine.close()
    assert engine.name.startswith("torch")
    (record,) = caplog.records
    assert "PyTorch continues" in record.message
    assert "cannot be kept in" in record.message


def test_no_engine_of_a_checkpoint_that_was_replaced_meanwhile_takes_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    mine = tmp_path / "mine.safetensors"
    shutil.copy(find_checkpoint("aecrnet-s"), mine)
    engine = open_engine(mine, "openvino", cache=EngineCache(tmp_path / "engines"))
    first = engine.infer(HAZY)
    shutil.copy(find_checkpoint("aecrnet-m"), mine)
    deadline = time.monotonic() + PATIENCE_SECONDS
    with caplog.at_level(logging.WARNING, logger="streamdehaze"):
        while not caplog.records and time.monotonic() < deadline:
            last = engine.infer(HAZY)
    assert "a checkpoint that has replaced the one in use" in caplog.text
    assert engine.name.startswith("torch")
    np.testing.assert_allclose(last, first, atol=1e-5)
    engine.close()


def test_run_insists_on_the_engine_when_asked_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    import cv2

    hazy = tmp_path / "hazy.png"
    cv2.imwrite(str(hazy), (HAZY[0].transpose(1, 2, 0)[:, :, ::-1] * 255).astype(np.uint8))
    arguments = ["run", str(hazy), "--engine", "openvino", "--engine-wait", "--network-size", "64"]
    monkeypatch.setenv("STREAMDEHAZE_ENGINES", str(tmp_path / "engines"))
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "openvino cpu" in result.output
    monkeypatch.setenv("STREAMDEHAZE_ENGINES", str(hazy / "engines"))  # below a file
    result = CliRunner().invoke(main, [*arguments, "--overwrite"])
    assert result.exit_code == 1
    assert "cannot be kept in" in result.output


@pytest.mark.parametrize("seconds", [PATIENCE_SECONDS, 0.01])
def test_a_short_run_waits_for_the_build_that_it_began_but_not_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    pytest.importorskip("openvino")
    output, dropped, waited_for = tmp_path / "clear.mkv", list[bool](), threading.Event()
    finish_build = SwitchingEngine.finish_build

    def finish(engine: SwitchingEngine, stop: threading.Event, limit: float) -> bool:
        if limit:
            waited_for.set()
        return finish_build(engine, stop, limit)

    def build(request: BuildRequest, cache: EngineCache, stop: threading.Event) -> None:
        ends = waited_for if seconds == PATIENCE_SECONDS else stop
        wait_until(ends.is_set, "the command waits for the build, or ends it")
        assert output.exists()
        dropped.append(stop.is_set())
        raise EngineError("it is not needed any more")

    monkeypatch.setenv("STREAMDEHAZE_ENGINES", str(tmp_path / "engines"))
    monkeypatch.setattr(switching, "build_in_subprocess", build)
    monkeypatch.setattr(switching, "_PATIENCE_SECONDS", 0)
    monkeypatch.setattr(SwitchingEngine, "finish_build", finish)
    monkeypatch.setattr(work, "_BUILD_SECONDS", seconds)
    film = Clip(codec="ffv1").write(tmp_path / "hazy.mkv")
    result = CliRunner().invoke(
        main, ["run", str(film), "-o", str(output), "--engine", "openvino", "--batch-size", "2", "--every", "1"]
    )
    assert result.exit_code == 0, result.output
    assert "finishing the engine's build" in result.output
    assert dropped == [seconds < 1]
    assert ("`streamdehaze engine build`" in result.output) == (seconds < 1)


def test_one_photo_starts_no_build(tmp_path: Path) -> None:
    engine = open_engine("aecrnet-s", "auto", cache=EngineCache(tmp_path), device="cpu")
    engine.infer(HAZY[:1])
    engine.close()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_engine_names_the_right_ones() -> None:
    with pytest.raises(EngineError, match="choose " + ", ".join(ENGINES)):
        open_engine("aecrnet-s", "tensorflow")


def test_a_wrong_checkpoint_is_reported_whatever_the_engine() -> None:
    for engine in ("auto", "torch", "openvino"):
        with pytest.raises(CheckpointError, match="did you mean 'aecrnet-s'"):
            open_engine("aecrnet-x", engine)


@pytest.mark.parametrize(
    ("engine", "hidden", "extra"),
    [
        ("openvino", "openvino", "openvino"),
        ("onnxruntime", "onnxruntime", "onnxruntime"),
        ("tensorrt", "tensorrt", "tensorrt"),
    ],
)
def test_a_missing_runtime_names_its_extra_and_auto_works_without_it(engine: str, hidden: str, extra: str) -> None:
    program = f"""
import importlib.util, sys
sys.modules[{hidden!r}] = sys.modules["tensorrt_rtx"] = None
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name.startswith("tensorrt") else find(name, package)
from streamdehaze.engine import open_engine
from streamdehaze.errors import EngineError
try:
    open_engine("aecrnet-s", {engine!r})
except EngineError as error:
    print(error)
print(open_engine("aecrnet-s", "auto", device="cpu" if {engine!r} == "tensorrt" else "auto").name)
"""
    environment = {**os.environ, "STREAMDEHAZE_ENGINES": os.devnull}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    error, name = done.stdout.splitlines()
    assert install_command(extra) in error
    assert name.startswith("torch")


def test_no_thread_spins_under_the_command_line_and_importing_changes_no_setting() -> None:
    names = ("OMP_WAIT_POLICY", "OPENBLAS_THREAD_TIMEOUT", "OPENCV_FOR_THREADS_NUM")
    program = f"""
import os, sys
from streamdehaze.cli import main
main(["engine", "--help"], standalone_mode=False)
early = [name in sys.modules for name in ("numpy", "cv2", "torch")]
main(["engine", "list"], standalone_mode=False)
import cv2
print(early, *[os.environ[name] for name in {names}], cv2.getNumThreads())
"""
    imported = "import os, streamdehaze.engine, streamdehaze.dehaze; print([name for name in {} if name in os.environ])"
    environment = {key: value for key, value in os.environ.items() if key not in names}
    environment["STREAMDEHAZE_ENGINES"] = os.devnull

    def last_line(text: str) -> str:
        command = [sys.executable, "-c", text]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        return done.stdout.splitlines()[-1]

    assert last_line(program) == "[False, False, False] PASSIVE 4 1 1"
    assert last_line(imported.format(names)) == "[]"


def test_pytorch_keeps_the_threads_of_the_process() -> None:
    import torch

    before, engine = torch.get_num_threads(), TorchEngine(load_network("aecrnet-s"), "cpu", threads=3)
    engine.infer(HAZY[:1, :, :32, :32])
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("precision", "floor"), [("bfloat16", 40.0), ("float32", 120.0)])
def test_pytorch_in_every_precision_is_near_the_reference(precision: str, floor: float) -> None:
    network = load_network("aecrnet-s")
    import torch

    with torch.inference_mode():
        wanted = network(torch.from_numpy(HAZY)).clamp(0, 1).numpy()
    engine = TorchEngine(network, "cpu", precision=precision)  # type: ignore[arg-type]
    assert engine.name == f"torch cpu {precision}"
    error = float(np.mean((engine.infer(HAZY).astype(np.float64) - wanted) ** 2))
    assert error < 10 ** (-floor / 10)  # `psnr` ends at 100 dB


def test_a_device_that_pytorch_does_not_have_is_named() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(EngineError, match="PyTorch cannot use the device 'cuda'"):
        open_engine("aecrnet-s", "torch", device="cuda")


def test_a_recipe_for_pytorch_sets_its_precision_and_compiles(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    # The whole network is traced; only compiling its kernels, which takes most of a minute, is left out.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager", fullgraph=True))
    recipe = tmp_path / "compiled.toml"
    recipe.write_text('engine = "torch"\nprecision = "bfloat16"\n')
    assert open_engine("aecrnet-s", str(recipe), device="cpu").name == "torch cpu bfloat16"
    recipe.write_text('engine = "torch"\n[torch]\ncompiled = true\nthreads = 1\n')
    engine, small = open_engine("aecrnet-s", str(recipe), device="cpu"), HAZY[:1, :, :32, :32]
    with caplog.at_level(logging.INFO, logger="streamdehaze"):
        clear = engine.infer(small)
    assert engine.name == "torch cpu float32 compiled"
    assert psnr(clear, TorchEngine(load_network("aecrnet-s"), "cpu").infer(small), peak=1) > 90
    assert "torch.compile took" in caplog.text
