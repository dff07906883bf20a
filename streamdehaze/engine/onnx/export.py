"""AECR-Net as an ONNX file, the form from which OpenVINO, TensorRT and ONNX Runtime compile."""

from __future__ import annotations

import contextlib
import copy
import io
import itertools
import logging
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from streamdehaze.engine.onnx.template import ANY_SHAPE, GraphShape, template, write_graph
from streamdehaze.errors import EngineError, first_line
from streamdehaze.extras import install_command
from streamdehaze.network.aecrnet import AdaptiveMixup, AECRNet
from streamdehaze.network.deformable import ModulatedDeformConv

if TYPE_CHECKING:
    import onnx

OPSET = 20
"""GridSample takes the mode "linear" and DeformConv exists (19) as of this operator set; TensorRT 10.1 reads it."""

INPUT, OUTPUT = "hazy", "clear"
"""Names of the graph's input and output."""


class _FixedMixup(nn.Module):
    # sigmoid(w) and what is left of 1, written into the graph as numbers
    s: Tensor
    rest: Tensor

    def __init__(self, mixup: AdaptiveMixup) -> None:
        super().__init__()
        s = torch.sigmoid(mixup.w.detach())
        self.register_buffer("s", s)
        self.register_buffer("rest", 1 - s)

    def forward(self, down: Tensor, up: Tensor) -> Tensor:
        return down * self.s + up * self.rest


class _Float32Tanh(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x.float())


class NativeDeformConv(nn.Module):
    """The same layer by torchvision's operator, which the exporter writes as ONNX DeformConv.

    Raises:
        EngineError: if torchvision is not installed (extra `tensorrt`).
    """

    def __init__(self, dcn: ModulatedDeformConv) -> None:
        super().__init__()
        try:
            from torchvision.ops import deform_conv2d
        except ImportError as error:
            raise EngineError(
                f"the native deformable convolution needs torchvision: {install_command('tensorrt')}; or set "
                'deformable = "grid" in the recipe'
            ) from error
        self._operator = deform_conv2d
        self.weight, self.bias, self.conv_offset_mask = dcn.weight, dcn.bias, dcn.conv_offset_mask

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        shifts_1, shifts_2, mask = self.conv_offset_mask(x).chunk(3, dim=1)
        offset = torch.cat([shifts_1, shifts_2], dim=1)
        clear: Tensor = self._operator(x, offset, self.weight, self.bias, padding=1, mask=torch.sigmoid(mask))
        return clear


class DeployedNetwork(nn.Module):
    """The network as engines compile it: float32 in and out, clamped to [0, 1], constants folded.

    Args:
        network: in any mode; a copy is changed.
        half: compute in float16, all but the sampling grid, the global means and the tanh.
        native_deform: use the runtime's own deformable convolution rather than `GridSample` and `Conv`. A network that
            has learnt no offsets has a plain convolution there in either case.
    """

    def __init__(self, network: AECRNet, *, half: bool = False, native_deform: bool = False) -> None:
        super().__init__()
        body = network.folded().cpu().requires_grad_(False)
        body.mix1, body.mix2 = _FixedMixup(body.mix1), _FixedMixup(body.mix2)  # type: ignore[assignment]
        if native_deform and isinstance(body.dcn_block.dcn, ModulatedDeformConv):
            body.dcn_block.dcn = NativeDeformConv(body.dcn_block.dcn)  # type: ignore[assignment]
        if half:
            body = body.half()
            body.up3[2] = _Float32Tanh()
        self.body, self.dtype = body, torch.float16 if half else torch.float32

    def forward(self, hazy: Tensor) -> Tensor:
        """(B, 3, H, W) float32 in [0, 1] → the same."""
        clear: Tensor = self.body(hazy.to(self.dtype))
        return clear.float().clamp(0.0, 1.0)


