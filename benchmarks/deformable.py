"""The deformable convolution as one grid_sample and one strided convolution, against torchvision's operator.

    python benchmarks/deformable.py

The same network, width 64 on 256×256 in eager PyTorch with all cores, channels-last as the engine runs it, with either
form; by turns, best of 7, calmly (see calm.py).
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from calm import timed

from streamdehaze.engine.onnx import NativeDeformConv
from streamdehaze.network.aecrnet import AECRNet


def main() -> None:
    torch.manual_seed(0)
    ours = AECRNet(64).folded().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    theirs = ours.folded().to(memory_format=torch.channels_last)
    theirs.dcn_block.dcn = NativeDeformConv(theirs.dcn_block.dcn)  # type: ignore[assignment]
    hazy = torch.rand(1, 3, 256, 256).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        difference = (ours(hazy) - theirs(hazy)).abs().max().item()
        for name, part, x in (
            ("whole network", lambda n: n, hazy),
            (
                "the layer alone",
                lambda n: n.dcn_block,
                torch.rand(1, 256, 64, 64).to(memory_format=torch.channels_last),
            ),
        ):
            best = [float("inf"), float("inf")]
            for _ in range(7):
                for index, network in enumerate((ours, theirs)):
                    best[index] = min(best[index], timed(lambda: part(network)(x))[0])  # noqa: B023
            grid, operator = best
            print(f"{name}: grid {grid:.0f} ms, torchvision {operator:.0f} ms, ratio {grid / operator:.2f}")
    print(f"largest difference of the two networks: {difference:.1e}")


if __name__ == "__main__":
    main()
