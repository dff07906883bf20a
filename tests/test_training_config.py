"""Configurations are checked key by key, and the recipes are what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pydantic")

import torch

from streamdehaze.errors import CheckpointError, ConfigError, SinkError
from streamdehaze.network import write_checkpoint
from streamdehaze.network.aecrnet import AECRNet
from streamdehaze.training.config import RECIPES, OptimizerConfig, read_config
from training_data import configuration, make_scenes

MINIMAL = 'name = "a"\n[[data]]\nfolder = "d"\n[[stages]]\nsize = [64, 64]\nsteps = 10\nbatch = 2\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("recipe", sorted(path.stem for path in RECIPES.glob("*.toml")))
def test_recipes_are_valid_and_named_like_their_files(recipe: str) -> None:
    assert read_config(recipe).name == recipe


def test_the_paper_recipe_is_the_published_one() -> None:
    config = read_config("paper-its")
    assert config.network.width == 64
    assert config.network.deconv
    assert config.steps == 500_000
    assert {(stage.size, stage.batch) for stage in config.stages} == {((240, 240), 16)}
    assert (config.view.kind, config.view.flip, config.view.turn) == ("crop", 0.5, True)
    assert (config.loss.square, config.loss.contrast, config.loss.negatives) == (0, 0.1, True)
    optimizer = config.optimizer
    assert (optimizer.rate, optimizer.betas, optimizer.last_rate, optimizer.clip) == (1e-4, (0.9, 0.999), 0, None)


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("[optimizer]\nratee = 1e-4\n", r"run\.toml: unknown key 'optimizer\.ratee'; did you mean 'rate'\?"),
        ("[optimiser]\nrate = 1e-4\n", r"unknown key 'optimiser'; did you mean 'optimizer'\?"),
        ("[haze]\nscatering = [0.1, 1]\n", r"unknown key 'haze\.scatering'; did you mean 'scattering'\?"),
        ("[[stages]]\nsize = [64, 64]\nstep = 1\nbatch = 1\n", r"'stages\.1\.step'; did you mean 'steps'\?"),
        ("[[stages]]\nsize = [64, 66]\nsteps = 1\nbatch = 1\n", r"stages\.1\.size: must be multiples of 4"),
        ("[[data]]\nhazy = 'x'\n", r"data\.1: needs either 'folder', or 'hazy' and 'clear', or 'real'"),
        ("[[data]]\nreal = 'x'\nclear = 'y'\n", r"data\.1: needs either"),
        ("[network]\nwidth = 7\n", r"network\.width: .*multiple of 2"),
        ("[machine]\nprecision = 'half'\n", r"machine\.precision: .*'bf16-mixed'"),
        ("[optimizer]\nrate = 'fast'\n", r"optimizer\.rate: .*, not 'fast'"),
        ("[optimizer]\nbetas = [2, 3]\n", r"optimizer\.betas\.0: .*a number below 1, not 2"),
        ("[haze]\nairlight = [1.2, 0.3]\n", r"haze\.airlight: the lowest value comes first, not 1\.2 before 0\.3"),
        ("[haze]\nquality = [0, 95]\n", r"haze\.quality\.0: .*, not 0"),
        ("[look]\ngamma = [0, 1]\n", r"look\.gamma\.0: .*a number above 0, not 0"),
        ("[view]\nshare = [0.5, 2]\n", r"view\.share\.1: .*, not 2"),
        ("[validation]\nnetwork_size = 250\n", r"validation\.network_size: .*multiple of 4, not 250"),
        ("[[data]]\nfolder = 'a'\nleft_out = 4\n", r"data\.1: .*'left_out' is for 'real' alone; keep what is not"),
        ("[optimizer\n", "is not TOML"),
    ],
)
def test_faults_are_named(tmp_path: Path, addition: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(written(tmp_path, MINIMAL + addition))
    assert "\n" not in str(caught.value)


def test_changes_override_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, MINIMAL)
    changes = ["optimizer.rate=2e-4", "data.0.folder=elsewhere", "stages.0.size=[32, 48]", "machine.accelerator=cpu"]
    config = read_config(path, changes)
    assert config.optimizer.rate == 2e-4
    assert config.data[0].folder == Path("elsewhere")
    assert config.stages[0].size == (32, 48)
    assert config.machine.accelerator == "cpu"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("rate", "is not KEY=VALUE"),
        ("seed=-1", r"seed: write 0 or more, not -1"),
        ("data.3.folder=x", "there are entries 0 to 0, not '3'"),
        ("name.first=x", "'name' is a single value"),
        ("name=../elsewhere", "name: must be the name of a folder inside 'output', not '../elsewhere'"),
    ],
)
def test_changes_that_do_not_fit_are_named(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config(written(tmp_path, MINIMAL), [change])


def test_an_unknown_recipe_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no configuration bundled-x; .*bundled-s.*smoke"):
        read_config("bundled-x")


def test_the_rate_warms_up_and_ends_at_the_bottom_of_the_cosine() -> None:
    pytest.importorskip("lightning")
    from streamdehaze.training.task import learning_rate

    config = OptimizerConfig(rate=1.0, warm_up_steps=10, last_rate=0.1)
    rates = [learning_rate(config, step, 110) for step in range(111)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == pytest.approx(1)
    assert rates[60] == pytest.approx(0.55)
    assert rates[110] == pytest.approx(0.1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
@pytest.mark.parametrize(
    ("machine", "message"),
    [
        ({"accelerator": "gpu"}, r"this machine does not offer machine\.accelerator = 'gpu'"),
        ({"accelerator": "cpu", "precision": "16-mixed"}, r"'16-mixed' needs a GPU; on a CPU take 'bf16-mixed'"),
        ({"accelerator": "cpu", "devices": 9999}, r"machine\.devices = 9999 on a CPU are as many processes, but this"),
    ],
)
def test_what_the_machine_lacks_is_reported_in_one_sentence(
    tmp_path: Path, machine: dict[str, object], message: str
) -> None:
    pytest.importorskip("lightning")
    from streamdehaze.training.run import train

    with pytest.raises(ConfigError, match=message) as caught:
        train(configuration(tmp_path, make_scenes(tmp_path / "scenes"), machine=machine))
    assert "\n" not in str(caught.value)


def test_validation_needs_pairs_and_says_so_before_it_learns(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    from streamdehaze.training.run import train

    scenes = make_scenes(tmp_path / "scenes")
    sets = {"every_steps": 1, "sets": {"mine": {"folder": str(scenes)}}}
    with pytest.raises(ConfigError, match=r"validation\.sets\.mine needs pairs of hazy and clear pictures"):
        train(configuration(tmp_path, scenes, validation=sets))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    from streamdehaze.training.run import train

    scenes = make_scenes(tmp_path / "scenes")
    with pytest.raises(SinkError, match=r"the folder '.*0\.png.*' cannot be made: Not a directory"):
        train(configuration(scenes / "0.png", scenes))


def test_a_starting_checkpoint_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    from streamdehaze.training.config import NetworkConfig
    from streamdehaze.training.task import start_network

    path = tmp_path / "start.safetensors"
    write_checkpoint(path, AECRNet(4, deconv=False), {})
    with pytest.raises(CheckpointError, match=r"has no network deconvolution; set network\.deconv = false"):
        start_network(NetworkConfig(width=4, start=str(path)))
    with pytest.raises(CheckpointError, match="width 6 is not a multiple of 4"):
        start_network(NetworkConfig(width=6, deconv=False, start=str(path)))
    assert start_network(NetworkConfig(width=8, deconv=False, start=str(path))).width == 8
