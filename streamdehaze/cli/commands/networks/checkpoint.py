"""`streamdehaze checkpoint`: shows, converts, widens, averages and describes weights."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from streamdehaze.cli.group import Group
from streamdehaze.cli.outputs import refuse_existing, write_text
from streamdehaze.cli.parameters import CHECKPOINT, PATH

_HALF = click.option("--half", is_flag=True, help="Store 16-bit floats: half the size.")
_OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace TARGET if it exists.")


@click.group(name="checkpoint", cls=Group)
def command() -> None:
    """Show, convert, widen, average and describe checkpoints."""


@command.command()
@click.argument("checkpoint", type=CHECKPOINT)
def show(checkpoint: str) -> None:
    """Print the metadata and the tensors of CHECKPOINT, a bundled name or a file."""
    from streamdehaze.errors import CheckpointError
    from streamdehaze.network import find_checkpoint, read_checkpoint

    found = read_checkpoint(find_checkpoint(checkpoint))
    if found.graph is not None:
        raise CheckpointError(f"'{found.name}' is a graph; show the .safetensors file that was written with it")
    for key, value in sorted(found.metadata.items()):
        click.echo(f"{key}: {value}")
    click.echo(f"parameters: {sum(tensor.size for tensor in found.state.values()):,}")
    for key, tensor in found.state.items():
        click.echo(f"{key}  {'x'.join(map(str, tensor.shape))}  {tensor.dtype}")


@command.command()
@click.argument("source", type=CHECKPOINT)
@click.argument("target", type=PATH)
@_HALF
@_OVERWRITE
def convert(source: str, target: Path, half: bool, overwrite: bool) -> None:
    """Write SOURCE as safetensors to TARGET; the authors' files (.pk, .pth) are read without unpickling code."""
    refuse_existing(target, overwrite=overwrite)
    from streamdehaze.network import find_checkpoint, read_checkpoint, write_checkpoint

    checkpoint = read_checkpoint(find_checkpoint(source))
    write_checkpoint(target, checkpoint.network(), checkpoint.metadata, half=half)
    click.echo(f"{target}: width {checkpoint.width}, {'with' if checkpoint.has_deconv else 'without'} deconv")


@command.command()
@click.argument("source", type=CHECKPOINT)
@click.argument("target", type=PATH)
@click.option(
    "--width", type=click.IntRange(min=2), required=True, help="Width of the wide one, a multiple of SOURCE's."
)
@click.option(
    "--noise", type=click.FloatRange(min=0), default=0.0, help="Relative noise that breaks the symmetry, e.g. 0.01."
)
@_HALF
@_OVERWRITE
def widen(source: str, target: Path, width: int, noise: float, half: bool, overwrite: bool) -> None:
    """Write a wider network that computes the same as SOURCE, to continue training from."""
    refuse_existing(target, overwrite=overwrite)
    from streamdehaze.network import find_checkpoint, read_checkpoint, write_checkpoint
    from streamdehaze.training.widen import widen as widened

    path = find_checkpoint(source)
    network = widened(read_checkpoint(path).network(), width, noise=noise)
    write_checkpoint(target, network, {"widened_from": path.name}, half=half)
    click.echo(f"{target}: width {width}")


@command.command()
@click.argument("sources", nargs=-1, required=True, type=CHECKPOINT)
@click.argument("target", type=PATH)
@click.option(
    "--share",
    "shares",
    type=click.FloatRange(min=0, min_open=True),
    multiple=True,
    help="Weight of a source relative to the others; once for each, in order.  [default: equal weights]",
)
@_HALF
@_OVERWRITE
def average(sources: tuple[str, ...], target: Path, shares: tuple[float, ...], half: bool, overwrite: bool) -> None:
    """Write the mean of the weights of SOURCES to TARGET.

    The mean of a network and one that was fine-tuned from it can be better than either.
    """
    if shares and len(shares) != len(sources):
        raise click.UsageError(f"give --share once for each of the {len(sources)} sources, not {len(shares)} times")
    refuse_existing(target, overwrite=overwrite)
    from streamdehaze.network import find_checkpoint, read_checkpoint, write_checkpoint
    from streamdehaze.training.average import average_checkpoints

    paths = [find_checkpoint(source) for source in sources]
    network = average_checkpoints([read_checkpoint(path) for path in paths], shares)
    names = [path.name for path in paths]
    parts = [f"{share:g} of {name}" for share, name in zip(shares, names, strict=True)] if shares else names
    write_checkpoint(target, network, {"average_of": ", ".join(parts)}, half=half)
    click.echo(f"{target}: mean of {len(paths)}")


@command.command()
@click.argument("checkpoint", type=CHECKPOINT)
@click.option(
    "--evaluation", "evaluations", type=PATH, multiple=True, help="JSON of `streamdehaze evaluate`; may be repeated."
)
@click.option("-o", "--output", type=PATH, help="Markdown file.  [default: printed]")
def card(checkpoint: str, evaluations: tuple[Path, ...], output: Path | None) -> None:
    """Write a model card from CHECKPOINT's metadata and evaluations."""
    from streamdehaze.network import find_checkpoint, read_checkpoint
    from streamdehaze.training.card import read_evaluation, write_card

    path = find_checkpoint(checkpoint)
    text = write_card(path.stem, read_checkpoint(path), [read_evaluation(file) for file in evaluations])
    write_text(output or Path("-"), text)
