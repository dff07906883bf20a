"""Checkpoints on disk: safetensors with metadata; the authors' `.pk` files are read without running what is in them."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from streamdehaze.durable import write_output
from streamdehaze.errors import CheckpointError, SinkError
from streamdehaze.extras import require_torch

if TYPE_CHECKING:
    from torch import Tensor, nn

    from streamdehaze.network.aecrnet import AECRNet

Weights = Mapping[str, npt.NDArray[Any]]
"""Arrays under the names of the authors' checkpoints."""


@dataclass(frozen=True)
class Checkpoint:
    """Weights of an `AECRNet`, or the graph of another network, and the facts about them."""

    state: Weights
    """Under the authors' names, without the `module.` of their files."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Facts as text: architecture, width, deconv, training data, recipe, scores."""
    name: str = "the checkpoint"
    """To show: its file."""
    graph: Path | None = None
    """An ONNX file, of a network of one's own that `streamdehaze train` made; it has no weights here."""

    @property
    def width(self) -> int:
        """Channels of the first stage, read off the weights."""
        first = self.state.get("down1.1.weight")
        if self.graph is not None:
            raise CheckpointError(f"{self.name} is a graph, which only the engines openvino and onnxruntime run")
        if (architecture := self.metadata.get("architecture", "aecrnet")) != "aecrnet":
            raise CheckpointError(
                f"{self.name} has the weights of {architecture}; give the .onnx file that was written with it instead"
            )
        if first is None:
            raise CheckpointError(f"{self.name} is not an AECR-Net: it has no tensor 'down1.1.weight'")
        if first.ndim != 4 or len(first) < 2 or len(first) % 2:
            shape = "x".join(map(str, first.shape)) or "one number"
            raise CheckpointError(f"{self.name} is not an AECR-Net: its tensor 'down1.1.weight' is {shape}")
        return len(first)

    @property
    def has_deconv(self) -> bool:
        """Whether network deconvolution is part of it."""
        return any(key.startswith("deconv.") for key in self.state)

    @classmethod
    def of(cls, network: AECRNet, metadata: Mapping[str, str] | None = None) -> Checkpoint:
        """The weights of a network."""
        state = {key: value.detach().cpu().numpy() for key, value in network.state_dict().items()}
        return cls(state, metadata or {}, "the network")

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """The weights in float32, if they are those of a network.

        Raises:
            CheckpointError: naming missing and unknown keys, wrong shapes, and tensors that are not finite.
        """
        wanted = tensor_shapes(self.width, deconv=self.has_deconv)
        missing = sorted(wanted.keys() - self.state.keys())
        unknown = sorted(self.state.keys() - wanted.keys())
        shapes = sorted(k for k in wanted.keys() & self.state.keys() if wanted[k] != self.state[k].shape)
        faults = [
            f"{what}: {', '.join(keys)}"
            for what, keys in (("missing", missing), ("unknown", unknown), ("wrong shape", shapes))
            if keys
        ]
        if faults:
            raise CheckpointError(f"{self.name} does not fit AECR-Net of width {self.width}; {'; '.join(faults)}")
        broken = [key for key, value in self.state.items() if not np.isfinite(value).all()]
        if broken:
            raise CheckpointError(f"{self.name} holds numbers that are not finite, in {', '.join(broken[:4])}")
        return {key: value.astype(np.float32) for key, value in self.state.items()}

    def network(self) -> AECRNet:
        """The network with these weights, float32, in evaluation mode.

        Raises:
            CheckpointError: as `weights`.
            MissingPackageError: without PyTorch.
        """
        weights = self.weights()
        require_torch("the network itself")
        import torch

        from streamdehaze.network.aecrnet import AECRNet

        network = AECRNet(self.width, deconv=self.has_deconv)
        network.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
        return network.eval()


