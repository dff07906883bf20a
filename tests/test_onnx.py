"""Exported graphs compute what PyTorch computes, in every runtime, and reveal nothing about their origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from shared import shared
from streamdehaze.cli import main
from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.engine.onnx.export import export_onnx
from streamdehaze.engine.onnx.template import GraphShape
from streamdehaze.errors import EngineError
from streamdehaze.fidelity import psnr
from streamdehaze.network import Checkpoint, load_network
from streamdehaze.network.aecrnet import AECRNet
from streamdehaze.network.deformable import ModulatedDeformConv

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
ort = pytest.importorskip("onnxruntime")


def lively(width: int) -> AECRNet:
    """A network in which every part has an effect: whitening, offsets and mixing differ from their initial values."""
    torch.manual_seed(5)
    network = AECRNet(width)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(2, 3, 32, 32))
        offsets = network.dcn_block.dcn.conv_offset_mask
        offsets.weight.normal_(0, 0.3)
        offsets.bias.normal_(0, 1.0)
        network.mix1.w.fill_(0.4)
    return network.eval()


def moving(name: str) -> AECRNet:
    """A bundled checkpoint with random offsets instead of those it has learnt."""
    torch.manual_seed(6)
    network = load_network(name)
    torch.nn.init.normal_(network.dcn_block.dcn.conv_offset_mask.weight, 0, 0.1)
    return network


def by_torch(network: AECRNet, hazy: Any) -> Any:
    with torch.inference_mode():
        return network(torch.from_numpy(hazy)).clamp(0, 1).numpy()


def by_onnxruntime(path: Path, hazy: Any) -> Any:
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(["clear"], {"hazy": hazy})[0]


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "aecrnet-s.onnx"
    export_onnx(load_network("aecrnet-s"), path, metadata={"checkpoint": "aecrnet-s"})
    return path


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "half.onnx"
    export_onnx(moving("aecrnet-s"), path, precision="float16")
    return path


@pytest.mark.parametrize("shape", [(1, 144, 256), (3, 96, 68), (2, 8, 12)])
def test_one_graph_serves_every_batch_and_size(bundled: Path, shape: tuple[int, int, int]) -> None:
    hazy = hazy_pictures(*shape)
    np.testing.assert_allclose(by_onnxruntime(bundled, hazy), by_torch(load_network("aecrnet-s"), hazy), atol=1e-5)


@pytest.mark.parametrize("width", [4, 20])
def test_any_width_with_deconvolution_and_offsets_is_equal_in_openvino_and_onnxruntime(
    tmp_path: Path, width: int
) -> None:
    openvino = pytest.importorskip("openvino")
    network, path, hazy = lively(width), tmp_path / "n.onnx", hazy_pictures(2, 72, 96)
    export_onnx(network, path, GraphShape(2, 72, 96))
    wanted = by_torch(network, hazy)
    np.testing.assert_allclose(by_onnxruntime(path, hazy), wanted, atol=1e-5)
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.testing.assert_allclose(compiled([hazy])[0], wanted, atol=1e-5)


def test_native_deformable_convolution_is_equal(tmp_path: Path) -> None:
    network, path, hazy = lively(4), tmp_path / "native.onnx", hazy_pictures(2, 48, 64)
    export_onnx(network, path, GraphShape(2, 48, 64), native_deform=True)
    operators = [node.op_type for node in onnx.load(path).graph.node]
    assert operators.count("DeformConv") == 2
    assert "GridSample" not in operators
    np.testing.assert_allclose(by_onnxruntime(path, hazy), by_torch(network, hazy), atol=1e-5)


def test_half_precision_stays_within_50_db_and_keeps_its_sampling_grid_in_float32(half: Path) -> None:
    hazy = hazy_pictures(2, 144, 256)
    assert psnr(by_onnxruntime(half, hazy), by_torch(moving("aecrnet-s"), hazy), peak=1.0) > 60
    graph = onnx.shape_inference.infer_shapes(onnx.load(half)).graph
    types = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    for node in graph.node:
        if node.op_type in ("GridSample", "ReduceMean", "Tanh"):
            wide = [name for name in node.input if name in types]
            assert wide
            assert all(types[name] in (onnx.TensorProto.FLOAT, onnx.TensorProto.INT64) for name in wide), node.op_type
    assert any(value == onnx.TensorProto.FLOAT16 for value in types.values())
    assert half.stat().st_size < 600_000


def test_half_precision_stays_within_50_db_on_real_haze(half: Path) -> None:
    import cv2

    photos, network = shared("data/real-photos"), moving("aecrnet-s")
    for name in ("canyon.png", "guogong.png"):
        picture = cv2.imread(str(photos / name))[:, :, ::-1]
        hazy = cv2.resize(picture, (256, 192), interpolation=cv2.INTER_AREA).astype(np.float32).transpose(2, 0, 1) / 255
        hazy = np.ascontiguousarray(hazy[None])
        assert psnr(by_onnxruntime(half, hazy), by_torch(network, hazy), peak=1.0) > 50


def test_constants_are_folded(bundled: Path) -> None:
    graph = onnx.load(bundled).graph
    names = {initializer.name for initializer in graph.initializer}
    assert not any("running" in name or name.endswith("mix1.w") for name in names)
    has_masks = isinstance(load_network("aecrnet-s").folded().dcn_block.dcn, ModulatedDeformConv)
    gates = 6 * 2 + 2 * has_masks  # channel and pixel attention of six blocks, two deformable convolutions
    assert [node.op_type for node in graph.node].count("Sigmoid") == gates


def test_the_file_states_its_facts_and_no_paths(bundled: Path) -> None:
    model = onnx.load(bundled)
    facts = {item.key: item.value for item in model.metadata_props}
    assert facts["checkpoint"] == "aecrnet-s"
    assert facts["width"] == "16"
    assert facts["precision"] == "float32"
    assert str(Path(__file__).parents[1]).encode() not in bundled.read_bytes()
    assert b"site-packages" not in bundled.read_bytes()


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_command_writes_fixed_and_free_shapes_with_their_facts(tmp_path: Path, precision: str) -> None:
    hazy = hazy_pictures(2, 48, 64)
    wanted = by_torch(load_network("aecrnet-s"), hazy)
    for name, options in (("free", []), ("fixed", ["--size", "64x48", "--batch", "2"])):
        path = tmp_path / f"{name}.onnx"
        command = ["export", "aecrnet-s", "-o", str(path), "--precision", precision, *options]
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, done.output
        assert psnr(by_onnxruntime(path, hazy), wanted, peak=1.0) > (90 if precision == "float32" else 45)
        model = onnx.load(path)
        facts = {item.key: item.value for item in model.metadata_props}
        assert (facts["checkpoint"], facts["precision"], facts["width"]) == ("aecrnet-s", precision, "16")
        assert len(facts["checkpoint_sha256"]) == 64
        shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
        assert shape == ([2, 3, 48, 64] if name == "fixed" else [0, 3, 0, 0])
        assert "exists already" in CliRunner().invoke(main, command).output


@pytest.mark.parametrize(
    ("shape", "said"), [((1, 90, 64), "multiples of 4"), ((1, 64, 4), "multiples of 4"), ((0, 64, 64), "batch of 0")]
)
def test_a_shape_the_network_does_not_take_is_refused(shape: tuple[int, int, int], said: str) -> None:
    with pytest.raises(EngineError, match=said):
        GraphShape(*shape)


@pytest.mark.parametrize("native_deform", [False, True], ids=["grid", "native"])
@pytest.mark.parametrize(
    "network",
    [lively(4), lively(6), AECRNet(4).eval(), moving("aecrnet-s"), load_network("aecrnet-s")],
    ids=["4", "6", "4 without offsets", "aecrnet-s with offsets", "aecrnet-s"],
)
def test_the_filled_template_is_equal_to_the_network_for_every_width_with_and_without_deconvolution(
    network: AECRNet, native_deform: bool, tmp_path: Path
) -> None:
    from streamdehaze.engine.onnx.template import write_filled

    path, hazy = tmp_path / "filled.onnx", hazy_pictures(2, 72, 100)
    write_filled(Checkpoint.of(network), path, {"checkpoint": "mine"}, native_deform=native_deform)
    np.testing.assert_allclose(by_onnxruntime(path, hazy), by_torch(network, hazy), atol=1e-5)
    facts = {item.key: item.value for item in onnx.load(path).metadata_props}
    assert facts["checkpoint"] == "mine"
    assert facts["width"] == str(network.width)


@pytest.mark.parametrize("network", [lively(4), lively(20), moving("aecrnet-s")], ids=["4", "20", "aecrnet-s"])
def test_openvino_runs_its_own_deformable_convolution_and_it_equals_the_grid_form_and_pytorch(
    network: AECRNet, tmp_path: Path
) -> None:
    openvino = pytest.importorskip("openvino")
    from streamdehaze.engine.onnx.template import write_filled
    from streamdehaze.engine.openvino.backend import OpenVINOEngine
    from streamdehaze.engine.openvino.graph import read_deform_conv

    native, grid, hazy = tmp_path / "native.onnx", tmp_path / "grid.onnx", hazy_pictures(2, 72, 96)
    write_filled(Checkpoint.of(network), native, {})
    write_filled(Checkpoint.of(network), grid, {}, native_deform=False)
    by_native, by_grid = (OpenVINOEngine(path, precision="float32").infer(hazy) for path in (native, grid))
    np.testing.assert_allclose(by_native, by_grid, atol=1e-6)
    np.testing.assert_allclose(by_native, by_torch(network, hazy), atol=5e-6)
    core = openvino.Core()
    read_deform_conv(core)
    operators = [node.get_type_name() for node in core.read_model(native).get_ops()]
    assert operators.count("DeformableConvolution") == 2
    assert "GridSample" not in operators


def test_the_last_convolution_makes_blocks_of_pixels_and_the_same_ones(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    from streamdehaze.engine.onnx.template import write_filled
    from streamdehaze.engine.openvino.graph import read_deform_conv, widen_last_convolution

    write_filled(Checkpoint.of(AECRNet(4)), tmp_path / "graph.onnx", {})
    core = openvino.Core()
    read_deform_conv(core)
    plain, widened = (core.read_model(tmp_path / "graph.onnx") for _ in range(2))
    for model in (plain, widened):
        model.reshape([1, 3, 72, 96])
    widen_last_convolution(widened)
    assert 24 in [node.get_output_shape(0)[1] for node in widened.get_ops() if node.get_type_name() == "Convolution"]
    hazy, exactly = hazy_pictures(1, 72, 96), {"INFERENCE_PRECISION_HINT": "f32"}
    one, other = (core.compile_model(model, "CPU", exactly)([hazy])[0] for model in (plain, widened))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_every_attribute_of_deformable_convolution_reaches_openvino(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    from torchvision.ops import deform_conv2d

    from streamdehaze.engine.openvino.graph import read_deform_conv

    random, helper = np.random.default_rng(3), onnx.helper
    x, weight = random.normal(size=(2, 8, 13, 17)), random.normal(size=(6, 4, 3, 2))
    bias, offset, mask = random.normal(size=6), random.normal(0, 2, (2, 24, 9, 8)), random.uniform(size=(2, 12, 9, 8))
    inputs = {"x": x, "weight": weight, "offset": offset, "bias": bias, "mask": mask}
    values = {name: value.astype(np.float32) for name, value in inputs.items()}
    attributes: dict[str, Any] = {"strides": [1, 2], "pads": [0, 1, 0, 1], "dilations": [2, 3]}
    node = helper.make_node("DeformConv", list(values), ["y"], group=2, offset_group=2, **attributes)
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "one layer",
        [helper.make_tensor_value_info(name, kind, value.shape) for name, value in values.items()],
        [helper.make_tensor_value_info("y", kind, None)],
    )
    path = tmp_path / "layer.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    tensors = {name: torch.from_numpy(value) for name, value in values.items()}
    wanted = deform_conv2d(
        tensors["x"], tensors["offset"], tensors["weight"], tensors["bias"],
        stride=(1, 2), padding=(0, 1), dilation=(2, 3), mask=tensors["mask"],
    ).numpy()  # fmt: skip
    core = openvino.Core()
    read_deform_conv(core)
    got = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(list(values.values()))
    np.testing.assert_allclose(got[0], wanted, atol=2e-5)
