"""The configuration of a training run: one TOML file, in which every key is checked."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from streamdehaze import toml
from streamdehaze.datasets.haze import HazeConfig
from streamdehaze.datasets.look import LookConfig
from streamdehaze.errors import ConfigError
from streamdehaze.training.samples.foreground import ForegroundConfig
from streamdehaze.training.samples.views import ViewConfig

RECIPES = Path(__file__).parent / "recipes"
"""The recipes that come with the package, `NAME.toml`."""

Positive = Annotated[int, Field(gt=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class DataConfig(toml.Table):
    """One data set: a folder of a known layout, two folders, a folder of unpaired real haze, or drawn rooms."""

    folder: Path | None = None
    """Or a CSV file with the columns `hazy` and `clear`."""
    hazy: Path | None = None
    clear: Path | None = None
    real: Path | None = None
    """Hazy pictures without ground truth; their target is a physical estimate (`streamdehaze.datasets.teacher`)."""
    rooms: Positive | None = None
    """This many rooms are rendered, with drawn textures: no data set is needed."""
    left_out: Annotated[int, Field(ge=2)] | None = None
    """Every k-th picture of `real` is not trained on, but kept to look at and to measure."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """How often each of its pictures is drawn, relative to those of the other sets."""

    @model_validator(mode="after")
    def _one_way(self) -> DataConfig:
        if (self.hazy is None) != (self.clear is None) or sum(
            each is not None for each in (self.folder, self.hazy, self.real, self.rooms)
        ) != 1:
            raise ValueError("needs either 'folder', or 'hazy' and 'clear', or 'real', or 'rooms'")
        if self.left_out is not None and self.real is None:
            raise ValueError("'left_out' is for 'real' alone; keep what is not to be trained on in a folder of its own")
        return self


class StageConfig(toml.Table):
    """Some steps at one size."""

    size: tuple[Positive, Positive]
    """(height, width) of a sample, multiples of 4."""
    steps: Positive
    """Optimizer steps."""
    batch: Positive
    """Samples per batch, GPU and accumulation."""
    contrast: Annotated[float, Field(ge=0)] | None = None
    """Weight of contrastive regularization in this stage; None for that of the whole run, `loss.contrast`."""

    @field_validator("size")
    @classmethod
    def _fits(cls, size: tuple[int, int]) -> tuple[int, int]:
        if size[0] % 4 or size[1] % 4 or min(size) < 16:
            raise ValueError(f"must be multiples of 4 and at least 16, not {size[0]}x{size[1]}")
        return size


class NetworkConfig(toml.Table):
    """The network and where its weights start."""

    module: str | None = None
    """"FILE.py:NAME", a `torch.nn.Module` of one's own instead of AECR-Net; the file is run. Of the rest only `start`
    then counts."""
    width: Annotated[int, Field(ge=2, multiple_of=2)] = 64
    deconv: bool = True
    """Whether network deconvolution stands first, as published."""
    freeze_deconv: bool = False
    """Train with its running statistics; useful with tiny batches."""
    deformable: bool = True
    """False trains plain 3×3 convolutions in their place, twice as fast on a CPU; checkpoints are whole either way."""
    start: str | None = None
    """Name or file of a checkpoint to start from; a narrower one is widened."""
    widen_noise: Annotated[float, Field(ge=0)] = 0.01
    """Relative noise that breaks the symmetry of widened channels."""


class LossConfig(toml.Table):
    """``L1 + square · MSE + coarse · L1 of the shrunken error + contrast · CR``."""

    square: Annotated[float, Field(ge=0)] = 0.0
    coarse: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the error that is left when pictures are shrunk 8 and 32 times: of wrong brightness and thickness."""
    contrast: Annotated[float, Field(ge=0)] = 0.0
    """Weight of contrastive regularization; 0.1 as published, 0 for none."""
    negatives: bool = True
    """False is the published ablation: the distance to the clear picture alone."""
    more_negatives: Annotated[int, Field(ge=0)] = 0
    """Other hazy pictures of the batch that each picture is pushed away from, in addition to its own."""
    features: Path | None = None
    """VGG19's convolutions as safetensors, or torchvision's own file; None takes that, which torchvision downloads."""
    normalise: bool = False
    """Normalise VGG's input as ImageNet's; the published code does not."""


class OptimizerConfig(toml.Table):
    """Adam or Muon under a cosine."""

    method: Literal["adam", "muon"] = "adam"
    """The paper's, or one that learns faster by the step (`muon` in `streamdehaze.training.task`)."""
    rate: Annotated[float, Field(gt=0)] = 1e-4
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Adam's."""
    warm_up_steps: Annotated[int, Field(ge=0)] = 0
    last_rate: Annotated[float, Field(ge=0)] = 0.0
    """Where the cosine ends."""
    clip: Annotated[float, Field(gt=0)] | None = None
    """Largest norm of the gradient."""
    accumulate: Positive = 1
    """Batches per step."""
    average: Decay = 0.999
    """Decay of the moving average of the weights, which is what is validated and kept; 0 keeps the last weights."""


