"""The deformable convolution as one grid_sample and one strided convolution, against torchvision's operator.

    python benchmarks/deformable.py

The same network, width 64 on 256×256 in eager PyTorch with all cores, with either form; by turns, best of 7.
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from streamdehaze.engine.onnx import NativeDeformConv
from streamdehaze.network.aecrnet import AECRNet


def main() -> None:
    torch.manual_seed(0)
    ours = AECRNet(64).folded()
    theirs = ours.folded()
    theirs.dcn_block.dcn = NativeDeformConv(theirs.dcn_block.dcn)  # type: ignore[assignment]
    hazy = torch.rand(1, 3, 256, 256)
    with torch.inference_mode():
        difference = (ours(hazy) - theirs(hazy)).abs().max().item()
        for name, part, x in (
            ("whole network", lambda n: n, hazy),
            ("the layer alone", lambda n: n.dcn_block, torch.rand(1, 256, 64, 64)),
        ):
            best = [float("inf"), float("inf")]
            for _ in range(7):
                for index, network in enumerate((ours, theirs)):
                    start = time.perf_counter()
                    part(network)(x)
                    best[index] = min(best[index], time.perf_counter() - start)
            grid, operator = (value * 1000 for value in best)
            print(f"{name}: grid {grid:.0f} ms, torchvision {operator:.0f} ms, ratio {grid / operator:.2f}")
    print(f"largest difference of the two networks: {difference:.1e}")


if __name__ == "__main__":
    main()