def tensor_shapes(width: int, *, deconv: bool) -> dict[str, tuple[int, ...]]:
    """Names and shapes of an `AECRNet`'s tensors, without making one."""
    n, c = width, 4 * width
    layers: dict[str, tuple[int, ...]] = {
        "down1.1": (n, 3, 7, 7),
        "down2.0": (2 * n, n, 3, 3),
        "down3.0": (c, 2 * n, 3, 3),
        "block.conv1": (c, c, 3, 3),
        "block.conv2": (c, c, 3, 3),
        "block.calayer.ca.0": (c // 8, c, 1, 1),
        "block.calayer.ca.2": (c, c // 8, 1, 1),
        "block.palayer.pa.0": (c // 8, c, 1, 1),
        "block.palayer.pa.2": (1, c // 8, 1, 1),
        "dcn_block.dcn": (c, c, 3, 3),
        "dcn_block.dcn.conv_offset_mask": (27, c, 3, 3),
        "up1.0": (c, 2 * n, 3, 3),
        "up2.0": (2 * n, n, 3, 3),
        "up3.1": (3, n, 7, 7),
    }
    if deconv:
        layers["deconv"] = (3, 3, 3, 3)
    shapes: dict[str, tuple[int, ...]] = {"mix1.w": (1,), "mix2.w": (1,)}
    for name, shape in layers.items():
        transposed = name in ("up1.0", "up2.0")
        shapes |= {f"{name}.weight": shape, f"{name}.bias": (shape[1 if transposed else 0],)}
    if deconv:
        shapes |= {"deconv.running_mean": (27,), "deconv.running_deconv": (27, 27)}
    return shapes


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a `.safetensors` checkpoint, or import one of the authors' (`.pk`, `.pth`, `.pt`).

    The authors' files are pickles; they are read by `torch.load(weights_only=True)`, which builds tensors and plain
    containers and refuses everything that would run code.

    Raises:
        CheckpointError: if the file is missing, damaged, unsafe or holds no network.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint file {path}")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix == ".onnx":
        return Checkpoint({}, {}, str(path), path)
    return _read_pickle(path)


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
            return Checkpoint(state, file.metadata() or {}, str(path))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file ({error})") from error
    except (TypeError, AttributeError) as error:  # bfloat16, which numpy does not have
        raise CheckpointError(f"{path} holds numbers that are neither float16 nor float32 ({error})") from error


def _read_pickle(path: Path) -> Checkpoint:
    require_torch(f"reading {path.name}")
    import torch

    # The authors' files keep their scores as numpy scalars: these are data, and nothing else of numpy is let in.
    scalar = np.float64().__reduce__()[0]
    numpy_scalars: list[Any] = [
        (scalar, "numpy.core.multiarray.scalar"),  # its name before numpy 2
        scalar,
        np.dtype,
        *(type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32")),
    ]
    try:
        with torch.serialization.safe_globals(numpy_scalars):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is refused: it is not a plain file of weights and reading it could run foreign code"
        ) from error
    except Exception as error:  # a damaged pickle calls what it may with anything: no list holds all that comes of it
        raise CheckpointError(f"{path} is not a whole PyTorch checkpoint ({type(error).__name__}: {error})") from error
    return Checkpoint(_find_state(content, path), {"architecture": "aecrnet", "imported_from": path.name}, str(path))


def _find_state(content: object, path: Path) -> Weights:
    import torch

    if isinstance(content, Mapping):
        for name in ("model", "state_dict", "params_ema", "params"):
            if isinstance(content.get(name), Mapping):
                content = content[name]
                break
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{path} holds no weights: no 'model' or 'state_dict' in it")
    strays = [str(key) for key, value in content.items() if not isinstance(value, torch.Tensor)]
    if strays:
        raise CheckpointError(f"{path} holds no plain weights; not tensors: {', '.join(strays[:5])}")
    return {str(key).removeprefix("module."): _as_array(value) for key, value in content.items()}


def _as_array(tensor: Tensor) -> npt.NDArray[Any]:
    import torch

    array: npt.NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().numpy()
    return array


def write_checkpoint(
    path: str | os.PathLike[str], network: nn.Module, metadata: Mapping[str, str], *, half: bool = False
) -> None:
    """Write the network's weights as safetensors, under a temporary name first and then renamed.

    Args:
        path: where to; conventionally `NAME.safetensors`.
        network: whose weights.
        metadata: facts to keep with them; architecture, width and deconv are added.
        half: store float16 (half the size; the bundled checkpoints are so).

    Raises:
        SinkError: if the name does not end in `.safetensors`, or there is no space or no permission; what was there
            before stays.
    """
    import torch
    from safetensors.torch import save

    from streamdehaze.network.aecrnet import AECRNet

    path = Path(path)
    if path.suffix != ".safetensors":
        raise SinkError(f"{path} is not a name for a checkpoint; end it in .safetensors")
    dtype = torch.float16 if half else torch.float32
    state = {key: value.detach().to("cpu", dtype).contiguous() for key, value in network.state_dict().items()}
    about = {"architecture": type(network).__name__}
    if isinstance(network, AECRNet):
        about = {"architecture": "aecrnet", "width": str(network.width), "deconv": str(network.has_deconv).lower()}
    facts = {
        **about,
        "input": "RGB in [0,1], NCHW, multiples of 4",
        **metadata,
    }
    write_output(path, save(state, facts))  # and not `save_file`, whose files none but their owner may read
