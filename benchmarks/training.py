"""The trainer against the same model's bare forward, backward and step: time a step, and its peak memory.

Pictures and depth are made up; haze is made on the fly, on a CPU in the training process, for a GPU in `--workers`.
Both are timed in one run: on a CPU by processor time on one thread, on a GPU by the clock. Making samples is timed
alone.

    python benchmarks/training.py [WIDTH]... [--precision bf16-mixed] [--size 96x128] [--batch 16] [--steps 20]
    python benchmarks/training.py 16 32 64 --gpu --workers 8 --size 144x192 --batch 32 --steps 100 [--features VGG19]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from streamdehaze.training.config import TrainingConfig
from streamdehaze.training.contrastive import ContrastiveLoss, VGG19Features
from streamdehaze.training.run import SampleData, train
from streamdehaze.training.samples.dataset import Position
from streamdehaze.training.task import start_network

PICTURES, WARM_UP = 32, 5


@dataclass(frozen=True)
class Case:
    """What is trained, and on what."""

    folder: Path
    width: int
    size: tuple[int, int]
    batch: int
    steps: int
    precision: str
    gpu: bool
    workers: int
    features: Path | None

    def configuration(self, steps: int) -> TrainingConfig:
        return TrainingConfig.model_validate(
            {
                "name": f"w{self.width}-{steps}",
                "output": self.folder / "runs",
                "data": [{"folder": self.folder / "pictures"}],
                "stages": [{"size": self.size, "batch": self.batch, "steps": steps}],
                "network": {"width": self.width, "deconv": False, "deformable": False},
                "loss": {"contrast": 0.1 if self.features else 0, "features": self.features},
                "machine": {
                    "accelerator": "gpu" if self.gpu else "cpu",
                    "devices": 1,
                    "precision": self.precision,
                    "threads": 1,
                    "workers": self.workers,
                },
                "in_memory": True,
                "save_every_steps": 100_000,
            }
        )

    def now(self) -> float:
        """Seconds, of the clock on a GPU and of the processor else."""
        if not self.gpu:
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()


def make_pictures(folder: Path) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(PICTURES):
        for name, pixels in (
            (f"{i}.png", rng.integers(0, 256, (240, 320, 3), np.uint8)),
            (f"{i}.depth.png", np.linspace(200, 40, 240, dtype=np.uint8)[:, None].repeat(320, 1)),
        ):
            cv2.imwrite(str(folder / name), pixels)


def sample_seconds(case: Case) -> float:
    """Of making a batch, in one process."""
    data = SampleData(case.configuration(1))
    data.samples.load()
    begun = time.process_time()
    for number in range(5 * case.batch):
        data.samples[Position(number, *case.size)]
    return (time.process_time() - begun) / 5


def bare_seconds(case: Case) -> float:
    """Of a step: forward, backward, Adam."""
    device = "cuda" if case.gpu else "cpu"
    network = start_network(case.configuration(1).network).to(device, memory_format=torch.channels_last).train()
    contrast = ContrastiveLoss(VGG19Features(case.features)).to(device) if case.features else None
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)
    hazy, clear = torch.rand(2, case.batch, 3, *case.size, device=device)
    hazy = hazy.contiguous(memory_format=torch.channels_last)
    dtype = torch.float16 if case.precision == "16-mixed" else torch.bfloat16
    begun = 0.0
    for step in range(case.steps + WARM_UP):
        if step == WARM_UP:
            begun = case.now()
        with torch.autocast(device, dtype, enabled=case.precision != "32-true"):
            out = network(hazy)
            loss = torch.nn.functional.l1_loss(out.float(), clear)
            if contrast:
                loss = loss + 0.1 * contrast(out, clear, hazy).float()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (case.now() - begun) / case.steps


def trainer_seconds(case: Case) -> float:
    """Of a step of `train`: the difference of a long and a short run, so that the start does not count."""
    times = []
    for steps in (WARM_UP, case.steps + WARM_UP):
        begun = case.now()
        train(case.configuration(steps), restart=True)
        times.append(case.now() - begun)
    return (times[1] - times[0]) / case.steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("widths", nargs="*", type=int, default=[16, 32])
    parser.add_argument("--precision", choices=["32-true", "bf16-mixed", "16-mixed"], default="32-true")
    parser.add_argument("--size", default="96x128", help="HEIGHTxWIDTH of the samples")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--features", type=Path, help="VGG19's weights: with contrastive regularization")
    given = parser.parse_args()
    torch.set_num_threads(1)
    height, width = map(int, given.size.split("x"))
    with tempfile.TemporaryDirectory() as name:
        make_pictures(Path(name) / "pictures")
        cases = [
            Case(
                folder=Path(name),
                width=channels,
                size=(height, width),
                batch=given.batch,
                steps=given.steps,
                precision=given.precision,
                gpu=given.gpu,
                workers=given.workers,
                features=given.features,
            )
            for channels in given.widths
        ]
        print(f"making {given.batch} samples of {width}x{height}: {sample_seconds(cases[0]) * 1000:.0f} ms")
        for case in cases:
            bare, ours = bare_seconds(case), trainer_seconds(case)
            host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            device = f", of the GPU {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if given.gpu else ""
            print(
                f"width {case.width}: bare {bare * 1000:.1f} ms a step, trainer {ours * 1000:.1f} ms, "
                f"throughput ratio {bare / ours:.2f}; peak memory {host:.1f} GiB{device}"
            )


if __name__ == "__main__":
    main()
