"""Our calls to TensorRT, and its double in tests, checked against the real classes of its lean runtime."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import streamdehaze
from runtime_double import DoubleCuda, DoubleTensorRT
from streamdehaze.engine.recipe import read_recipe
from streamdehaze.engine.tensorrt.runtime import find_gpu, logger
from streamdehaze.errors import ConfigError

trt = pytest.importorskip("tensorrt_lean", reason="tensorrt-lean-cu13 is not installed")

ENGINE = Path(streamdehaze.__file__).parent / "engine" / "tensorrt"
OURS = {"compute", "memory", "session", "addresses", "launches", "shape"}
"""Names that only the double has."""


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_all_that_running_a_plan_calls_exists() -> None:
    source = (ENGINE / "execution.py").read_text(encoding="utf-8")
    for attribute, real in (("runtime", trt.Runtime), ("engine", trt.ICudaEngine), ("context", trt.IExecutionContext)):
        called = {
            "".join(found) for found in re.findall(rf"\bself\._{attribute}\.(\w+)|\b{attribute}\.(set_\w+)", source)
        } - {"create_runtime_config"}  # TensorRT-RTX's
        assert called
        assert called <= public(real), attribute
    assert "strategy: tensorrt_lean_bindings.tensorrt_lean.ExecutionContextAllocationStrategy =" in str(
        trt.ICudaEngine.create_execution_context.__doc__
    )  # which we do not set
    assert not hasattr(trt, "IRuntimeCache")  # by which TensorRT-RTX is known


def test_the_double_has_nothing_that_the_real_classes_lack() -> None:
    double = DoubleTensorRT(DoubleCuda())
    runtime = double.Runtime(None)
    assert public(type(runtime)) <= public(trt.Runtime)
    assert public(double.ILogger) <= public(trt.ILogger)
    classes = inspect.getclosurevars(type(runtime).deserialize_cuda_engine).nonlocals
    engine = classes["Engine"]
    context = inspect.getclosurevars(engine.create_execution_context).nonlocals["Context"]
    assert public(engine) - OURS <= public(trt.ICudaEngine)
    assert public(context) - OURS <= public(trt.IExecutionContext)


def test_its_messages_come_through_our_logger() -> None:
    log = logger(trt)
    log.log(trt.ILogger.ERROR, "no such plan")
    log.log(trt.ILogger.INFO, "nothing to see")
    assert log.errors == ["no such plan"]


def test_a_machine_without_a_driver_is_reported_and_the_runtime_is_left_alone(tmp_path: Path) -> None:
    if find_gpu() is not None:
        pytest.skip("there is a GPU here")
    recipe = tmp_path / "lean.toml"
    recipe.write_text('engine = "tensorrt"\n[tensorrt]\nruntime = "lean"\nversion_compatible = true\n')
    program = (
        "import sys\n"
        "from streamdehaze.engine import open_engine\n"
        "from streamdehaze.errors import EngineError\n"
        "try:\n    open_engine('aecrnet-s', sys.argv[1])\n"
        "except EngineError as error:\n    print(error, 'tensorrt_lean' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(recipe)], capture_output=True, text=True)
    assert done.stdout == "TensorRT finds no NVIDIA GPU here False\n", done.stderr


def test_only_compatible_engines_are_for_the_lean_runtime(tmp_path: Path) -> None:
    (tmp_path / "lean.toml").write_text('engine = "tensorrt"\n[tensorrt]\nruntime = "lean"\n')
    with pytest.raises(ConfigError, match="needs version_compatible = true"):
        read_recipe(tmp_path / "lean.toml")
