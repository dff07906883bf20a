"""The network's graph without weights, exported once: filling it takes milliseconds where exporting takes seconds.

The graph with free dimensions is the same for every width and checkpoint but for its weights, whose names are those of
the network. Six are in `graphs/`: with and without the convolution that network deconvolution folds into, with the
deformable convolution as DeformConv, as GridSample and Conv, and as the plain convolution it is as long as no offsets
have been learnt. After a change of the network, `python -m streamdehaze.engine.onnx.template` writes them again (extras
`onnx` and `tensorrt` or `train`).
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from streamdehaze.engine.onnx.export import DeployedNetwork, export_onnx, write_graph
from streamdehaze.errors import EngineError
from streamdehaze.extras import install_command
from streamdehaze.network.aecrnet import AECRNet
from streamdehaze.network.deformable import ModulatedDeformConv

if TYPE_CHECKING:
    import onnx

_FOLDER = Path(__file__).parent / "graphs"


def _file(network: DeployedNetwork, native_deform: bool) -> Path:
    has_offsets = isinstance(network.body.dcn_block.dcn, ModulatedDeformConv)
    form = ("native" if native_deform else "grid") if has_offsets else "plain"
    return _FOLDER / f"aecrnet{'-deconv' if network.body.has_deconv else ''}-{form}.onnx"


def write_filled(network: AECRNet, path: Path, metadata: Mapping[str, str], *, native_deform: bool = True) -> None:
    """Write what `export_onnx` writes for free dimensions in float32, without running the exporter.

    Args:
        network: whose weights fill the graph.
        path: where to.
        metadata: kept in the file's metadata_props.
        native_deform: as ONNX DeformConv rather than GridSample and Conv.

    Raises:
        EngineError: if the package `onnx` is missing.
    """
    try:
        import onnx
    except ImportError as error:
        raise EngineError(f"compiling an engine needs the package onnx: {install_command('openvino')}") from error
    deployed = DeployedNetwork(network)  # without torchvision: its weights have the same names in either form
    model = onnx.load(_file(deployed, native_deform))
    weights = deployed.state_dict()
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
    """Export the graphs again."""
    import onnx

    _FOLDER.mkdir(exist_ok=True)
    for has_deconv, native_deform, has_offsets in itertools.product((False, True), repeat=3):
        network = AECRNet(16, deconv=has_deconv)
        for parameter in network.parameters():
            nn.init.normal_(parameter)  # weights that are equal, as fresh biases are, would be merged
        if not has_offsets:
            nn.init.zeros_(network.dcn_block.dcn.conv_offset_mask.weight)
            nn.init.zeros_(network.dcn_block.dcn.conv_offset_mask.bias)  # type: ignore[arg-type]
        deployed = DeployedNetwork(network)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "whole.onnx"
            export_onnx(network, path, native_deform=native_deform)
            model = onnx.load(path)
        names = set(deployed.state_dict())
        assert names <= {tensor.name for tensor in model.graph.initializer}
        _strip(model, names)
        _file(deployed, native_deform).write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
