"""Keeps a run: the state to resume from, the last and the best network, each written whole or not at all."""

from __future__ import annotations

import io
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins import TorchCheckpointIO

from streamdehaze.durable import write_whole
from streamdehaze.errors import SinkError, TrainingError
from streamdehaze.network import write_checkpoint
from streamdehaze.training.own import write_own_graph
from streamdehaze.training.task import DehazingTask

STATE = "last.ckpt"
"""Everything needed to resume a run: weights, their average, optimizer, schedule, scaler, steps done."""


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint under a temporary name and renames it, so that the file is complete or absent."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write `checkpoint` to `path`."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_whole(Path(path), content.getvalue())


class CheckpointWriter(Callback):
    """Saves every few steps, and again when Ctrl-C or SIGTERM asks the run to stop.

    What is random about a sample follows from its number, so the state needs no generators and no sampler beyond the
    number of steps. If a file cannot be written, the last good one stays in place.

    Args:
        folder: where to.
        every_steps: between two saves.
        facts: kept in the metadata of the networks.
    """

    def __init__(self, folder: Path, every_steps: int, facts: dict[str, str]) -> None:
        self._folder, self._every_steps, self._facts = folder, every_steps, facts
        self._saved_step = 0
        self.interrupted = False
        self._handlers: dict[int, Any] = {}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._saved_step = trainer.global_step
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:  # the second time, at once: the last saved state is whole
            raise KeyboardInterrupt
        self.interrupted = True

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step == self._saved_step:
            return
        if trainer.world_size > 1:  # all processes stop after the same step, whichever was asked
            self.interrupted = trainer.strategy.reduce_boolean_decision(self.interrupted, all=False)
        if step % self._every_steps == 0 or step == trainer.max_steps or self.interrupted:
            assert isinstance(pl_module, DehazingTask)
            self.save(trainer, pl_module)
        if self.interrupted:
            trainer.should_stop = True

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self.on_train_end(trainer, pl_module)

    def save(self, trainer: lightning.Trainer, task: DehazingTask) -> None:
        """Write the state and the last network.

        Raises:
            TrainingError: if there is no space or no permission; the files of the last save are still there.
        """
        self._saved_step = trainer.global_step
        state = self._folder / STATE
        try:
            trainer.save_checkpoint(state)
            if trainer.is_global_zero:
                self.keep("last", task, {})
        except (OSError, RuntimeError, SinkError) as error:
            kept = f"; {state} is the one saved before" if state.exists() else ""
            raise TrainingError(f"the state of step {self._saved_step} cannot be written ({error}){kept}") from error

    def keep(self, name: str, task: DehazingTask, scores: dict[str, str]) -> None:
        """Write the averaged network as NAME.safetensors."""
        network, path = task.kept_network(), self._folder / f"{name}.safetensors"
        facts = {**self._facts, "steps": str(task.trainer.global_step), **scores}
        write_checkpoint(path, network, facts)
        done = task.trainer.global_step == task.trainer.max_steps
        if task.config.network.module is not None and (done or name == "best"):
            write_own_graph(network, path.with_suffix(".onnx"), {"architecture": type(network).__name__, **facts})
