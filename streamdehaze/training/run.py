"""A training run from its configuration to its checkpoints."""

from __future__ import annotations

import datetime
import importlib.util
import itertools
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader

from streamdehaze.datasets.layouts import Layout, find_layout, pair_folders, real_haze
from streamdehaze.durable import make_folder
from streamdehaze.engine.processor import has_bfloat16, process_cores
from streamdehaze.errors import Cancelled, CheckpointError, ConfigError, StreamDehazeError, first_line
from streamdehaze.training.config import DataConfig, TrainingConfig
from streamdehaze.training.own import check_own_graph
from streamdehaze.training.samples.dataset import HazeSamples, Position, PositionBatches, Sample, WeightedSet
from streamdehaze.training.task import DehazingTask, check_same_run, start_network
from streamdehaze.training.validation import Validation
from streamdehaze.training.writer import STATE, CheckpointWriter, WholeFiles

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """What a run left."""

    last: Path
    """The network after the last step."""
    best: Path | None
    """The one with the best validation, if there was any."""
    steps: int


class SampleData(lightning.LightningDataModule):
    """Feeds a run from the step it stands at."""

    def __init__(self, config: TrainingConfig) -> None:
        super().__init__()
        self._config = config
        sources = [WeightedSet(layout_of(data, config.folder), data.weight) for data in config.data]
        self.samples = HazeSamples(sources, config)

    def train_dataloader(self) -> DataLoader[Sample]:
        """Batches from the trainer's present step on."""
        config, trainer = self._config, self.trainer
        assert trainer is not None
        self.samples.load()
        batches = PositionBatches(
            config.stages,
            start_step=trainer.global_step,
            accumulate=config.optimizer.accumulate,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )
        workers = config.machine.workers
        return DataLoader(
            self.samples,
            batch_sampler=batches,
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=_use_one_core,
            pin_memory=torch.cuda.is_available(),
        )


def _use_one_core(_worker: int) -> None:
    # OpenCV would start as many threads as there are cores in each of the workers.
    cv2.setNumThreads(1)


def layout_of(data: DataConfig, run_folder: Path) -> Layout:
    """The layout of a configured data set.

    Args:
        data: the data set.
        run_folder: rooms are rendered into a folder in it; those that are there already are kept.

    Raises:
        SourceError: if it is not one that is known.
    """
    if data.folder is not None:
        layout = find_layout(data.folder)
    elif data.real is not None:
        layout = real_haze(data.real, data.left_out)
    elif data.rooms is not None:
        from streamdehaze.datasets.rendered.scenes import write_rendered

        for _ in write_rendered("room", run_folder / "rooms", (), count=data.rooms):
            pass
        layout = find_layout(run_folder / "rooms")
    else:
        assert data.hazy is not None
        assert data.clear is not None
        layout = pair_folders(data.hazy, data.clear)
    if layout.unmatched:
        names = ", ".join(path.name for path in layout.unmatched[:5])
        log.warning("%s: %d pictures without a partner are left out: %s", layout.folder, len(layout.unmatched), names)
    return layout


def hazy_batches(config: TrainingConfig, sizes: Sequence[tuple[int, int]], batch: int) -> Iterator[Tensor]:
    """The hazy pictures of a run without end, (batch, 3, height, width) RGB in [0, 1].

    Args:
        config: whose data and weather to take.
        sizes: (width, height) of the batches, in turn.
        batch: pictures in each.

    Raises:
        SourceError: if a data set is not as it should be.
    """
    samples = SampleData(config).samples
    samples.load()
    for number in itertools.count():
        width, height = sizes[number % len(sizes)]
        yield torch.stack([samples[Position(number * batch + each, height, width)].hazy for each in range(batch)])


def train(config: TrainingConfig, *, restart: bool = False) -> Trained:
    """Train, or continue the run of that name where it stopped.

    Args:
        config: the run.
        restart: start over even if there is something to resume.

    Raises:
        ConfigError: if the configuration contradicts the run it would resume, or the machine, or a network of one's own
            cannot be written as ONNX.
        SinkError: if the run's folder cannot be made.
        SourceError: if a data set is not as it should be.
        TrainingError: if the loss is not finite or the state cannot be written.
        Cancelled: after Ctrl-C or SIGTERM, when everything is saved.
    """
    if config.network.module is not None:
        check_own_graph(start_network(config.network), config.network.module)
    folder = config.folder
    make_folder(folder)
    state = folder / STATE
    resumed = state.is_file() and not restart
    if resumed:
        check_same_run(_read_state(state), config)
    lightning.seed_everything(config.seed, verbose=False)
    if config.machine.threads is not None:
        torch.set_num_threads(config.machine.threads)
    data = SampleData(config)
    writer = CheckpointWriter(folder, config.save_every_steps, _facts(config))
    sets = {name: layout_of(entry, folder) for name, entry in config.validation.sets.items()}
    for name, layout in sets.items():
        if not layout.pairs:
            raise ConfigError(
                f"validation.sets.{name} needs pairs of hazy and clear pictures; "
                f"{config.validation.sets[name].folder} holds none"
            )
    # The validation sees a step before the writer saves it, so that a resumed run does not validate it again.
    trainer = _trainer(config, [Validation(config.validation, sets, writer, folder), writer])
    try:
        with warnings.catch_warnings():
            # Lightning's advice on workers and logging does not fit data that is made in this process.
            warnings.filterwarnings("ignore", module="lightning")
            trainer.fit(DehazingTask(config), data, ckpt_path=state if resumed else None, weights_only=True)
    except StreamDehazeError as error:
        raise _without_traceback(error) from None
    except KeyboardInterrupt:
        writer.interrupted = True
    if writer.interrupted:
        raise Cancelled(f"stopped at step {trainer.global_step} of {config.steps}; rerun the same command to continue")
    best = folder / "best.safetensors"
    return Trained(folder / "last.safetensors", best if sets and best.is_file() else None, trainer.global_step)


