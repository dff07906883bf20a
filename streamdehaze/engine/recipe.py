"""Engine recipes: how an engine is to be compiled, as a TOML file or in code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from streamdehaze.errors import ConfigError
from streamdehaze.toml import Table, explain, read_toml

SideLength = Annotated[int, Field(ge=8, multiple_of=4)]
BatchSize = Annotated[int, Field(ge=1, le=256)]


class Shape(Table):
    """Pictures an engine is compiled for."""

    width: SideLength
    """Pixels, a multiple of 4."""
    height: SideLength
    """Pixels, a multiple of 4."""
    batch: BatchSize = 1
    """Pictures a run; a smaller batch is filled up, a larger one is cut."""


class OpenVINOOptions(Table):
    """OpenVINO options."""

    device: str = "CPU"
    """OpenVINO's name: CPU, GPU, NPU."""
    mode: Literal["auto", "latency", "throughput"] = "auto"
    """All threads for one picture, or several pictures side by side; auto looks at the first batch."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads; all cores this process may use if left out."""


class OnnxRuntimeOptions(Table):
    """ONNX Runtime options."""

    provider: str = "auto"
    """Execution provider: "cpu", "cuda", "dml", "coreml", "migraphx", "tensorrt", …, as far as the installed build has
    it; auto takes a GPU's before the CPU's."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads; all cores this process may use if left out."""


class TensorRTOptions(Table):
    """TensorRT and TensorRT-RTX options. Leave everything out first: then raise `optimization_level`."""

    runtime: Literal["auto", "tensorrt", "tensorrt_rtx", "lean"] = "auto"
    """Which package; auto takes the installed one, TensorRT before TensorRT-RTX. "lean" is a small runtime for
    deployment: it runs version-compatible engines that TensorRT built elsewhere, and builds none."""
    min_shape: Shape | None = None
    """With `max_shape`: one engine for all sizes between, somewhat slower than one for a single size."""
    max_shape: Shape | None = None
    workspace_mib: Annotated[int, Field(ge=16)] | None = None
    """Scratch memory a kernel may take; the runtime's own choice if left out."""
    optimization_level: Annotated[int, Field(ge=0, le=5)] = 3
    """Search effort, 0 (quickest build) to 5 (fastest engine)."""
    compute_capabilities: tuple[str, ...] = ()
    """GPUs to build for ahead of time, as ("SM86", "SM89"); TensorRT-RTX only. By default the GPU of this machine."""
    version_compatible: bool = False
    """Let other minor versions of TensorRT run the engine; TensorRT only, with its lean runtime installed."""
    hardware_compatible: bool = False
    """Let other GPUs of Ampere or later run the engine; TensorRT only."""
    contexts: Annotated[int, Field(ge=1, le=16)] = 2
    """Execution contexts, each with its own stream, that share a large batch."""
    cuda_graph: bool = True
    """Replay the launches as one CUDA graph."""

    @model_validator(mode="after")
    def _lean_runs_what_is_compatible(self) -> TensorRTOptions:
        if self.runtime == "lean" and not self.version_compatible:
            raise ValueError("the lean runtime needs version_compatible = true")
        return self

    @model_validator(mode="after")
    def _both_ends_of_the_profile(self) -> TensorRTOptions:
        if (self.min_shape is None) != (self.max_shape is None):
            raise ValueError("min_shape and max_shape belong together")
        if self.min_shape and self.max_shape:
            for side in ("width", "height", "batch"):
                if getattr(self.min_shape, side) > getattr(self.max_shape, side):
                    raise ValueError(f"min_shape is larger than max_shape in its {side}")
        return self


class TorchOptions(Table):
    """PyTorch options."""

    compiled: bool = False
    """Run through torch.compile (with CUDA graphs on CUDA): the first batch of a shape then takes tens of seconds."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads; all cores this process may use if left out."""


class Recipe(Table):
    """How an engine is compiled and which result is accepted."""

    engine: Literal["openvino", "onnxruntime", "tensorrt", "torch"]
    description: str = ""
    precision: Literal["auto", "float32", "float16", "bfloat16", "int8"] = "auto"
    """Precision of the computation; auto is float16 or bfloat16 where the device computes in it, and float32 in ONNX
    Runtime. TensorRT and ONNX Runtime take float32 and float16. int8 is OpenVINO's: the convolutions in the middle in
    int8, the rest as auto has it."""
    deformable: Literal["auto", "grid", "native"] = "auto"
    """Deformable convolution as GridSample and Conv, or as ONNX DeformConv (OpenVINO and ONNX Runtime on a CPU,
    TensorRT ≥ 10.1); auto is native on a CPU, where it takes a third to a half of the time, else grid."""
    shape: Shape | None = None
    """Pictures the engine is built for; if left out, those of the first batch it meets."""
    floor_db: Annotated[float, Field(gt=0)] = 35.0
    """PSNR against PyTorch in float32 below which an engine is set aside. Rounding to bfloat16 costs the bundled
    checkpoints down to 39 dB on the worst of small pictures; what computes something else stays under 30."""
    openvino: OpenVINOOptions = OpenVINOOptions()
    onnxruntime: OnnxRuntimeOptions = OnnxRuntimeOptions()
    tensorrt: TensorRTOptions = TensorRTOptions()
    torch: TorchOptions = TorchOptions()

    @property
    def threads(self) -> int | None:
        """CPU threads that the engine is given; None for all, and for an engine on a GPU."""
        options: OpenVINOOptions | OnnxRuntimeOptions | TensorRTOptions | TorchOptions = getattr(self, self.engine)
        return None if isinstance(options, TensorRTOptions) else options.threads

    @model_validator(mode="after")
    def _fits_its_engine(self) -> Recipe:
        if self.engine in ("tensorrt", "onnxruntime") and self.precision in ("bfloat16", "int8"):
            raise ValueError(f"the graph for {self.engine} is float16 or float32, not {self.precision}")
        if self.engine == "torch" and self.precision == "int8":
            raise ValueError("PyTorch does not run the network in int8; OpenVINO does")
        if self.precision == "int8" and (self.openvino.device != "CPU" or self.deformable == "grid"):
            raise ValueError("graphs in int8 are for the CPU, with deformable = 'native' or left out")
        stray = {"openvino", "onnxruntime", "tensorrt", "torch"} - {self.engine}
        for table in sorted(stray & self.model_fields_set):
            raise ValueError(f"a recipe for {self.engine} has no table [{table}]")
        return self


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """The recipe in a TOML file.

    Raises:
        ConfigError: if the file is missing, is not TOML, or a key or value in it is wrong; the key is named.
    """
    path = Path(path)
    if not path.exists():
        raise ConfigError(f"there is no recipe {path}")
    try:
        return Recipe.model_validate(read_toml(path, f"the recipe {path}"))
    except ValidationError as error:
        raise ConfigError(f"the recipe {path} is wrong: {explain(error, Recipe)}") from error
