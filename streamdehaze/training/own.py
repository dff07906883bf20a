"""A network of one's own from a Python file, trained in AECR-Net's place."""

from __future__ import annotations

import importlib.util
import logging
import tempfile
from pathlib import Path

import torch
from torch import nn

from streamdehaze.engine.build.answer import write_answer
from streamdehaze.errors import CheckpointError, ConfigError, StreamDehazeError
from streamdehaze.network import Checkpoint

log = logging.getLogger(__name__)


def own_network(module: str) -> nn.Module:
    """A new network of the class that "FILE.py:NAME" names; the file is run.

    Raises:
        ConfigError: if there is no such file or class, or it fails.
    """
    file, _, name = module.rpartition(":")
    if not Path(file).is_file():
        raise ConfigError(f"network.module = '{module}': there is no file '{file}'; write FILE.py:NAME")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"network.module = '{module}': '{file}' is not a Python file")
    code = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(code)
        network = getattr(code, name)()
    except Exception as error:  # whatever the user's own code raises
        raise ConfigError(f"network.module = '{module}' failed: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise ConfigError(f"network.module = '{module}' is not a torch.nn.Module")
    return network


def load_own(network: nn.Module, checkpoint: Checkpoint) -> None:
    """Put the weights of a checkpoint into a network.

    Raises:
        CheckpointError: if they are another network's.
    """
    try:
        network.load_state_dict({key: torch.from_numpy(value).float() for key, value in checkpoint.state.items()})
    except RuntimeError as error:
        raise CheckpointError(
            f"{checkpoint.name} does not fit network.module: {str(error).splitlines()[-1].strip()}"
        ) from None


def check_own_graph(network: nn.Module, module: str) -> None:
    """Check, before days of training, that a network answers with pictures of the size it is given, and that it can be
    written as ONNX, the only form in which it is served.

    Raises:
        ConfigError: if it does not, or cannot.
    """
    from streamdehaze.engine.onnx.export import export_onnx

    hazy = torch.full((1, 3, 64, 96), 0.5)
    try:
        with torch.no_grad():
            answer: object = network.eval()(hazy)
    except Exception as error:  # whatever the user's own code raises
        raise ConfigError(
            f"network.module = '{module}' failed on {tuple(hazy.shape)}: {type(error).__name__}: {error}"
        ) from error
    shape = tuple(answer.shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
    if shape != tuple(hazy.shape):
        raise ConfigError(f"network.module = '{module}' must answer {tuple(hazy.shape)} with the same, not {shape}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            export_onnx(network, Path(folder) / "network.onnx")
        except StreamDehazeError as error:
            raise ConfigError(f"network.module = '{module}' cannot be served once it is trained: {error}") from error


def write_own_graph(network: nn.Module, path: Path, facts: dict[str, str]) -> None:
    """Write a network as ONNX with PyTorch's answer next to it, which engines are verified against; or say why not."""
    from streamdehaze.engine.onnx.export import export_onnx

    try:
        export_onnx(network, path, metadata=facts)
        write_answer(path, network)
    except StreamDehazeError as error:
        log.warning("there is no %s: %s", path.name, error)
