"""The deformable convolution as one grid_sample and one strided convolution, against each runtime's own operator.

    python benchmarks/deformable.py

1. Eager PyTorch: the same network, width 64 on 256×256 with all cores, channels-last as the engine runs it, with our
   form and with torchvision's operator.
2. OpenVINO and ONNX Runtime in float32, widths 16 and 64 on 256×144: the graph with GridSample and Conv, and the graph
   with DeformConv, with offsets drawn at random.

Alternately, best of 7, calmly (see calm.py).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import onnxruntime
import torch
from calm import timed

from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.engine.onnx.export import NativeDeformConv
from streamdehaze.engine.onnx.template import write_filled
from streamdehaze.engine.openvino.backend import OpenVINOEngine
from streamdehaze.engine.processor import usable_cores
from streamdehaze.network import Checkpoint
from streamdehaze.network.aecrnet import AECRNet

ROUNDS = 7


def best_of(runs: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(ROUNDS):
        for name, run in runs.items():
            best[name] = min(best[name], timed(run)[0])
    return best


def with_offsets(width: int) -> AECRNet:
    torch.manual_seed(0)
    network = AECRNet(width).eval()
    with torch.no_grad():
        network.dcn_block.dcn.conv_offset_mask.weight.normal_(0, 0.1)
    return network


def in_pytorch() -> None:
    ours = with_offsets(64).folded().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    theirs = ours.folded().to(memory_format=torch.channels_last)
    theirs.dcn_block.dcn = NativeDeformConv(theirs.dcn_block.dcn)  # type: ignore[assignment]
    hazy = torch.rand(1, 3, 256, 256).to(memory_format=torch.channels_last)
    features = torch.rand(1, 256, 64, 64).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        difference = (ours(hazy) - theirs(hazy)).abs().max().item()
        for name, runs in (
            ("whole network", {"grid": lambda: ours(hazy), "torchvision": lambda: theirs(hazy)}),
            (
                "the layer alone",
                {"grid": lambda: ours.dcn_block(features), "torchvision": lambda: theirs.dcn_block(features)},
            ),
        ):
            best = best_of(runs)
            grid, operator = best.values()
            print(f"{name}: grid {grid:.0f} ms, torchvision {operator:.0f} ms, ratio {grid / operator:.2f}")
    print(f"largest difference of the two networks: {difference:.1e}")


def in_runtimes(width: int, folder: Path) -> None:
    hazy, runs = hazy_pictures(1, 144, 256), {}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    for form in ("grid", "native"):
        path = folder / f"{form}.onnx"
        write_filled(Checkpoint.of(with_offsets(width)), path, {}, native_deform=form == "native")
        engine = OpenVINOEngine(path, precision="float32")
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        runs[f"OpenVINO {form}"] = lambda engine=engine: engine.infer(hazy)
        runs[f"ONNX Runtime {form}"] = lambda session=session: session.run(None, {"hazy": hazy})[0]
    results = [np.asarray(run()) for run in runs.values()]
    best = best_of(runs)
    for runtime in ("OpenVINO", "ONNX Runtime"):
        grid, native = best[f"{runtime} grid"], best[f"{runtime} native"]
        print(f"width {width}, {runtime}: grid {grid:.1f} ms, native {native:.1f} ms, ratio {native / grid:.2f}")
    print(f"largest difference among them: {max(np.abs(r - results[0]).max() for r in results):.1e}")


def main() -> None:
    in_pytorch()
    for width in (16, 64):
        with tempfile.TemporaryDirectory() as folder:
            in_runtimes(width, Path(folder))


if __name__ == "__main__":
    main()
