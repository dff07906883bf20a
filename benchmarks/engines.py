"""Our OpenVINO engine against OpenVINO, ONNX Runtime and torch.compile called bare on the same graph.

    python benchmarks/engines.py [--width 16] [--size 256x144] [--rounds 15] [--skip-compile]

One picture a call, all cores; every round runs each candidate once, in turn, so that whatever else the machine does
falls on all of them. Two ratios, of the best times (and, in brackets, of the medians):

- as they run by default: our engine with precision "auto" against OpenVINO as `compile_model` gives it without any
  setting, and ONNX Runtime and torch.compile, which compute in float32;
- in float32: all of them held to it.

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
import openvino
import torch

from streamdehaze.engine.onnx import GraphShape, export_onnx
from streamdehaze.engine.openvino import OpenVINOEngine
from streamdehaze.engine.picture import hazy_pictures
from streamdehaze.engine.threads import usable_cores
from streamdehaze.network import load_network
from streamdehaze.network.aecrnet import AECRNet

BUNDLED = {16: "aecrnet-s", 32: "aecrnet-m"}


def candidates(width: int, size: tuple[int, int], folder: Path, compiled: bool) -> dict[str, Callable[[], object]]:
    network = load_network(BUNDLED[width]) if width in BUNDLED else AECRNet(width).eval()
    hazy, threads = hazy_pictures(1, size[1], size[0]), usable_cores()
    free, fixed = folder / "free.onnx", folder / "fixed.onnx"
    export_onnx(network, free)
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
        f"ours ({fastest.precision})": lambda: fastest.infer(hazy),
        "OpenVINO": lambda: np.array(default.infer([hazy], share_inputs=True)[0]),
        "ours (float32)": lambda: ours.infer(hazy),
        "OpenVINO (float32)": lambda: np.array(bare.infer([hazy], share_inputs=True)[0]),
        "ONNX Runtime": lambda: session.run(None, {"hazy": hazy}),
    }
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
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--skip-compile", action="store_true")
    asked = parser.parse_args()
    for width in asked.width or [16, 32, 64]:
        for text in asked.size or ["256x144", "1280x720"]:
            size = tuple(int(side) for side in text.split("x"))
            with tempfile.TemporaryDirectory() as folder:
                runs = candidates(width, (size[0], size[1]), Path(folder), not asked.skip_compile)
                for run in runs.values():
                    run()
                    run()
                times: dict[str, list[float]] = {name: [] for name in runs}
                for _ in range(asked.rounds):
                    for name, run in runs.items():
                        start = time.perf_counter()
                        run()
                        times[name].append((time.perf_counter() - start) * 1000)
            best = {name: min(values) for name, values in times.items()}
            middle = {name: statistics.median(values) for name, values in times.items()}
            print(f"width {width}, {text}: " + ", ".join(f"{name} {best[name]:.1f} ms" for name in runs))
            for what, ours, theirs in zip(("by default", "in float32"), *_ratio_of(list(runs)), strict=True):
                ratios = [t[ours] / min(t[name] for name in theirs) for t in (best, middle)]
                print(f"    {what}: ours / best other {ratios[0]:.2f} ({ratios[1]:.2f})", flush=True)


def _ratio_of(names: list[str]) -> tuple[list[str], list[list[str]]]:
    ours = [name for name in names if name.startswith("ours")]
    neutral = [name for name in names if name in ("ONNX Runtime", "torch.compile")]
    return ours, [["OpenVINO", *neutral], ["OpenVINO (float32)", *neutral]]


if __name__ == "__main__":
    main()
