"""Tests on a real NVIDIA GPU: PyTorch's engine, TensorRT's streams and graphs, decoding, training.

TensorRT's own runtime is replaced by PyTorch's kernels, launched into the stream and at the addresses it is given, so
that streams, pinned memory, graphs and the order of copies are the device's.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from clips import Clip, frames_of
from streamdehaze.cli import main
from streamdehaze.engine import TorchEngine
from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.engine.recipe import Shape, TensorRTOptions
from streamdehaze.engine.tensorrt.cuda import Cuda
from streamdehaze.engine.tensorrt.execution import TensorRTEngine
from streamdehaze.fidelity import psnr
from streamdehaze.frame import FloatArray
from streamdehaze.network import load_network, read_checkpoint
from streamdehaze.network.aecrnet import AECRNet

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU and torch with CUDA")

SHAPE = Shape(width=64, height=48, batch=2)


@pytest.fixture(scope="module")
def network() -> AECRNet:
    return load_network("aecrnet-s")


# cuDNN's TensorFloat-32 has ten bits of mantissa, as float16 has; bfloat16 has seven.
@pytest.mark.parametrize(("precision", "floor_db"), [("float32", 50), ("float16", 45), ("bfloat16", 35)])
def test_the_gpu_computes_the_same_as_the_cpu(network: AECRNet, precision: Any, floor_db: float) -> None:
    hazy = hazy_pictures(3, 144, 256)
    wanted = TorchEngine(network, "cpu").infer(hazy)
    assert psnr(TorchEngine(network, "cuda", precision=precision).infer(hazy), wanted, peak=1.0) >= floor_db


def test_whole_frames_through_deformable_convolution_and_deconvolution() -> None:
    torch.manual_seed(4)
    network = AECRNet(8).eval()
    torch.nn.init.normal_(network.dcn_block.dcn.conv_offset_mask.weight, std=0.05)  # type: ignore[arg-type]
    hazy = hazy_pictures(1, 360, 640)
    wanted = TorchEngine(network, "cpu").infer(hazy)
    assert psnr(TorchEngine(network, "cuda", precision="float32").infer(hazy), wanted, peak=1.0) >= 50


def test_compiled_with_cuda_graphs(network: AECRNet) -> None:
    engine = TorchEngine(network, "cuda", precision="float16", compiled=True)
    plain = TorchEngine(network, "cuda", precision="float16")
    for seed in range(3):  # of a graph that is replayed
        hazy = np.roll(hazy_pictures(2, 48, 64), seed, axis=3)
        assert psnr(engine.infer(hazy), plain.infer(hazy), peak=1.0) >= 45


class CountingCuda(Cuda):
    """A device that records what was asked of it."""

    def __init__(self) -> None:
        self.memory: dict[int, torch.Tensor] = {}
        self.replays = 0

    def device(self, shape: tuple[int, ...]) -> torch.Tensor:
        tensor = super().device(shape)
        self.memory[tensor.data_ptr()] = tensor
        return tensor

    def capture(self, stream: Any, launch: Callable[[], None]) -> Callable[[], None]:
        replay = super().capture(stream, launch)

        def counted() -> None:
            self.replays += 1
            replay()

        return counted


class TorchInPlaceOfTensorRT:
    """A module `tensorrt` whose engine is PyTorch's network."""

    __name__ = "tensorrt"
    __version__ = "0.torch"

    class ILogger:
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def __init__(self, network: AECRNet, cuda: CountingCuda) -> None:
        network = network.folded().cuda()

        class Context:
            def __init__(self) -> None:
                self.addresses: dict[str, int] = {}

            def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
                return shape[2:] == (SHAPE.height, SHAPE.width)

            def set_tensor_address(self, name: str, address: int) -> bool:
                self.addresses[name] = address
                return True

            def execute_async_v3(self, stream: int) -> bool:
                hazy, clear = (cuda.memory[self.addresses[name]] for name in ("hazy", "clear"))
                with torch.inference_mode(), torch.cuda.stream(torch.cuda.ExternalStream(stream)):
                    clear.copy_(network(hazy).clamp(0, 1))
                return True

        class Engine:
            def create_execution_context(self) -> Context:
                return Context()

        class Runtime:
            engine_host_code_allowed = False

            def deserialize_cuda_engine(self, plan: bytes) -> Engine:
                return Engine()

        self.Runtime = lambda log: Runtime()


