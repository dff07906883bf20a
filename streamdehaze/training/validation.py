"""Scores the averaged network on pairs while it trains, and shows what it makes of some of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import lightning
import numpy as np
import numpy.typing as npt
from lightning.pytorch.callbacks import Callback

from streamdehaze.datasets.layouts import Layout, evenly_picked
from streamdehaze.datasets.pairs import read_pair
from streamdehaze.dehaze import Dehazer
from streamdehaze.dehaze.exact import network_alone
from streamdehaze.engine.torch import TorchEngine
from streamdehaze.fidelity import psnr, ssim
from streamdehaze.training.config import ValidationConfig
from streamdehaze.training.task import DehazingTask
from streamdehaze.training.writer import CheckpointWriter

_SHOWN = 4
"""Pairs of the first set that are shown as pictures."""


class Validation(Callback):
    """Validates every few steps; the mean PSNR on the first set picks the best network.

    Args:
        config: how often and how.
        layouts: the sets, by name.
        writer: keeps the best.
        folder: of the run; the best score and sample pictures are written there.
    """

    def __init__(
        self, config: ValidationConfig, layouts: Mapping[str, Layout], writer: CheckpointWriter, folder: Path
    ) -> None:
        self._config, self._writer, self._folder = config, writer, folder
        self._pairs = {name: evenly_picked(layout.pairs, config.limit) for name, layout in layouts.items()}
        self._done_step = -1
        self._best = -1.0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._best = state_dict["best"]

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        due = step % self._config.every_steps == 0 or step == trainer.max_steps
        if not due or step == self._done_step or not self._pairs or not trainer.is_global_zero:
            return
        self._done_step = step
        assert isinstance(pl_module, DehazingTask)
        scores = self._score(pl_module, step)
        for logger in trainer.loggers:
            logger.log_metrics(scores, step)
        first = scores[f"{next(iter(self._pairs))}/psnr"]
        if first > self._best:
            self._best = first
            facts = {name: f"{value:.4f}" for name, value in scores.items()}
            self._writer.keep("best", pl_module, {"scores": json.dumps(facts), "mode": self._mode})

    @property
    def _mode(self) -> str:
        return "network alone" if self._config.exact else f"fast, network size {self._config.network_size}"

    def _score(self, task: DehazingTask, step: int) -> dict[str, float]:
        device = "cpu" if task.device.type == "cpu" else str(task.device)
        engine = TorchEngine(task.kept_network(), device)
        dehazer = Dehazer(engine=engine, brightness="natural", network_size=self._config.network_size)
        scores: dict[str, float] = {}
        for name, pairs in self._pairs.items():
            found = []
            shown: list[npt.NDArray[np.uint8]] = []
            for pair in pairs:
                hazy, clear = read_pair(pair)
                result = network_alone(engine, hazy) if self._config.exact else dehazer(hazy)
                found.append((psnr(result, clear), ssim(result, clear)))
                if len(shown) < _SHOWN:
                    shown.append(np.concatenate([hazy, result, clear], axis=1))
            scores[f"{name}/psnr"], scores[f"{name}/ssim"] = (float(mean) for mean in np.mean(found, axis=0))
            self._show(task, name, shown, step)
        return scores

    def _show(self, task: DehazingTask, name: str, rows: list[npt.NDArray[np.uint8]], step: int) -> None:
        folder = self._folder / "samples"
        folder.mkdir(exist_ok=True)
        for i, row in enumerate(rows):
            cv2.imwrite(str(folder / f"{name}-{i}-step{step:07d}.jpg"), row[..., ::-1])
            for logger in task.loggers:
                add = getattr(getattr(logger, "experiment", None), "add_image", None)
                if add is not None:  # TensorBoard; CSV files hold no pictures
                    add(f"{name}/{i}", row, step, dataformats="HWC")