class _Clamped(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.body = copy.deepcopy(network).cpu().requires_grad_(False)

    def forward(self, hazy: Tensor) -> Tensor:
        clear: Tensor = self.body(hazy)
        return clear.clamp(0.0, 1.0)


def export_onnx(
    network: nn.Module,
    path: Path,
    shape: GraphShape = ANY_SHAPE,
    *,
    precision: Literal["float32", "float16"] = "float32",
    native_deform: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write the network as one ONNX file, with input "hazy" and output "clear", both float32 (B, 3, H, W) in [0, 1].

    A float16 graph carries its types itself ("strongly typed"), as TensorRT 11 demands and 10 accepts.

    Args:
        network: what to export; for other networks than AECR-Net, `precision` and `native_deform` are as by default.
        path: where to; the file is whole or not there.
        shape: fixed dimensions; those left None are free.
        precision: of the graph's inside.
        native_deform: write ONNX DeformConv (TensorRT ≥ 10.1, ONNX Runtime) rather than GridSample and Conv.
        metadata: kept in the file's metadata_props.

    Raises:
        EngineError: if the exporter's packages are missing (extra `onnx`) or it fails.
    """
    require_exporter()
    deployed: nn.Module = _Clamped(network)
    if isinstance(network, AECRNet):
        deployed = DeployedNetwork(network, half=precision == "float16", native_deform=native_deform)
    model = _clean(_export(deployed.eval(), shape))
    write_graph(model, path, network.width if isinstance(network, AECRNet) else None, precision, metadata or {})


def require_exporter() -> None:
    """Check that PyTorch can export.

    Raises:
        EngineError: if packages for it are missing (extra `onnx`).
    """
    try:
        import onnx  # noqa: F401 - torch's exporter needs both and says so less clearly
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise EngineError(f"writing ONNX needs the package {error.name}: {install_command('onnx')}") from error


def _export(deployed: nn.Module, shape: GraphShape) -> onnx.ModelProto:
    # A free dimension must not be 0 or 1 in the example, or the exporter takes it for a constant.
    example = torch.zeros(shape.batch or 2, 3, shape.height or 48, shape.width or 64)
    free: dict[int, Any] = {}
    if shape.batch is None:
        free[0] = torch.export.Dim("batch", min=1)
    if shape.height is None:
        free[2] = 4 * torch.export.Dim("quarter_height", min=2)
    if shape.width is None:
        free[3] = 4 * torch.export.Dim("quarter_width", min=2)
    with _silence():
        try:
            program = torch.onnx.export(
                deployed,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=[free] if free else None,
                verbose=False,
            )
        except Exception as error:  # the exporter's errors share no base
            raise EngineError(f"torch's ONNX exporter failed: {first_line(error.__cause__ or error)}") from error
    assert program is not None
    model: onnx.ModelProto = copy.deepcopy(program.model_proto)
    return model


@contextlib.contextmanager
def _silence() -> Any:
    # The exporter reports each of its steps on standard output and warns about operators that are not used.
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _clean(model: onnx.ModelProto) -> onnx.ModelProto:
    # The exporter notes source lines and stack traces at each node: a quarter of a megabyte of the builder's own paths.
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
    model.graph.doc_string = model.doc_string = ""
    del model.graph.metadata_props[:]
    return model


def _strip(model: onnx.ModelProto, names: set[str]) -> None:
    for tensor in model.graph.initializer:
        if tensor.name in names:
            tensor.ClearField("raw_data")
    del model.graph.value_info[:]  # shapes between the nodes, which the width decides
    del model.metadata_props[:]


def main() -> None:
    """Export the graphs without weights again; see `template`."""
    import onnx

    for has_deconv, native_deform, has_offsets in itertools.product((False, True), repeat=3):
        network = AECRNet(16, deconv=has_deconv)
        for parameter in network.parameters():
            nn.init.normal_(parameter)  # weights that are equal, as fresh biases are, would be merged
        if not has_offsets:
            nn.init.zeros_(network.dcn_block.dcn.conv_offset_mask.weight)
            nn.init.zeros_(network.dcn_block.dcn.conv_offset_mask.bias)  # type: ignore[arg-type]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "whole.onnx"
            export_onnx(network, path, native_deform=native_deform)
            model = onnx.load(path)
        names = set(DeployedNetwork(network).state_dict())
        assert names <= {tensor.name for tensor in model.graph.initializer}
        _strip(model, names)
        form = ("native" if native_deform else "grid") if has_offsets else "plain"
        template(form, deconv=has_deconv).write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
