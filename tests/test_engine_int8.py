"""int8 engines: quantised in the middle, float at the ends, close to PyTorch, made without NNCF from a cached graph."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from clips import Clip
from streamdehaze.cli import main
from streamdehaze.dehaze import Dehazer
from streamdehaze.engine import EngineCache, Recipe, TorchEngine, open_engine, read_recipe
from streamdehaze.engine import opening as opening_module
from streamdehaze.engine.build.build import build_engine
from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.engine.build.request import BuildRequest
from streamdehaze.engine.opening import default_recipes
from streamdehaze.engine.openvino.int8 import quantize, quantized_graph
from streamdehaze.errors import MissingPackageError
from streamdehaze.fidelity import psnr
from streamdehaze.network import find_checkpoint, load_network, write_checkpoint
from streamdehaze.network.aecrnet import AECRNet

pytest.importorskip("openvino")
onnx = pytest.importorskip("onnx")

INT8 = Recipe(engine="openvino", precision="int8")
HAZY = hazy_pictures(3, 72, 128, seed=21)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of aecrnet-s and its int8 graph."""
    pytest.importorskip("nncf", reason="quantising needs NNCF (extra int8)")
    folder = tmp_path_factory.mktemp("made")
    shutil.copy(find_checkpoint("aecrnet-s"), folder / "mine.safetensors")
    path = quantize(folder / "mine.safetensors", pictures=hazy_pictures(24, 72, 128, seed=22))
    assert path == folder / "mine.int8.onnx"
    return folder


@pytest.fixture
def mine(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkpoint in a folder of the test's own, on a processor that is fast in int8."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(opening_module, "is_fast_in_int8", lambda: True)
    monkeypatch.delenv("STREAMDEHAZE_INT8", raising=False)
    return tmp_path / "mine.safetensors"


def quantised_weights(path: Path) -> dict[str, bool]:
    """Whether the weight of each convolution, by name, is in int8."""
    graph = onnx.load(path).graph
    made_by = {output: node for node in graph.node for output in node.output}
    found = {}
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose", "DeformConv"):
            source = made_by.get(node.input[1])
            found[source.input[0] if source else node.input[1]] = source is not None
    return found


def test_the_middle_is_in_int8_but_not_the_ends_nor_the_deformable_layers(made: Path, tmp_path: Path) -> None:
    network = AECRNet(8)
    torch.nn.init.normal_(network.dcn_block.dcn.conv_offset_mask.weight, 0, 0.05)
    write_checkpoint(tmp_path / "offsets.safetensors", network, {})
    path = quantize(tmp_path / "offsets.safetensors", pictures=hazy_pictures(2, 16, 24))
    for graph, deforms in ((made / "mine.int8.onnx", False), (path, True)):
        found = quantised_weights(graph)
        in_float = {name for name, in_int8 in found.items() if not in_int8}
        kept = ("body.down1.1.weight", "body.down2.0.weight", "body.up3.1.weight")
        assert all(any(name.startswith(part) for name in in_float) for part in kept)
        assert all(in_int8 for name, in_int8 in found.items() if ".block.conv" in name)
        assert any(".block.conv" in name for name in found)
        assert any("dcn.weight" in name for name in in_float) == deforms
        assert any("conv_offset_mask" in name for name in in_float) == deforms
        assert not any("deconv" in name for name in found if name not in in_float)


def test_an_int8_engine_is_near_pytorch_and_says_what_it_is(mine: Path, tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "engines")
    record = build_engine(BuildRequest(str(mine), INT8), cache)
    assert record.state == "verified"
    engine = open_engine(mine, "openvino", cache=cache)
    assert engine.name == "openvino cpu int8"
    wanted = TorchEngine(load_network(mine)).infer(HAZY)
    for pictures in (slice(0, 3), slice(0, 1)):
        got = engine.infer(HAZY[pictures])
        assert not np.array_equal(got, wanted[pictures])
        # Such a small picture is the hardest case; anything that computes something else stays below 20 dB.
        assert min(psnr(g, w, peak=1) for g, w in zip(got, wanted[pictures], strict=True)) > 28
    engine.close()


def test_an_engine_is_made_from_the_kept_graph_without_nncf_and_not_at_all_without_both(
    mine: Path, tmp_path: Path
) -> None:
    program = """
import sys
sys.modules["nncf"] = sys.modules["onnxruntime"] = None
from streamdehaze.cli import main
from streamdehaze.dehaze import Dehazer
main(["engine", "build", "--recipe", sys.argv[1], "--checkpoint", sys.argv[2]])
"""
    recipe = Path(__file__).parents[1] / "engines" / "cpu-openvino-int8.toml"
    environment = {**os.environ, "STREAMDEHAZE_ENGINES": str(tmp_path / "engines")}

    def build() -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, "-c", program, str(recipe), str(mine)]
        return subprocess.run(arguments, capture_output=True, text=True, env=environment)

    done = build()
    assert done.returncode == 0, done.stderr
    assert "verified: " in done.stdout
    mine.with_suffix(".int8.onnx").unlink()
    done = build()
    assert done.returncode == 1
    assert "[int8]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_graph_of_another_checkpoint_is_not_used(mine: Path) -> None:
    assert quantized_graph(mine) == mine.with_suffix(".int8.onnx")
    shutil.copy(find_checkpoint("aecrnet-m"), mine)
    assert quantized_graph(mine) is None
    assert [recipe.precision for recipe in default_recipes("openvino", str(mine))] == ["auto"]


