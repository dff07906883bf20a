"""Checkpoints: what is written is read back, the authors' files import, hostile ones run nothing."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from streamdehaze.engine import TorchEngine
from streamdehaze.engine.build.answer import SHAPE, kept_answer
from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.errors import CheckpointError, SinkError
from streamdehaze.network import (
    find_checkpoint,
    list_checkpoints,
    load_network,
    read_checkpoint,
    write_checkpoint,
)
from streamdehaze.network.aecrnet import AECRNet
from streamdehaze.network.checkpoint import tensor_shapes


@pytest.fixture
def network() -> AECRNet:
    torch.manual_seed(0)
    return AECRNet(width=4)


def authors_file(path: Path, network: AECRNet, **extra: object) -> Path:
    """A file as the authors' trainer writes it: DataParallel keys, numpy scores, the optimizer's state."""
    model = {f"module.{key}": value for key, value in network.state_dict().items()}
    optimizer = torch.optim.Adam(network.parameters()).state_dict()
    scores = {"max_psnr": np.float64(37.17), "max_ssim": np.float64(0.99), "psnrs": [np.float64(1.0)], "step": 5}
    torch.save({"model": model, "optimizer": optimizer, "epoch": 1, "losses": [0.1], **scores, **extra}, path)
    return path


def assert_same(a: AECRNet, b: AECRNet, tolerance: float = 0) -> None:
    for key, value in a.state_dict().items():
        torch.testing.assert_close(b.state_dict()[key], value, rtol=tolerance, atol=tolerance)


def test_a_checkpoint_is_written_and_read_back(tmp_path: Path, network: AECRNet) -> None:
    write_checkpoint(tmp_path / "x.safetensors", network, {"recipe": "none"})
    checkpoint = read_checkpoint(tmp_path / "x.safetensors")
    assert checkpoint.metadata["recipe"] == "none"
    assert checkpoint.metadata["width"] == "4"
    assert_same(network, checkpoint.network())
    assert os.listdir(tmp_path) == ["x.safetensors"]
    (tmp_path / "plain").touch()
    modes = {(tmp_path / name).stat().st_mode for name in ("plain", "x.safetensors")}
    assert len(modes) == 1, "it can be read by everyone who can read the user's other files"


def test_half_precision_halves_the_file(tmp_path: Path, network: AECRNet) -> None:
    write_checkpoint(tmp_path / "full.safetensors", network, {})
    write_checkpoint(tmp_path / "half.safetensors", network, {}, half=True)
    assert_same(network, load_network(tmp_path / "half.safetensors"), tolerance=1e-3)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.65 * sizes[1]


def test_the_authors_file_imports(tmp_path: Path, network: AECRNet) -> None:
    assert_same(network, load_network(authors_file(tmp_path / "its.pk", network)))


@pytest.mark.parametrize("name", ["state_dict", "params_ema"])
def test_other_common_layouts_import(tmp_path: Path, network: AECRNet, name: str) -> None:
    torch.save({name: network.state_dict()}, tmp_path / "x.pth")
    assert_same(network, load_network(tmp_path / "x.pth"))


def test_a_hostile_pickle_is_refused_and_nothing_in_it_runs(tmp_path: Path, network: AECRNet) -> None:
    marker = tmp_path / "it-ran"

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (marker,)

    plain = tmp_path / "plain.pk"
    plain.write_bytes(pickle.dumps({"model": Hostile()}, protocol=2))
    zipped = authors_file(tmp_path / "zipped.pk", network, surprise=Hostile())
    for path in (plain, zipped):
        with pytest.raises(CheckpointError, match="refused"):
            read_checkpoint(path)
    assert not marker.exists()
    torch.load(zipped, weights_only=False)  # the bait is real: the unsafe way does execute it
    assert marker.exists()


@pytest.mark.parametrize(("shape", "said"), [((3, 3, 7, 7), "3x3x7x7"), ((), "one number")])
def test_a_first_convolution_that_cannot_be_ours_is_named(tmp_path: Path, shape: tuple[int, ...], said: str) -> None:
    torch.save({"model": {"down1.1.weight": torch.zeros(shape)}}, tmp_path / "x.pk")
    with pytest.raises(CheckpointError, match=rf"not an AECR-Net: its tensor 'down1\.1\.weight' is {said}"):
        load_network(tmp_path / "x.pk")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path, network: AECRNet) -> None:
    with torch.no_grad():
        network.mix2.w[0] = float("nan")
    write_checkpoint(tmp_path / "x.safetensors", network, {})
    with pytest.raises(CheckpointError, match=r"not finite, in mix2\.w"):
        load_network(tmp_path / "x.safetensors")


def test_a_checkpoint_that_cannot_be_written_is_reported_and_nothing_is_lost(tmp_path: Path, network: AECRNet) -> None:
    with pytest.raises(SinkError, match=r"x\.safetensors' cannot be written"):
        write_checkpoint(tmp_path / "nowhere" / "x.safetensors", network, {})
    theirs = authors_file(tmp_path / "theirs.pk", network)
    before = theirs.read_bytes()
    with pytest.raises(SinkError, match=r"theirs\.pk is not a name for a checkpoint; end it in \.safetensors"):
        write_checkpoint(theirs, network, {})
    assert theirs.read_bytes() == before


def test_missing_and_unknown_keys_are_named(tmp_path: Path, network: AECRNet) -> None:
    state = network.state_dict()
    state["stranger"] = state.pop("mix2.w")
    torch.save({"model": state}, tmp_path / "x.pk")
    with pytest.raises(CheckpointError, match=r"missing: mix2\.w; unknown: stranger"):
        load_network(tmp_path / "x.pk")


@pytest.mark.parametrize("suffix", [".safetensors", ".pk"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a checkpoint",
        b"\x80\x02}q\x00.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
    ],  # without arguments
)
def test_damaged_files_are_reported_in_one_sentence(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\."):
        load_network(path)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path, network: AECRNet) -> None:
    for name in ("x.safetensors", "x.pk"):
        path = tmp_path / name
        if path.suffix == ".pk":
            authors_file(path, network)
        else:
            write_checkpoint(path, network, {})
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.raises(CheckpointError):
            read_checkpoint(path)


@pytest.mark.parametrize(("width", "deconv"), [(2, True), (6, False), (64, True)])
def test_names_and_shapes_are_known_without_building_a_network(width: int, deconv: bool) -> None:
    wanted = {key: tuple(value.shape) for key, value in AECRNet(width, deconv=deconv).state_dict().items()}
    assert tensor_shapes(width, deconv=deconv) == wanted


def test_every_bundled_checkpoint_has_the_answer_that_pytorch_gives() -> None:
    for name in list_checkpoints():
        answer = kept_answer(name)
        assert answer is not None, f"{name} has changed, or the drawn pictures: streamdehaze engine answer {name}"
    wanted = TorchEngine(load_network("aecrnet-s"), "cpu").infer(hazy_pictures(*SHAPE))
    answer = kept_answer("aecrnet-s")
    assert answer is not None
    assert np.abs(answer - wanted).max() < 0.51 / 255


def test_an_answer_serves_no_other_checkpoint(tmp_path: Path, network: AECRNet) -> None:
    for suffix in (".safetensors", ".answer.png"):
        shutil.copy(find_checkpoint("aecrnet-s").with_suffix(suffix), tmp_path / f"mine{suffix}")
    assert kept_answer(tmp_path / "mine.safetensors") is not None
    write_checkpoint(tmp_path / "mine.safetensors", network, {})
    assert kept_answer(tmp_path / "mine.safetensors") is None


def test_names_that_are_not_bundled_get_the_nearest() -> None:
    with pytest.raises(CheckpointError, match="did you mean 'aecrnet-s'"):
        find_checkpoint("aecrnet-ss")
    with pytest.raises(CheckpointError, match=r"no checkpoint file .*missing\.safetensors"):
        find_checkpoint("missing.safetensors")


def test_every_bundled_checkpoint_has_a_card_and_small_weights() -> None:
    assert {"aecrnet-s", "aecrnet-m", "aecrnet"} <= set(list_checkpoints("aecrnet*"))
    assert list_checkpoints("nothing*") == []
    for name in list_checkpoints():
        card = find_checkpoint(name).with_suffix(".md").read_text(encoding="utf-8")
        for topic in ("data", "recipe", "scores", "limits"):
            assert topic in card.lower(), f"{name} says nothing about {topic}"
        assert {t.dtype for t in read_checkpoint(find_checkpoint(name)).state.values()} == {np.dtype("float16")}
