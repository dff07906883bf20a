"""TensorRT: plans are built for real without a GPU; running them is tested against a double of its interface."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from doubles import timing
from streamdehaze.cli import main
from streamdehaze.engine import EngineCache, Recipe, TorchEngine, open_engine, read_recipe
from streamdehaze.engine.build.build import build_engine
from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.engine.build.request import BuildRequest
from streamdehaze.engine.recipe import Shape, TensorRTOptions
from streamdehaze.engine.tensorrt.execution import TensorRTEngine
from streamdehaze.engine.tensorrt.runtime import NvidiaGpu, check_gpu, find_gpu
from streamdehaze.errors import EngineError
from streamdehaze.network import load_network, write_checkpoint
from streamdehaze.network.aecrnet import AECRNet

pytest.importorskip("onnxscript")

AHEAD = [
    path
    for path in sorted((Path(__file__).parents[1] / "engines").glob("*.toml"))
    if read_recipe(path).tensorrt.compute_capabilities
]


@pytest.fixture
def rtx() -> Any:
    if find_gpu() is not None:
        pytest.skip("this machine has a GPU, and would verify what is built")
    return pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX (extra tensorrt-rtx)")


def command(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["engine", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, re.sub(r"\s+", " ", result.output)


@pytest.mark.parametrize("path", AHEAD, ids=lambda path: path.stem)
def test_every_ahead_of_time_recipe_builds_and_its_plan_is_kept(
    rtx: Any, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMDEHAZE_ENGINES", str(tmp_path))
    code, said = command("build", "--recipe", str(path))
    assert code == 0, said
    assert "not verified: no such device is here" in said
    (record,) = EngineCache(tmp_path).records()
    assert record.state == "unverified"
    assert record.size_bytes > 500_000
    assert record.identity["device"] == list(read_recipe(path).tensorrt.compute_capabilities)
    assert record.file[-23:-7] in command("list")[1]
    assert "up to date" in command("show", record.file)[1]
    code, said = command("verify")
    assert code == 1
    assert "which is not here" in said


def test_every_compute_capability_the_runtime_offers_builds(rtx: Any, tmp_path: Path) -> None:
    from streamdehaze.engine.onnx.export import export_onnx
    from streamdehaze.engine.onnx.template import GraphShape
    from streamdehaze.engine.tensorrt.compile import compile_plan

    graph, shape = tmp_path / "graph.onnx", Shape(width=64, height=48, batch=2)
    export_onnx(load_network("aecrnet-s"), graph, GraphShape(2, 48, 64), precision="float16")
    names = [name for name in rtx.ComputeCapability.__members__ if name.startswith("SM")]
    assert "SM89" in names
    plans = {}
    for name in names:
        options = TensorRTOptions(compute_capabilities=(name,))
        plans[name] = compile_plan(rtx, graph, shape, options, None, lambda what, share: None)
        assert len(plans[name]) > 100_000
    assert len(set(plans.values())) == len(names)
    options = TensorRTOptions(compute_capabilities=("SM12",))
    with pytest.raises(EngineError, match=r"does not build for SM12, only for .*SM89"):
        compile_plan(rtx, graph, shape, options, None, lambda what, share: None)


def test_progress_is_reported_while_a_plan_is_built(rtx: Any, tmp_path: Path) -> None:
    told: list[tuple[str, float | None]] = []
    recipe = Recipe(
        engine="tensorrt",
        shape=Shape(width=64, height=48),
        tensorrt=TensorRTOptions(runtime="tensorrt_rtx", compute_capabilities=("SM89",)),
    )
    build_engine(
        BuildRequest("aecrnet-s", recipe), EngineCache(tmp_path), lambda what, share: told.append((what, share))
    )
    assert told[0] == ("exporting the network", None)
    shares = [share for what, share in told if what == "compiling"]
    assert shares
    assert all(share is not None and 0 <= share <= 1 for share in shares)


def test_a_plan_is_refused_without_its_device_and_when_altered_or_out_of_date(
    rtx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMDEHAZE_ENGINES", str(tmp_path / "engines"))
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        'engine = "tensorrt"\nshape = { width = 64, height = 48 }\n'
        '[tensorrt]\nruntime = "tensorrt_rtx"\ncompute_capabilities = ["SM89"]\n'
        "workspace_mib = 64\noptimization_level = 1\nhardware_compatible = true\n"
    )
    with pytest.raises(EngineError, match="was built for SM89, which is not here"):
        open_engine("aecrnet-s", str(recipe), wait=True)
    cache = EngineCache()
    (record,) = cache.records()
    cache.write(record.model_copy(update={"identity": {**record.identity, "runtime": "tensorrt_rtx 1.0"}}))
    assert "changed since: runtime" in command("show", record.file)[1]
    assert cache.find(record.identity) is None
    assert cache.leftovers() == cache.records() == []


def test_a_graph_the_runtime_refuses_is_reported_in_its_own_words(rtx: Any, tmp_path: Path) -> None:
    recipe = Recipe(
        engine="tensorrt",
        deformable="native",
        shape=Shape(width=64, height=48),
        tensorrt=TensorRTOptions(runtime="tensorrt_rtx", compute_capabilities=("SM89",)),
    )
    network = AECRNet(4, deconv=False)
    torch.nn.init.normal_(network.dcn_block.dcn.conv_offset_mask.weight)  # no plain convolution
    write_checkpoint(tmp_path / "mine.safetensors", network, {})
    with pytest.raises(EngineError, match=r"tensorrt_rtx refuses the graph: .*Plugin not found"):
        build_engine(BuildRequest(str(tmp_path / "mine.safetensors"), recipe), EngineCache(tmp_path))
    assert EngineCache(tmp_path).records() == []
    assert EngineCache(tmp_path).leftovers() == []


def test_without_a_gpu_auto_takes_another_engine_and_tensorrt_says_why(rtx: Any, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="finds no NVIDIA GPU here"):
        open_engine("aecrnet-s", "tensorrt", cache=EngineCache(tmp_path))
    assert "tensorrt" not in open_engine("aecrnet-s", "auto", cache=EngineCache(tmp_path)).name


def test_a_plan_refused_here_is_an_error_in_one_sentence(rtx: Any) -> None:
    with pytest.raises(EngineError, match="tensorrt_rtx refuses the engine: "):
        TensorRTEngine(rtx, b"no plan at all" * 100, Shape(width=64, height=48))


def test_a_gpu_that_the_runtime_does_not_support_is_named_with_the_remedy(rtx: Any) -> None:
    with pytest.raises(EngineError, match=r"GTX 1080 \(compute capability 6.1\) is too old .*--engine torch"):
        check_gpu(NvidiaGpu("GTX 1080", (6, 1)), rtx)
    with pytest.raises(EngineError, match=r"does not serve the H100 \(SM90\): .*\[tensorrt\]"):
        check_gpu(NvidiaGpu("H100", (9, 0)), rtx)
    check_gpu(NvidiaGpu("RTX 4090", (8, 9)), rtx)


def test_options_for_running_elsewhere_do_not_tie_an_engine_to_this_machine(
    rtx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamdehaze.engine.tensorrt import TensorRTBackend, backend

    def identity(gpu: NvidiaGpu, **options: Any) -> Any:
        monkeypatch.setattr(backend, "find_gpu", lambda: gpu)
        recipe = Recipe(engine="tensorrt", tensorrt=TensorRTOptions(runtime="tensorrt_rtx", **options))
        return TensorRTBackend(recipe).identity(Shape(width=64, height=48))

    here, there, old = NvidiaGpu("RTX 4090", (8, 9)), NvidiaGpu("RTX 3080", (8, 6)), NvidiaGpu("RTX 2070", (7, 5))
    assert identity(here)["device"] == "RTX 4090 SM89"
    assert identity(here)["runtime"] == f"tensorrt_rtx {rtx.__version__}"
    assert identity(here) != identity(there)
    both = [identity(gpu, version_compatible=True, hardware_compatible=True) for gpu in (here, there)]
    assert both[0] == both[1]
    assert both[0]["runtime"] == f"tensorrt_rtx {rtx.__version__.split('.')[0]}.x"
    assert identity(old, hardware_compatible=True)["device"] == "RTX 2070 SM75"


def test_auto_takes_the_recipe_of_the_fastest_engine_kept_for_the_checkpoint(
    rtx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamdehaze.durable import file_sha256
    from streamdehaze.engine import opening
    from streamdehaze.engine.build.cache import EngineRecord, engine_key
    from streamdehaze.engine.build.verify import Verification
    from streamdehaze.engine.tensorrt import TensorRTBackend, backend

    for module in (opening, backend):
        monkeypatch.setattr(module, "find_gpu", lambda: NvidiaGpu("RTX 4090", (8, 9)))
    cache = EngineCache(tmp_path)

    def kept(level: int, speedup: float, psnr_db: float = 60.0, checkpoint: str = "aecrnet-s") -> Recipe:
        recipe = Recipe(engine="tensorrt", floor_db=20, tensorrt=TensorRTOptions(optimization_level=level))
        order = BuildRequest(checkpoint, recipe)
        identity = order.identity(TensorRTBackend(recipe))
        file = tmp_path / f"{order.stem}-{engine_key(identity)}.engine"
        file.write_bytes(b"a plan")
        found = Verification(
            passed=True,
            reason="",
            engine="tensorrt_rtx",
            shape=(2, 144, 256),
            psnr_db=psnr_db,
            largest_difference=0.0,
            timings=(timing(1.0, speedup),),
        )
        record = EngineRecord(
            identity=identity,
            checkpoint=checkpoint,
            recipe=recipe,
            shape=order.shape,
            file=file.name,
            sha256=file_sha256(file),
            size_bytes=6,
            created="2026",
            build_seconds=1.0,
            state="verified",
            verification=found,
        )
        cache.write(record)
        return recipe

    def chosen() -> list[Recipe]:
        return opening._recipes("auto", "auto", "aecrnet-s", True, cache)

    usual = Recipe(engine="tensorrt")
    assert chosen() == [usual]
    slow, fast = kept(0, 2.0), kept(5, 4.0)
    kept(4, 9.0, psnr_db=30.0)
    kept(2, 9.0, checkpoint="aecrnet-m")
    assert chosen() == [fast, usual]
    for path in tmp_path.glob("*.engine"):
        if path.with_suffix(".json").read_text().count('"optimization_level": 5'):
            path.write_bytes(b"altered")
    assert chosen() == [slow, usual]


# From here on the device is a double; see runtime_double.py.


@pytest.fixture(scope="module")
def network() -> AECRNet:
    return load_network("aecrnet-s")


@pytest.fixture(scope="module")
def plan(network: AECRNet, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    from streamdehaze.engine.onnx.export import export_onnx
    from streamdehaze.engine.onnx.template import GraphShape

    pytest.importorskip("onnxruntime")
    path = tmp_path_factory.mktemp("plan") / "plan.onnx"
    export_onnx(network, path, GraphShape(2, 48, 64))
    return path.read_bytes()


def on_the_double(plan: bytes, **options: Any) -> tuple[TensorRTEngine, Any, Any]:
    from runtime_double import DoubleCuda, DoubleTensorRT

    cuda = DoubleCuda()
    module = DoubleTensorRT(cuda)
    shape = Shape(width=64, height=48, batch=2)
    return TensorRTEngine(module, plan, shape, TensorRTOptions(**options), cuda=cuda), module, cuda  # type: ignore[arg-type]


@pytest.mark.parametrize("contexts", [1, 2, 3])
@pytest.mark.parametrize("cuda_graph", [True, False])
@pytest.mark.parametrize("batch", [1, 2, 5, 9])
def test_any_batch_is_split_and_padded_and_comes_out_in_order(
    plan: bytes, network: AECRNet, contexts: int, cuda_graph: bool, batch: int
) -> None:
    engine, module, cuda = on_the_double(plan, contexts=contexts, cuda_graph=cuda_graph)
    wanted_of = TorchEngine(network, "cpu")
    for hazy in (hazy_pictures(batch, 48, 64), hazy_pictures(batch, 48, 64)[:, ::-1]):
        np.testing.assert_allclose(engine.infer(hazy), wanted_of.infer(hazy), atol=1e-5)
    assert len(module.contexts) == len(cuda.streams) == contexts
    assert cuda.replays == (2 * -(-batch // 2) if cuda_graph else 0)


def test_the_host_waits_once_for_each_piece_and_at_no_other_time(plan: bytes) -> None:
    engine, _, cuda = on_the_double(plan, contexts=2)
    before = [stream.synchronised for stream in cuda.streams]
    engine.infer(hazy_pictures(8, 48, 64))  # four pieces on two contexts
    assert [stream.synchronised - b for stream, b in zip(cuda.streams, before, strict=True)] == [2, 2]


def test_the_time_on_the_device_is_split_as_trtexec_does(plan: bytes) -> None:
    engine, _, _ = on_the_double(plan)
    split = engine.split(hazy_pictures(5, 48, 64))
    assert list(split) == ["host to device", "compute", "device to host"]
    assert split["compute"] > max(split["host to device"], split["device to host"]) > 0


def test_a_size_that_the_plan_does_not_take_is_an_error_rather_than_a_wrong_picture(plan: bytes) -> None:
    engine, _, _ = on_the_double(plan)
    with pytest.raises(EngineError, match="does not take batches of 2 pictures of 96×48"):
        engine.infer(hazy_pictures(2, 48, 96))


def test_a_launch_that_fails_is_an_error(plan: bytes) -> None:
    engine, module, _ = on_the_double(plan, cuda_graph=False)
    module.fail = True
    with pytest.raises(EngineError, match="could not start"):
        engine.infer(hazy_pictures(2, 48, 64))


def test_a_gpu_without_memory_left_is_an_error_that_pytorch_can_stand_in_for(
    plan: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtime_double import DoubleCuda

    def full(self: object, shape: tuple[int, ...]) -> Any:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation")

    monkeypatch.setattr(DoubleCuda, "device", full)
    with pytest.raises(EngineError, match=r"cannot take up the engine: CUDA out of memory\. Tried to .* GiB\.$"):
        on_the_double(plan)


def test_a_foreign_plan_is_refused_with_the_runtimes_message() -> None:
    with pytest.raises(EngineError, match=r"refuses the engine: .*magicTag"):
        on_the_double(b"x" * 2000)


def test_a_plan_contains_code_for_the_host_only_if_its_recipe_says_so(plan: bytes) -> None:
    for allowed in (False, True):
        _, module, _ = on_the_double(plan, version_compatible=allowed)
        assert module.runtime.engine_host_code_allowed is allowed


def test_a_closed_engine_refuses_to_run(plan: bytes) -> None:
    engine, _, _ = on_the_double(plan)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.infer(hazy_pictures(2, 48, 64))
