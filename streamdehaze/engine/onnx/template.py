"""The network's graph without weights, exported once: filling it takes milliseconds, and no PyTorch.

The graph with free dimensions is the same for every width and checkpoint but for its weights, whose names are those of
the network. Six are in `graphs/`: with and without the convolution that network deconvolution folds into, with the
deformable convolution as DeformConv, as GridSample and Conv, and as the plain convolution it is as long as no offsets
have been learnt. After a change of the network, `python -m streamdehaze.engine.onnx.export` writes them again (extras
`onnx` and `tensorrt` or `train`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from streamdehaze.durable import write_whole
from streamdehaze.errors import EngineError
from streamdehaze.extras import install_command
from streamdehaze.network import Checkpoint

if TYPE_CHECKING:
    import onnx

Arrays = dict[str, npt.NDArray[np.float32]]

_FOLDER = Path(__file__).parent / "graphs"


def template(form: str, *, deconv: bool) -> Path:
    """The file of a graph; `form` of its deformable convolution is "native", "grid" or "plain"."""
    return _FOLDER / f"aecrnet{'-deconv' if deconv else ''}-{form}.onnx"


@dataclass(frozen=True)
class GraphShape:
    """Which shapes a graph takes; a dimension left None is read at run time."""

    batch: int | None = None
    height: int | None = None
    width: int | None = None

    def __post_init__(self) -> None:
        for name, side in (("height", self.height), ("width", self.width)):
            if side is not None and (side < 8 or side % 4):
                raise EngineError(f"a {name} of {side} pixels does not fit the network: it takes multiples of 4 from 8")
        if self.batch is not None and self.batch < 1:
            raise EngineError(f"a batch of {self.batch} pictures cannot be compiled: 1 is the least")


ANY_SHAPE = GraphShape()


def write_filled(
    checkpoint: Checkpoint,
    path: Path,
    metadata: Mapping[str, str],
    *,
    shape: GraphShape = ANY_SHAPE,
    native_deform: bool = True,
) -> None:
    """Write what `export_onnx` writes in float32, without running the exporter.

    Args:
        checkpoint: whose weights fill the graph.
        path: where to.
        metadata: kept in the file's metadata_props.
        shape: fixed dimensions; those left None are free.
        native_deform: as ONNX DeformConv rather than GridSample and Conv.

    Raises:
        EngineError: if the package `onnx` is missing.
        CheckpointError: if the checkpoint is not a network's.
    """
    try:
        import onnx
    except ImportError as error:
        raise EngineError(f"compiling an engine needs the package onnx: {install_command('openvino')}") from error
    if checkpoint.graph is not None:
        model = onnx.load(checkpoint.graph)
        known = {entry.key: entry.value for entry in model.metadata_props}
        write_graph(_fixed(model, shape), path, None, "float32", {**known, **metadata})
        return
    weights = deployed_weights(checkpoint)
    has_offsets = "body.dcn_block.dcn.conv_offset_mask.weight" in weights
    form = ("native" if native_deform else "grid") if has_offsets else "plain"
    model = onnx.load(template(form, deconv=checkpoint.has_deconv))
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name], tensor.name))
    write_graph(_fixed(model, shape), path, checkpoint.width, "float32", metadata)


def _fixed(model: onnx.ModelProto, shape: GraphShape) -> onnx.ModelProto:
    for end in (*model.graph.input, *model.graph.output):
        dimensions = end.type.tensor_type.shape.dim
        for index, fixed in ((0, shape.batch), (2, shape.height), (3, shape.width)):
            if fixed is not None:
                dimensions[index].dim_value = fixed
    return model


def deployed_weights(checkpoint: Checkpoint) -> Arrays:
    """The weights of `DeployedNetwork`, by numpy alone.

    Network deconvolution becomes a plain convolution, and so does a deformable one that has learnt no offsets.

    Raises:
        CheckpointError: if the checkpoint is not a network's.
    """
    weights = checkpoint.weights()
    if checkpoint.has_deconv:
        kernel, mean = weights["deconv.weight"], weights.pop("deconv.running_mean")
        flat = kernel.reshape(len(kernel), -1) @ weights.pop("deconv.running_deconv")
        weights["deconv.weight"] = flat.reshape(kernel.shape)
        weights["deconv.bias"] -= flat @ mean
    predictor = "dcn_block.dcn.conv_offset_mask"
    bias = weights[f"{predictor}.bias"]
    if not (weights[f"{predictor}.weight"].any() or bias[:18].any()):
        mask = _sigmoid(bias[18:]).reshape(1, 1, 3, 3)
        weights["dcn_block.dcn.weight"] = weights["dcn_block.dcn.weight"] * mask
        del weights[f"{predictor}.weight"], weights[f"{predictor}.bias"]
    for name in ("mix1", "mix2"):
        s = _sigmoid(weights.pop(f"{name}.w"))
        weights |= {f"{name}.s": s, f"{name}.rest": 1 - s}
    return {f"body.{name}": value for name, value in weights.items()}


def write_graph(
    model: onnx.ModelProto, path: Path, width: int | None, precision: str, metadata: Mapping[str, str]
) -> None:
    """Check a graph and write it with its facts in metadata_props; the file is complete or not there.

    Args:
        model: the graph.
        path: where to.
        width: of AECR-Net; None for another network.
        precision: of the computation.
        metadata: more facts.
    """
    import onnx

    facts = {
        **({} if width is None else {"architecture": "aecrnet", "width": str(width)}),
        "precision": precision,
        "input": "RGB in [0,1], NCHW, multiples of 4",
        **metadata,
    }
    onnx.helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    write_whole(path, model.SerializeToString())


def _sigmoid(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return (1 / (1 + np.exp(-x))).astype(np.float32)
