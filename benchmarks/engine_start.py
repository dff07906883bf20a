"""How long engines take to start from the cache, and TensorRT-RTX to build ahead of time without a GPU.

    python benchmarks/engine_start.py

1. Seconds from `open_engine` to the first result, each in a fresh process, over those of importing the runtime there.
2. Seconds and bytes of a TensorRT-RTX plan of each compute capability, width 64, 256×144, batch 8 (skipped without it).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from calm import calm

from streamdehaze.engine import EngineCache, Recipe
from streamdehaze.engine.build.build import build_engine
from streamdehaze.engine.build.request import BuildRequest
from streamdehaze.network import write_checkpoint
from streamdehaze.network.aecrnet import AECRNet

_START = """
import contextlib, os, sys, time
import numpy, cv2
with contextlib.suppress(AttributeError, PermissionError):
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))  # calmly, as in calm.py
from streamdehaze.telemetry import import_quietly
start = time.perf_counter()
import_quietly("openvino")
imported = time.perf_counter()
from streamdehaze.engine import EngineCache, open_engine
from pathlib import Path
engine = open_engine(sys.argv[2], "openvino", cache=EngineCache(Path(sys.argv[1])))
assert engine.name.startswith("openvino"), engine.name
opened = time.perf_counter()
engine.infer(numpy.zeros((4, 3, 144, 256), numpy.float32))
print(imported - start, opened - imported, time.perf_counter() - opened)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        paper = folder / "width-64.safetensors"
        write_checkpoint(paper, AECRNet(64), {})
        cache = EngineCache(folder)
        for checkpoint in ("aecrnet-s", "aecrnet-m", str(paper)):
            build_engine(BuildRequest(checkpoint, Recipe(engine="openvino")), cache)
            found = []
            for _ in range(4):  # the first fills OpenVINO's own cache
                done = subprocess.run(
                    [sys.executable, "-c", _START, text, checkpoint], capture_output=True, text=True, check=True
                )
                found.append([float(value) for value in done.stdout.split()])
            importing, opening, first = min(found[1:], key=lambda row: row[1] + row[2])
            print(
                f"{Path(checkpoint).stem}: importing OpenVINO {importing:.2f} s, then open {opening:.2f} s "
                f"and first batch {first:.2f} s (the very first start {sum(found[0][1:]):.2f} s)",
                flush=True,
            )
        _plans(paper, folder)


def _plans(checkpoint: Path, folder: Path) -> None:
    try:
        import tensorrt_rtx
    except ImportError:
        print("TensorRT-RTX is not installed: no plans")
        return
    from streamdehaze.engine.onnx.export import export_onnx
    from streamdehaze.engine.onnx.template import GraphShape
    from streamdehaze.engine.recipe import Shape, TensorRTOptions
    from streamdehaze.engine.tensorrt.compile import compile_plan
    from streamdehaze.network import load_network

    shape, network = Shape(width=256, height=144, batch=8), load_network(checkpoint)
    for precision in ("float16", "float32"):
        graph = folder / f"{precision}.onnx"
        start = time.perf_counter()
        export_onnx(network, graph, GraphShape(8, 144, 256), precision=precision)  # type: ignore[arg-type]
        print(f"TensorRT-RTX {tensorrt_rtx.__version__}, {precision}: export {time.perf_counter() - start:.1f} s")
        for name in [name for name in tensorrt_rtx.ComputeCapability.__members__ if name.startswith("SM")]:
            options = TensorRTOptions(compute_capabilities=(name,))
            start = time.perf_counter()
            with calm():
                plan = compile_plan(tensorrt_rtx, graph, shape, options, None, lambda what, share: None)
            print(f"    {name}: {time.perf_counter() - start:.2f} s, {len(plan) / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
