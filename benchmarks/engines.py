"""Our OpenVINO engine against OpenVINO, ONNX Runtime and torch.compile called bare on the same network.

    python benchmarks/engines.py [--width 16] [--size 256x144] [--seconds 60] [--skip-compile]

Our engine gets the graph that `run` compiles (`write_filled`), the bare ones what PyTorch exports for this size.

One picture a call, all cores; every round runs each candidate once, in turn, so that whatever else the machine does
falls on all of them, and the order changes from round to round; calls short enough run calmly (see calm.py). Two
ratios, of the best times (and, in brackets, of the medians, and of processor time):

- as they run by default: our engine with precision "auto" against OpenVINO as `compile_model` gives it without any
  setting, and ONNX Runtime and torch.compile, which compute in float32;
- in float32: all of them held to it (the same thing where the CPU computes in nothing less).

Widths 16 and 32 are bundled checkpoints, others random weights. Needs onnxruntime beside the extras `openvino`, `onnx`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import onnxruntime
import torch
from calm import timed

from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.engine.onnx.export import export_onnx
from streamdehaze.engine.onnx.template import GraphShape, write_filled
from streamdehaze.engine.openvino.backend import OpenVINOEngine
from streamdehaze.engine.processor import usable_cores
from streamdehaze.network import Checkpoint, load_network
from streamdehaze.network.aecrnet import AECRNet
from streamdehaze.telemetry import import_quietly

openvino = import_quietly("openvino")

LONGEST_CALM_MS = 8000
"""Of processor time: what costs more does not go before everybody else's work."""
BUNDLED = {16: "aecrnet-s", 32: "aecrnet-m"}


def candidates(width: int, size: tuple[int, int], folder: Path, compiled: bool) -> dict[str, Callable[[], object]]:
    network = load_network(BUNDLED[width]) if width in BUNDLED else AECRNet(width).eval()
    hazy, threads = hazy_pictures(1, size[1], size[0]), usable_cores()
    free, fixed = folder / "free.onnx", folder / "fixed.onnx"
    write_filled(Checkpoint.of(network), free, {})  # what the product compiles
    export_onnx(network, fixed, GraphShape(1, size[1], size[0]))

    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    bare = openvino.Core().compile_model(str(fixed), "CPU", hints).create_infer_request()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(fixed), options, providers=["CPUExecutionProvider"])
    ours = OpenVINOEngine(free, precision="float32")
    fastest = OpenVINOEngine(free)
    default = openvino.Core().compile_model(str(fixed), "CPU").create_infer_request()
    runs: dict[str, Callable[[], object]] = {
        "ours": lambda: fastest.infer(hazy),
        "OpenVINO": lambda: np.array(default.infer([hazy], share_inputs=True)[0]),
        "ONNX Runtime": lambda: session.run(None, {"hazy": hazy}),
    }
    if fastest.precision != "float32":
        runs["ours (float32)"] = lambda: ours.infer(hazy)
        runs["OpenVINO (float32)"] = lambda: np.array(bare.infer([hazy], share_inputs=True)[0])
    if compiled:
        torch.set_num_threads(threads)
        module = torch.compile(network.folded())
        tensor = torch.from_numpy(hazy)

        def by_torch() -> object:
            with torch.inference_mode():
                return module(tensor).clamp(0, 1).numpy()

        runs["torch.compile"] = by_torch
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, action="append")
    parser.add_argument("--size", action="append")
    parser.add_argument("--seconds", type=float, default=60, help="for each width and size; three rounds at least")
    parser.add_argument("--skip-compile", action="store_true")
    asked = parser.parse_args()
    for width in asked.width or [16, 32, 64]:
        for text in asked.size or ["256x144", "1280x720"]:
            size = tuple(int(side) for side in text.split("x"))
            with tempfile.TemporaryDirectory() as folder:
                runs = candidates(width, (size[0], size[1]), Path(folder), not asked.skip_compile)
                for _ in range(2):  # the first compiles and allocates
                    work = {name: timed(run, calmly=False)[1] for name, run in runs.items()}
                calmly = max(work.values()) < LONGEST_CALM_MS
                times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
                begin, order = time.perf_counter(), list(runs)
                while len(times["ours"]) < 3 or time.perf_counter() - begin < asked.seconds:
                    order = [*order[1:], order[0]]
                    for name in order:
                        times[name].append(timed(runs[name], calmly=calmly))
            best = {name: min(wall for wall, _ in values) for name, values in times.items()}
            middle = {name: statistics.median(wall for wall, _ in values) for name, values in times.items()}
            work = {name: min(processor for _, processor in values) for name, values in times.items()}
            listed = ", ".join(f"{name} {best[name]:.1f} ms ({work[name]:.0f} of processor)" for name in runs)
            print(f"width {width}, {text}, {len(times['ours'])} rounds{'' if calmly else ', not calm'}: {listed}")
            neutral = [name for name in ("ONNX Runtime", "torch.compile") if name in runs]
            for mode in ("", " (float32)"):
                if f"ours{mode}" in runs:
                    others = [f"OpenVINO{mode}", *neutral]
                    by_best, by_median, by_work = (
                        t[f"ours{mode}"] / min(t[name] for name in others) for t in (best, middle, work)
                    )
                    print(f"    ours{mode} / best other: {by_best:.3f} ({by_median:.3f}, {by_work:.3f})", flush=True)


if __name__ == "__main__":
    main()