class MachineConfig(toml.Table):
    """Where and how it is computed."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: Positive | Literal["auto"] = "auto"
    nodes: Positive = 1
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    channels_last: bool = True
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that make samples; 0 makes them in the training process."""
    threads: Positive | None = None
    """CPU threads; None leaves it to PyTorch. The command `train` also sets OMP_NUM_THREADS, which PyTorch reads when
    it is imported; a program that calls `train` itself has to set it before that."""


class ValidationConfig(toml.Table):
    """What is scored, and how often."""

    sets: dict[str, DataConfig] = Field(default_factory=dict)
    """Names and folders of pairs; the first one's PSNR picks the best checkpoint."""
    every_steps: Positive = 1000
    limit: Positive | None = None
    """Pairs of each set, evenly picked; None for all."""
    network_size: Annotated[int, Field(ge=16, multiple_of=4)] = 256
    """Long side in pixels that the network sees, as at run time."""
    exact: bool = False
    """Score the network's own answers to whole pictures instead, the published way (`evaluate --alone`)."""


class TrainingConfig(toml.Table):
    """A training run."""

    name: str
    """Name of the run's folder."""
    output: Path = Path("runs")
    """The run's folder is made in here."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 666
    data: Annotated[list[DataConfig], Field(min_length=1)]
    stages: Annotated[list[StageConfig], Field(min_length=1)]
    network: NetworkConfig = NetworkConfig()
    view: ViewConfig = ViewConfig()
    look: LookConfig = LookConfig()
    haze: HazeConfig = HazeConfig()
    foreground: ForegroundConfig = ForegroundConfig()
    balance: bool = False
    """Whether pictures are balanced by the airlight of the hazy one first, as at run time; needed with `data.real`."""
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    machine: MachineConfig = MachineConfig()
    validation: ValidationConfig = ValidationConfig()
    save_every_steps: Positive = 500
    in_memory: bool = False
    """Read each file once and keep its picture in memory, 3 or 4 bytes a pixel."""
    damaged: Literal["stop", "skip"] = "stop"
    """What happens at a damaged file during training; "skip" names it in the log and takes another."""

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if name in ("", ".", "..") or set(name) & {"/", "\\"}:
            raise ValueError(f"must be the name of a folder inside 'output', not {name!r}")
        return name

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return sum(stage.steps for stage in self.stages)

    def contrast(self, step: int) -> float:
        """Weight of contrastive regularization at an optimizer step, from 0; after the last stage, that of the last."""
        ends = itertools.accumulate(stage.steps for stage in self.stages)
        stage = next((s for s, end in zip(self.stages, ends, strict=True) if step < end), self.stages[-1])
        return self._contrast_in(stage)

    @property
    def largest_contrast(self) -> float:
        """The largest weight of contrastive regularization in any stage."""
        return max(map(self._contrast_in, self.stages))

    def _contrast_in(self, stage: StageConfig) -> float:
        return self.loss.contrast if stage.contrast is None else stage.contrast

    @property
    def folder(self) -> Path:
        """Where the run writes."""
        return self.output / self.name


def read_config(path: str | Path, changes: Sequence[str] = ()) -> TrainingConfig:
    """Read a recipe: a TOML file, or the name of one that comes with the package.

    Args:
        path: the file, or "bundled-s" and the like.
        changes: `KEY=VALUE` to change, such as ``optimizer.rate=2e-4``; VALUE is TOML, or else taken as text.

    Raises:
        ConfigError: naming the key at fault, the nearest right one, and the file.
    """
    file = Path(path)
    if not file.is_file():
        bundled = RECIPES / f"{file.name.removesuffix('.toml')}.toml"
        if not bundled.is_file():
            names = ", ".join(sorted(recipe.stem for recipe in RECIPES.glob("*.toml")))
            raise ConfigError(f"there is no configuration {path}; recipes that come with the package: {names}")
        file = bundled
    content = toml.read_toml(file, str(file))
    for change in changes:
        _apply(content, change)
    try:
        return TrainingConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{file}: {toml.explain(error, TrainingConfig)}") from error


def _apply(content: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise ConfigError(f"'{change}' is not KEY=VALUE, such as optimizer.rate=2e-4")
    value = toml.value(text)
    *folders, last = key.strip().split(".")
    place: Any = content
    for name in folders:
        place = _step(place, name, key)
    if isinstance(place, list):
        place[_index(place, last, key)] = value
    else:
        place[last] = value


def _step(place: Any, name: str, key: str) -> Any:
    inner = place[_index(place, name, key)] if isinstance(place, list) else place.setdefault(name, {})
    if not isinstance(inner, (dict, list)):
        raise ConfigError(f"'{key}' cannot be set: '{name}' is a single value")
    return inner


def _index(place: list[Any], name: str, key: str) -> int:
    if not name.isdigit() or int(name) >= len(place):
        raise ConfigError(f"'{key}' cannot be set: there are entries 0 to {len(place) - 1}, not '{name}'")
    return int(name)