def _trainer(config: TrainingConfig, callbacks: list[Any]) -> lightning.Trainer:
    machine, folder = config.machine, config.folder
    on_cpu = machine.accelerator == "cpu" or (machine.accelerator == "auto" and not torch.cuda.is_available())
    precision = _precision(config, on_cpu)
    if on_cpu and machine.devices != "auto" and machine.devices > process_cores():
        raise ConfigError(
            f"machine.devices = {machine.devices} on a CPU are as many processes, but this machine has "
            f"{process_cores()} cores; use machine.threads for more than one in a process"
        )
    loggers: list[Logger] = [CSVLogger(folder, name="log")]
    if importlib.util.find_spec("tensorboard") is not None:
        loggers.append(TensorBoardLogger(folder, name="", version="tensorboard"))
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    try:
        trainer = lightning.Trainer(
            accelerator=machine.accelerator,
            devices=machine.devices if machine.accelerator != "cpu" or machine.devices != "auto" else 1,
            num_nodes=machine.nodes,
            precision=precision,
            max_steps=config.steps,
            max_epochs=-1,
            accumulate_grad_batches=config.optimizer.accumulate,
            gradient_clip_val=config.optimizer.clip,
            logger=loggers,
            log_every_n_steps=min(50, config.steps),
            callbacks=callbacks,
            plugins=[WholeFiles()],
            enable_checkpointing=False,  # `CheckpointWriter` does it
            enable_model_summary=False,
            enable_progress_bar=sys.stderr.isatty(),
            use_distributed_sampler=False,  # positions are dealt out by `PositionBatches`
            num_sanity_val_steps=0,
        )
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"this machine does not offer machine.accelerator = '{machine.accelerator}' with machine.devices = "
            f"{machine.devices} ({first_line(error)})"
        ) from error
    if trainer.precision != precision:  # Lightning takes bfloat16 where a CPU was to scale float16
        raise ConfigError("machine.precision = '16-mixed' needs a GPU; on a CPU take 'bf16-mixed' or '32-true'")
    return trainer


def _precision(config: TrainingConfig, on_cpu: bool) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
    """The precision asked for, or float32 on a processor that only emulates bfloat16, with a line in the log."""
    asked = config.machine.precision
    if asked != "bf16-mixed" or not on_cpu:
        return asked
    if has_bfloat16():
        log.info("precision bf16-mixed: this processor computes in bfloat16")
        return asked
    log.warning("precision 32-true: this processor has no bfloat16 arithmetic and would be slower in bf16-mixed")
    return "32-true"


def _without_traceback(error: StreamDehazeError) -> StreamDehazeError:
    """The error itself, or what it was in the worker process it comes from: PyTorch puts that traceback around it."""
    text = str(error)
    if " in DataLoader worker process" not in text:
        return error
    return type(error)(text.strip().splitlines()[-1].split(": ", 1)[1])


def _read_state(path: Path) -> dict[str, Any]:
    import pickle

    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"{path} is not a complete state of a run ({error}); remove it, or start over with --restart"
        ) from error
    return state


def _facts(config: TrainingConfig) -> dict[str, str]:
    """What a checkpoint says about its making: names, no paths."""
    loss = config.loss
    terms = ["L1"]
    terms += [f"{loss.square:g} MSE"] if loss.square else []
    contrast = config.largest_contrast
    terms += [f"{loss.coarse:g} coarse L1"] if loss.coarse else []
    terms += [f"{contrast:g} CR"] if contrast else []
    folders = [data.folder or data.clear or data.real for data in config.data]
    return {
        "recipe": config.name,
        "date": datetime.date.today().isoformat(),
        "training_data": ", ".join(folder.name for folder in folders if folder is not None) or "rendered rooms",
        "loss": " + ".join(terms),
        "started_from": Path(config.network.start).name if config.network.start else "random weights",
    }
