"""The trainer against the same model's bare forward, backward and step: processor time a step, and its peak memory.

Pictures and depth are made up; haze is made on the fly in the training process. Both are timed in one run on one
thread, by processor time; the share of making samples is timed alone.

    python benchmarks/training.py [WIDTH]... [--precision bf16-mixed]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from streamdehaze.training.config import TrainingConfig
from streamdehaze.training.dataset import Position
from streamdehaze.training.run import SampleData, train
from streamdehaze.training.task import start_network

HEIGHT, WIDTH, BATCH, STEPS, PICTURES = 96, 128, 16, 20, 32


def make_pictures(folder: Path) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(PICTURES):
        for name, pixels in (
            (f"{i}.png", rng.integers(0, 256, (240, 320, 3), np.uint8)),
            (f"{i}.depth.png", np.linspace(200, 40, 240, dtype=np.uint8)[:, None].repeat(320, 1)),
        ):
            cv2.imwrite(str(folder / name), pixels)


def configuration(folder: Path, name: str, steps: int, width: int, precision: str) -> TrainingConfig:
    return TrainingConfig.model_validate(
        {
            "name": name,
            "output": folder / "runs",
            "data": [{"folder": folder / "pictures"}],
            "stages": [{"size": [HEIGHT, WIDTH], "batch": BATCH, "steps": steps}],
            "network": {"width": width, "deconv": False, "deformable": False},
            "machine": {"accelerator": "cpu", "precision": precision, "threads": 1},
            "in_memory": True,
            "save_every_steps": 1000,
        }
    )


def bare_seconds(config: TrainingConfig) -> float:
    """Of a step: forward, backward, Adam."""
    network = start_network(config.network).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)
    hazy = torch.rand(BATCH, 3, HEIGHT, WIDTH).contiguous(memory_format=torch.channels_last)
    begun = 0.0
    for step in range(STEPS + 5):
        if step == 5:
            begun = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=config.machine.precision == "bf16-mixed"):
            out = network(hazy)
            loss = torch.nn.functional.l1_loss(out.float(), hazy)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (time.process_time() - begun) / STEPS


def trainer_seconds(folder: Path, width: int, precision: str) -> float:
    """Of a step of `train`: the difference of a long and a short run, so that the start does not count."""
    times = []
    for steps in (5, STEPS + 5):
        begun = time.process_time()
        train(configuration(folder, f"w{width}-{steps}", steps, width, precision), restart=True)
        times.append(time.process_time() - begun)
    return (times[1] - times[0]) / STEPS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("widths", nargs="*", type=int, default=[16, 32])
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_pictures(folder / "pictures")
        data = SampleData(configuration(folder, "samples", 1, 16, arguments.precision))
        data.samples.load()
        begun = time.process_time()
        for number in range(5 * BATCH):
            data.samples[Position(number, HEIGHT, WIDTH)]
        making = (time.process_time() - begun) / 5
        print(f"making {BATCH} samples of {WIDTH}x{HEIGHT}: {making * 1000:.0f} ms")
        for width in arguments.widths:
            bare = bare_seconds(configuration(folder, "bare", 1, width, arguments.precision))
            ours = trainer_seconds(folder, width, arguments.precision)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"width {width}: bare {bare * 1000:.0f} ms a step, trainer {ours * 1000:.0f} ms, "
                f"throughput ratio {bare / ours:.2f}; peak memory {peak:.0f} MiB"
            )


if __name__ == "__main__":
    main()