@pytest.fixture(scope="module")
def on_the_device(network: AECRNet) -> Callable[..., tuple[TensorRTEngine, CountingCuda]]:
    def make(**options: Any) -> tuple[TensorRTEngine, CountingCuda]:
        cuda = CountingCuda()
        module = TorchInPlaceOfTensorRT(network, cuda)
        return TensorRTEngine(module, b"", SHAPE, TensorRTOptions(**options), cuda=cuda), cuda

    return make


@pytest.mark.parametrize("cuda_graph", [True, False])
@pytest.mark.parametrize("contexts", [1, 2, 3])
def test_any_batch_comes_out_in_order(
    on_the_device: Callable[..., tuple[TensorRTEngine, CountingCuda]], network: AECRNet, contexts: int, cuda_graph: bool
) -> None:
    engine, cuda = on_the_device(contexts=contexts, cuda_graph=cuda_graph)
    wanted_of = TorchEngine(network, "cuda", precision="float32")
    pieces = 0
    for batch, shift in itertools.product((1, 2, 5, 9), (0, 7, 20)):
        hazy = np.roll(hazy_pictures(batch, SHAPE.height, SHAPE.width), shift, axis=3)
        # Batches of another size may get other kernels of cuDNN, in TensorFloat-32.
        np.testing.assert_allclose(engine.infer(hazy), wanted_of.infer(hazy), atol=0.02)
        pieces += -(-batch // SHAPE.batch)
    assert cuda.replays == (pieces if cuda_graph else 0)


def test_the_time_on_the_device_is_split(on_the_device: Callable[..., tuple[TensorRTEngine, CountingCuda]]) -> None:
    engine, _ = on_the_device()
    split = engine.split(hazy_pictures(2, SHAPE.height, SHAPE.width))
    assert list(split) == ["host to device", "compute", "device to host"]
    assert min(split.values()) > 0


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["run", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def lumas(path: Path, **options: Any) -> FloatArray:
    frames = frames_of(path, **options)
    return np.stack([frame.planes[0][: frame.height, : frame.width] for frame in frames]).astype(np.float32) / 255


def test_a_clip_is_the_same_on_the_gpu_and_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMDEHAZE_ENGINES", str(tmp_path / "engines"))
    source = Clip(size=(320, 192), codec="ffv1").write(tmp_path / "a.mkv")
    run(str(source), "-o", str(tmp_path / "gpu.mkv"), "--engine", "torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    run(str(source), "-o", str(tmp_path / "cpu.mkv"), "--engine", "torch")
    assert psnr(lumas(tmp_path / "gpu.mkv"), lumas(tmp_path / "cpu.mkv"), peak=1) >= 45


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_decoding_on_the_gpu_gives_the_same_pictures(tmp_path: Path, codec: str) -> None:
    source = Clip(size=(320, 192), codec=codec).write(tmp_path / "a.mp4")
    np.testing.assert_array_equal(lumas(source, hwaccel="cuda"), lumas(source))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_training_on_the_gpu(tmp_path: Path, precision: str) -> None:
    pytest.importorskip("lightning")
    from streamdehaze.training.run import train
    from training_data import configuration, make_scenes

    config = configuration(
        tmp_path,
        make_scenes(tmp_path / "scenes", 8),
        network={"width": 8},
        stages=[{"size": [32, 48], "batch": 8, "steps": 150}],
        optimizer={"method": "muon", "rate": 3e-3, "clip": 1.0, "average": 0.9},
        loss={"square": 5},
        machine={"accelerator": "gpu", "devices": 1, "precision": precision, "workers": 2},
        save_every_steps=20,
    )
    trained = train(config)
    with next((tmp_path / "runs" / "run" / "log").rglob("metrics.csv")).open() as file:
        losses = [float(row["loss/total"]) for row in csv.DictReader(file) if row["loss/total"]]
    assert losses[-1] < losses[0]
    assert all(np.isfinite(value).all() for value in read_checkpoint(trained.last).state.values())
    assert train(config).steps == 150  # resumed from its end


def test_contrastive_regularization_is_the_same_on_the_gpu_and_on_the_cpu(tmp_path: Path) -> None:
    pytest.importorskip("pydantic")
    from streamdehaze.training.contrastive import ContrastiveLoss, VGG19Features
    from training_data import make_vgg19

    loss = ContrastiveLoss(VGG19Features(make_vgg19(tmp_path)))
    out, clear, hazy = torch.rand(3, 2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    on_cpu = loss(out, clear, hazy)
    on_gpu = loss.cuda()(out.cuda(), clear.cuda(), hazy.cuda())
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=1e-2, atol=0)
