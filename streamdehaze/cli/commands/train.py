"""`streamdehaze train`: a configuration in, checkpoints out."""

from __future__ import annotations

import os
from pathlib import Path

import rich_click as click

from streamdehaze.cli.parameters import PATH, TRAINING
from streamdehaze.extras import needed_for


@click.command(name="train")
@click.argument("config", type=TRAINING)
@click.argument("changes", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--features",
    type=PATH,
    help="VGG19's weights for the contrastive loss (.safetensors, or torchvision's .pth); downloaded if not given.",
)
@click.option("--restart", is_flag=True, help="Start over instead of continuing the run of that name.")
def command(config: str, changes: tuple[str, ...], features: Path | None, restart: bool) -> None:
    """Train a network by a recipe.

    CONFIG is a TOML file or the name of a bundled recipe. A run that was stopped continues where it was when the same
    command is given again.

    \b
    Examples:
      streamdehaze train smoke
      streamdehaze train bundled-s optimizer.rate=2e-4 machine.threads=2
    """
    from streamdehaze.training.config import read_config

    if features is not None:
        changes = (*changes, f"loss.features={features}")
    settings = read_config(config, changes)
    if settings.machine.threads is not None:
        # Read once, when torch is imported, and by threads that torch.set_num_threads does not reach.
        os.environ["OMP_NUM_THREADS"] = str(settings.machine.threads)
    with needed_for("training", "train"):
        from lightning.pytorch.utilities import rank_zero_only

        from streamdehaze.training.run import train
    trained = train(settings, restart=restart)
    rank_zero_only(click.echo)(f"{trained.steps} steps: {trained.best or trained.last}")
