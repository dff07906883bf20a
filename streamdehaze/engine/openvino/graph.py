"""Reading our graphs with OpenVINO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

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


_ROWS, _COLUMNS = 2, 4
"""Pixels that the last convolution makes at once."""


def widen_last_convolution(model: openvino.Model) -> None:
    """Let the convolution that makes a picture of a network's features compute several pixels at once.

    Its three channels fill three of the eight or sixteen places of a processor's vectors. With a kernel for each pixel
    of a block, shifted within a larger one whose other weights are 0, and the stride of a block, more of them are used:
    a network of width 16 takes 0.92 of the time.

    Args:
        model: with sizes of multiples of 4, changed in place; one without such a convolution stays as it is.
    """
    operators = import_quietly("openvino.opset8")
    for convolution in model.get_ordered_ops():
        if convolution.get_type_name() != "Convolution":
            continue
        weights = convolution.input_value(1).get_node()
        (batch, channels, rows, columns), (_, inputs, height, width) = (
            tuple(each.get_shape()) for each in (convolution.output(0), convolution.input_value(1))
        )
        given = convolution.get_attributes()
        if channels != 3 or weights.get_type_name() != "Constant" or given["strides"] != [1, 1]:
            continue
        block = np.zeros((3, _ROWS, _COLUMNS, inputs, height + _ROWS - 1, width + _COLUMNS - 1), np.float32)
        for y, x in np.ndindex(_ROWS, _COLUMNS):
            block[:, y, x, :, y : y + height, x : x + width] = weights.data
        pixels = operators.convolution(
            convolution.input_value(0),
            operators.constant(block.reshape(-1, *block.shape[3:])),
            [_ROWS, _COLUMNS],
            given["pads_begin"],
            given["pads_end"],
            [1, 1],
        )
        shape = [batch, 3, _ROWS, _COLUMNS, rows // _ROWS, columns // _COLUMNS]
        apart = operators.transpose(operators.reshape(pixels, shape, special_zero=False), [0, 1, 4, 2, 5, 3])
        picture = operators.reshape(apart, [batch, 3, rows, columns], special_zero=False)
        convolution.output(0).replace(picture.output(0))
