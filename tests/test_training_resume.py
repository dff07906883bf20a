"""A run that is stopped and resumed equals one that was never stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lightning")

import torch

from streamdehaze.errors import CheckpointError, ConfigError, TrainingError
from streamdehaze.network import read_checkpoint
from streamdehaze.network.aecrnet import AECRNet
from streamdehaze.network.checkpoint import Weights
from streamdehaze.training.config import TrainingConfig, read_config
from streamdehaze.training.run import train
from streamdehaze.training.task import averaged
from training_data import configuration, make_scenes
from waiting import PATIENCE_SECONDS, wait_until


def weights(path: Path) -> Weights:
    return read_checkpoint(path).state


def assert_same(one: Weights, other: Weights) -> None:
    assert one.keys() == other.keys()
    for key in one:
        assert np.array_equal(one[key], other[key]), key


@pytest.mark.parametrize(("accumulate", "method"), [(2, "adam"), (1, "muon")])
def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, accumulate: int, method: str) -> None:
    scenes = make_scenes(tmp_path / "scenes")
    optimizer = {"method": method, "rate": 1e-3, "warm_up_steps": 2, "accumulate": accumulate, "average": 0.9}
    changes = {"optimizer": optimizer}
    whole = configuration(tmp_path, scenes, name="whole", **changes)
    train(whole)

    broken = configuration(tmp_path, scenes, name="broken", **changes)
    file = tmp_path / "broken.json"
    file.write_text(broken.model_dump_json())
    # SIGKILL leaves no chance to save, so only what was saved on the way is there.
    program = (
        "import os, signal, sys\n"
        "from streamdehaze.training import writer\n"
        "from streamdehaze.training.config import TrainingConfig\n"
        "from streamdehaze.training.run import train\n"
        "save = writer.CheckpointWriter.save\n"
        "def save_then_die(self, trainer, task):\n"
        "    if trainer.global_step >= 6:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    save(self, trainer, task)\n"
        "writer.CheckpointWriter.save = save_then_die\n"
        "train(TrainingConfig.model_validate_json(open(sys.argv[1]).read()))\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, check=False, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert torch.load(broken.folder / "last.ckpt", weights_only=True)["global_step"] == 4
    train(broken)

    assert_same(weights(whole.folder / "last.safetensors"), weights(broken.folder / "last.safetensors"))


def test_a_run_asked_to_stop_saves_and_can_continue(tmp_path: Path) -> None:
    scenes = make_scenes(tmp_path / "scenes")
    config = configuration(tmp_path, scenes, stages=[{"size": [32, 32], "batch": 2, "steps": 100000}])
    file = tmp_path / "config.json"
    file.write_text(config.model_dump_json())
    program = (
        "import sys\n"
        "from streamdehaze.errors import Cancelled\n"
        "from streamdehaze.training.config import TrainingConfig\n"
        "from streamdehaze.training.run import train\n"
        "try:\n"
        "    train(TrainingConfig.model_validate_json(open(sys.argv[1]).read()))\n"
        "except Cancelled as error:\n"
        "    print(error)\n"
    )
    state = config.folder / "last.ckpt"
    process = subprocess.Popen([sys.executable, "-c", program, str(file)], stdout=subprocess.PIPE, text=True)
    try:
        wait_until(state.exists, "the first checkpoint")
        os.kill(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()
    saved = torch.load(state, weights_only=True)["global_step"]
    assert said.startswith(f"stopped at step {saved} of 100000; rerun the same command to continue")


def train_apart(folder: Path, scenes: Path, name: str, batch: int, machine: str) -> subprocess.CompletedProcess[str]:
    """Train four steps in a process of its own."""
    path = folder / f"{name}.toml"
    path.write_text(
        f'name = "{name}"\noutput = "{(folder / "runs").as_posix()}"\n[[data]]\nfolder = "{scenes.as_posix()}"\n'
        f"[[stages]]\nsize = [32, 32]\nbatch = {batch}\nsteps = 4\n[network]\nwidth = 4\ndeconv = false\n"
        f'[optimizer]\nrate = 1e-3\naverage = 0\n[machine]\naccelerator = "cpu"\nthreads = 1\n{machine}\n'
    )
    program = folder / "train.py"  # a second process is started by the same command line, so it must be a file
    program.write_text("from streamdehaze.cli import main\nmain()\n")
    command = [sys.executable, str(program), "train", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_two_processes_learn_what_one_does_with_both_batches(tmp_path: Path) -> None:
    scenes = make_scenes(tmp_path / "scenes")
    found = []
    for devices, batch in ((1, 4), (2, 2)):
        name = f"devices-{devices}"
        done = train_apart(tmp_path, scenes, name, batch, f"devices = {devices}")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("4 steps") == 1
        found.append(weights(tmp_path / "runs" / name / "last.safetensors"))
    for key in found[0]:
        torch.testing.assert_close(found[1][key], found[0][key], atol=1e-4, rtol=1e-3)
    with pytest.raises(ConfigError, match=r"was trained by 2 processes \(devices x nodes\), not 1"):
        train(read_config(str(tmp_path / "devices-2.toml"), ["machine.devices=1"]))


def test_another_configuration_does_not_resume_a_run(tmp_path: Path) -> None:
    scenes = make_scenes(tmp_path / "scenes")
    train(configuration(tmp_path, scenes))
    changed = configuration(tmp_path, scenes, optimizer={"rate": 5e-4})
    with pytest.raises(ConfigError, match=r"cannot resume: optimizer\.rate was 0\.001 .* and is 0\.0005 now"):
        train(changed)


@pytest.mark.parametrize("decay", [0.9, 0])
def test_the_average_follows_weights_slowly_and_buffers_at_once(decay: float) -> None:
    network = AECRNet(4)
    average = averaged(network, decay)
    started = {key: value.clone() for key, value in network.state_dict().items()}
    average.n_averaged.fill_(1000)  # long past its first updates
    with torch.no_grad():
        for value in network.state_dict().values():
            value.add_(1)
    average.update_parameters(network)
    for key, value in average.module.state_dict().items():
        step = 1 if key in ("deconv.running_mean", "deconv.running_deconv") else 1 - decay
        torch.testing.assert_close(value, started[key] + step)


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    config = configuration(tmp_path, make_scenes(tmp_path / "scenes"))
    config.folder.mkdir(parents=True)
    (config.folder / "last.ckpt").write_bytes(b"not a state")
    with pytest.raises(CheckpointError, match=r"last\.ckpt is not a complete state of a run"):
        train(config)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_the_last_good_state_survives_a_full_disk(tmp_path: Path) -> None:
    scenes = make_scenes(tmp_path / "scenes")
    stages = [{"size": [32, 32], "batch": 2, "steps": 4}]
    config = configuration(tmp_path, scenes, stages=stages)
    longer: TrainingConfig = configuration(tmp_path, scenes)
    train(config)
    before = (config.folder / "last.ckpt").read_bytes()
    (config.folder / "last.ckpt.part").symlink_to("/dev/full")
    with pytest.raises(TrainingError, match=r"cannot be written .* is the one saved before"):
        train(longer, restart=True)
    assert (config.folder / "last.ckpt").read_bytes() == before


def test_a_damaged_picture_is_named_in_one_sentence_from_a_worker_process(tmp_path: Path) -> None:
    """In a process of its own: workers are forked, which is not safe in one where many libraries run threads."""
    scenes = make_scenes(tmp_path / "scenes", 1)
    (scenes / "0.png").write_bytes(b"no picture")
    done = train_apart(tmp_path, scenes, "damaged", 1, "workers = 1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("0.png is damaged or not a picture"), done.stderr
    assert "Traceback" not in done.stderr


def test_a_loss_that_is_not_finite_stops_with_its_batch_saved(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    scenes = make_scenes(tmp_path / "scenes")
    config = configuration(tmp_path, scenes, optimizer={"rate": 1e30, "average": 0.9})
    with pytest.raises(TrainingError, match="the loss of step"):
        train(config)
    (batch,) = config.folder.glob("not-finite-*.safetensors")
    assert load_file(batch)["hazy"].shape == (2, 3, 32, 32)
