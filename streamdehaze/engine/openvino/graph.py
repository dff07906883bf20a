"""Reading our graphs with OpenVINO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamdehaze.telemetry import import_quietly

if TYPE_CHECKING:
    import openvino


def read_deform_conv(core: openvino.Core) -> None:
    """Let `core.read_model` take ONNX DeformConv (with bias and mask) as OpenVINO's DeformableConvolution.

    OpenVINO has had the operator since operator set 8, but its ONNX frontend has no conversion to it (2026.4).
    """
    frontend = import_quietly("openvino.frontend.onnx")
    core.add_extension(frontend.ConversionExtension("DeformConv", _deformable_convolution))


def _deformable_convolution(node: Any) -> Any:
    operators = import_quietly("openvino.opset8")
    x, weight, offset, bias, mask = (node.get_input(index) for index in range(5))
    pads = node.get_attribute("pads", [0, 0, 0, 0])
    features = operators.deformable_convolution(
        x,
        offset,
        weight,
        node.get_attribute("strides", [1, 1]),
        pads[:2],
        pads[2:],
        node.get_attribute("dilations", [1, 1]),
        mask=mask,
        group=node.get_attribute("group", 1),
        deformable_group=node.get_attribute("offset_group", 1),
        bilinear_interpolation_pad=True,  # a corner outside the picture counts as 0, as in ONNX
    )
    return operators.add(features, operators.unsqueeze(bias, operators.constant([0, 2, 3]))).outputs()
