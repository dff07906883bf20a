"""The network's graph without weights, exported once: filling it takes milliseconds where exporting takes seconds.

The graph with free dimensions is the same for every width and checkpoint but for its weights, whose names are those of
the network. Two lie in `graphs/`: with and without the convolution that network deconvolution folds into. After a
change of the network, `python -m streamdehaze.engine.template` writes them anew (extra `onnx`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from streamdehaze.engine.onnx import DeployedNetwork, export_onnx, write_graph
from streamdehaze.errors import EngineError
from streamdehaze.network.aecrnet import AECRNet

if TYPE_CHECKING:
    import onnx

_FOLDER = Path(__file__).parent / "graphs"


def _file(has_deconv: bool) -> Path:
    return _FOLDER / ("aecrnet-deconv.onnx" if has_deconv else "aecrnet.onnx")


def write_filled(network: AECRNet, path: Path, metadata: Mapping[str, str]) -> None:
    """Write what `export_onnx` writes for free dimensions in float32, without running the exporter.

    Raises:
        EngineError: if the package `onnx` is missing.
    """
    try:
        import onnx
    except ImportError as error:
        raise EngineError("compiling an engine needs the package onnx: pip install 'streamdehaze[openvino]'") from error
    model = onnx.load(_file(network.has_deconv))
    weights = DeployedNetwork(network).state_dict()
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name].numpy(), tensor.name))
    write_graph(model, path, network, "float32", metadata)


def _strip(model: onnx.ModelProto, names: set[str]) -> None:
    for tensor in model.graph.initializer:
        if tensor.name in names:
            tensor.ClearField("raw_data")
    del model.graph.value_info[:]  # shapes between the nodes, which the width decides
    del model.metadata_props[:]


def main() -> None:
    """Export the graphs anew."""
    import onnx

    _FOLDER.mkdir(exist_ok=True)
    for has_deconv in (False, True):
        network = AECRNet(16, deconv=has_deconv)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter)  # weights that are equal, as fresh biases are, would be merged
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "whole.onnx"
            export_onnx(network, path)
            model = onnx.load(path)
        names = set(DeployedNetwork(network).state_dict())
        assert names <= {tensor.name for tensor in model.graph.initializer}
        _strip(model, names)
        _file(has_deconv).write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