def test_int8_is_the_default_where_it_pays_and_can_be_switched_off(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def precisions(**options: bool) -> list[str]:
        return [recipe.precision for recipe in default_recipes("openvino", str(mine), **options)]

    assert precisions() == ["int8", "auto"]
    assert precisions(int8=False) == ["auto"]
    monkeypatch.setenv("STREAMDEHAZE_INT8", "0")
    assert precisions() == ["auto"]
    monkeypatch.delenv("STREAMDEHAZE_INT8")
    monkeypatch.setattr(opening_module, "is_fast_in_int8", lambda: False)
    assert precisions() == ["auto"]


def test_photos_and_videos_with_the_network_on_every_frame_are_computed_in_float(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMDEHAZE_ENGINES", str(tmp_path / "engines"))
    for recipe in (INT8, Recipe(engine="openvino")):
        build_engine(BuildRequest(str(mine), recipe), EngineCache())
    with Dehazer(mine, engine="openvino", steady="low", every="auto") as dehazer:
        assert dehazer.engine.name == "openvino cpu int8"
    with Dehazer(mine, engine="openvino") as dehazer:
        assert dehazer.engine.name != "openvino cpu int8"
    photo, film = tmp_path / "hazy.png", tmp_path / "hazy.mp4"
    cv2.imwrite(str(photo), (HAZY[0].transpose(1, 2, 0) * 255).astype(np.uint8))
    Clip(pts=[0, 512, 1024]).write(film)
    for inputs, in_int8 in (([film], True), ([photo], False), ([photo, film], False)):
        arguments = ["run", *map(str, inputs), "--checkpoint", str(mine), "--engine", "openvino", "--overwrite"]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert ("openvino cpu int8" in result.output) == in_int8


def test_where_int8_failed_its_comparison_the_float_engine_serves(mine: Path, tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "engines")
    record = build_engine(BuildRequest(str(mine), INT8), cache)
    cache.write(record.model_copy(update={"state": "rejected"}))
    build_engine(BuildRequest(str(mine), Recipe(engine="openvino")), cache)
    engine = open_engine(mine, "auto", device="cpu", cache=cache)
    assert engine.name.startswith("openvino cpu")
    assert "int8" not in engine.name
    engine.close()


def test_quantising_needs_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingPackageError, match=r"quantising needs nncf: .*\[int8\]"):
        quantize("aecrnet-s", tmp_path / "s.int8.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    result = CliRunner().invoke(main, ["engine", "quantize", "aecrnet-s", "--pictures", str(tmp_path)])
    assert result.exit_code == 1
    assert f"there are no pictures in {tmp_path}" in result.output


@pytest.mark.parametrize(
    "changes", [{"openvino": {"device": "GPU"}}, {"deformable": "grid"}, {"engine": "tensorrt"}, {"engine": "torch"}]
)
def test_a_recipe_in_int8_for_something_else_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="int8"):
        Recipe.model_validate({"engine": "openvino", "precision": "int8", **changes})


def test_the_recipe_in_the_repository_is_the_default(mine: Path) -> None:
    recipe = read_recipe(Path(__file__).parents[1] / "engines" / "cpu-openvino-int8.toml")
    assert recipe.model_copy(update={"description": ""}) == default_recipes("openvino", str(mine))[0]
