"""`streamdehaze engine`: compiled engines, built ahead, looked at, verified and cleared away."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from streamdehaze.cli.group import Group
from streamdehaze.cli.parameters import CHECKPOINT, KEPT_ENGINE, NETWORK, PATH, TRAINING, picture_size
from streamdehaze.extras import needed_for

if TYPE_CHECKING:
    from onnx import ModelProto

    from streamdehaze.engine import EngineCache
    from streamdehaze.engine.build.cache import EngineRecord
    from streamdehaze.engine.protocol import BuildProgress


@click.group(name="engine", cls=Group)
def command() -> None:
    """Build, list, show, verify and remove compiled engines; quantize checkpoints.

    An engine is made from a checkpoint by a recipe, compared with PyTorch, and kept in the user's cache folder
    ($STREAMDEHAZE_ENGINES chooses another). `run` builds what it needs by itself.
    """


@command.command()
@NETWORK
@click.option(
    "--engine", type=click.Choice(["openvino", "onnxruntime", "tensorrt"]), help="Build with the default recipe."
)
@click.option("--recipe", type=click.Path(dir_okay=False), help="A recipe (.toml), as in the folder engines.")
@click.option(
    "--size", type=picture_size, metavar="WxH", help="Size of the pictures the network will see; multiples of 4."
)
@click.option("--batch", type=click.IntRange(min=1), help="Pictures per run.")
@click.option("--again", is_flag=True, help="Build even if it exists.")
def build(
    checkpoint: str,
    engine: str | None,
    recipe: str | None,
    size: tuple[int, int] | None,
    batch: int | None,
    again: bool,
) -> None:
    """Build an engine, compare it with PyTorch and keep it."""
    if (engine is None) == (recipe is None):
        raise click.UsageError("give either --engine or --recipe")
    from streamdehaze.engine import EngineCache, read_recipe
    from streamdehaze.engine.build.build import build_engine
    from streamdehaze.engine.build.request import BuildRequest, choose_shape
    from streamdehaze.engine.opening import default_recipes

    chosen = read_recipe(recipe) if recipe else default_recipes(str(engine), checkpoint)[0]
    request = BuildRequest(checkpoint, chosen, choose_shape(chosen, size, batch))
    cache = EngineCache()
    with _progress() as tell:
        record = build_engine(request, cache, tell, again=again)
    _print(record, cache)
    if record.state == "rejected":
        raise SystemExit(1)


@command.command()
@click.argument("checkpoints", nargs=-1, type=CHECKPOINT)
@click.option(
    "--pictures", type=click.Path(file_okay=False, path_type=Path), help="Folder of hazy pictures to calibrate on."
)
@click.option(
    "--tune",
    type=TRAINING,
    metavar="CONFIG",
    help="Then train it to answer as in float32, on a training recipe's data.",
)
@click.option("--steps", type=click.IntRange(min=1), default=2000, show_default=True, help="Of that training.")
def quantize(checkpoints: tuple[str, ...], pictures: Path | None, tune: str | None, steps: int) -> None:
    """Write the int8 graph of each CHECKPOINT next to it; of all bundled ones by default.

    It is calibrated on drawn pictures unless a folder is given. Engines of precision int8 are then made from it, here
    and elsewhere, without the packages that quantising needs (extra int8).

    Narrow networks lose more by rounding than wide ones; --tune gives back half of it (extra train).
    """
    from streamdehaze.engine.openvino import int8
    from streamdehaze.network import list_checkpoints

    photos = None if pictures is None else int8.hazy_photos(pictures)
    for checkpoint in checkpoints or list_checkpoints():
        with _progress() as tell:
            tuning = None if tune is None else _tuning(checkpoint, tune, steps, tell)
            path = int8.quantize(checkpoint, pictures=photos, tuning=tuning, progress=tell)
        click.echo(f"{path}, {path.stat().st_size / 1e6:.1f} MB")


def _tuning(checkpoint: str, config: str, steps: int, tell: BuildProgress) -> Callable[[ModelProto], None]:
    from streamdehaze.network import load_network
    from streamdehaze.training.config import read_config

    settings = read_config(config)
    network = load_network(checkpoint).eval().requires_grad_(False)
    with needed_for("training", "train"):
        from streamdehaze.engine.openvino.tuning import BATCH, SIZES, tune
        from streamdehaze.training.run import hazy_batches

    def tuning(graph: ModelProto) -> None:
        batches = hazy_batches(settings, SIZES, BATCH)
        near = tune(graph, network, batches, steps, lambda share: tell("training", share))
        click.echo(f"{checkpoint}: {near:.1f} dB of float32")

    return tuning


@command.command()
@click.argument("checkpoints", nargs=-1, metavar="[CHECKPOINT]...", type=CHECKPOINT)
def answer(checkpoints: tuple[str, ...]) -> None:
    """Write PyTorch's answer to a drawn picture next to each CHECKPOINT; of all bundled ones by default.

    Machines without PyTorch verify their engines against it. Bring both files: NAME.safetensors and NAME.answer.png.
    """
    from streamdehaze.engine.build.answer import write_answer
    from streamdehaze.network import list_checkpoints

    for checkpoint in checkpoints or list_checkpoints():
        path = write_answer(checkpoint)
        click.echo(f"{path}, {path.stat().st_size / 1e3:.0f} kB")


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON with everything that is recorded.")
def list_(as_json: bool) -> None:
    """List the engines in the cache, and why one would not be used."""
    from rich.console import Console
    from rich.table import Table

    from streamdehaze.engine import EngineCache
    from streamdehaze.engine.build.build import device_in_words, out_of_date

    cache = EngineCache()
    records = cache.records()
    if as_json:
        click.echo(json.dumps([record.model_dump(mode="json") for record in records], indent=2))
        return
    table = Table(title=f"Engines in {cache.folder}", title_justify="left")
    table.add_column("engine", no_wrap=True)
    for heading in ("runtime", "device", "built for", "result"):
        table.add_column(heading, overflow="fold")
    for record in records:
        found = record.verification
        result = str(record.state)
        if found and found.psnr_db is not None:
            result += f", {found.psnr_db:.1f} dB" + (f", {found.speedup:.2f} × PyTorch" if found.speedup else "")
        result += f", {record.size_bytes / 1e6:.1f} MB"
        if (why := out_of_date(record, cache)) is not None:
            result += f"\nwill not be used: {why}"
        shape = record.shape
        table.add_row(
            f"{Path(record.checkpoint).stem} {record.recipe.engine}\n{Path(record.file).stem[-16:]}",
            str(record.identity.get("runtime", "")).split("-")[0],
            device_in_words(record),
            f"{shape.width}×{shape.height}×{shape.batch}" if "shape" in record.identity else "any size",
            result,
        )
    Console().print(table)


@command.command()
@click.argument("name", type=KEPT_ENGINE)
def show(name: str) -> None:
    """Show what engine NAME was made from and how its comparison with PyTorch went.

    NAME is the beginning or the end of its file name, such as the digits that `list` shows.
    """
    from streamdehaze.engine import EngineCache
    from streamdehaze.engine.build.build import out_of_date

    cache = EngineCache()
    record = cache.named(name)
    click.echo(json.dumps(record.model_dump(mode="json"), indent=2))
    why = out_of_date(record, cache)
    click.echo(f"{record.file}: {'up to date' if why is None else f'will not be used: {why}'}", err=True)


@command.command()
@click.argument("names", nargs=-1, type=KEPT_ENGINE)
@click.option("--picture", type=PATH, help="Compare on this hazy photo.")
def verify(names: tuple[str, ...], picture: Path | None) -> None:
    """Compare engines with PyTorch in float32 again: those named, or all."""
    from streamdehaze.engine import EngineCache
    from streamdehaze.engine.build.build import verify_again
    from streamdehaze.errors import StreamDehazeError

    cache = EngineCache()
    failed = False
    for record in [cache.named(name) for name in names] or cache.records():
        try:
            verified = verify_again(record, cache, picture)
        except StreamDehazeError as error:
            failed = True
            click.echo(str(error), err=True)
        else:
            failed = failed or verified.state == "rejected"
            _print(verified, cache)
    if failed:
        raise SystemExit(1)


@command.command()
@click.option("--all", "everything", is_flag=True, help="Also remove engines that are still good.")
@click.option("--dry-run", is_flag=True, help="Only print what would be removed.")
def prune(everything: bool, dry_run: bool) -> None:
    """Remove engines that are out of date, damaged or rejected, and leftovers of failed builds."""
    from streamdehaze.engine import EngineCache
    from streamdehaze.engine.build.build import out_of_date

    cache = EngineCache()
    for record in cache.records():
        why = "asked for" if everything else "it failed its comparison" if record.state == "rejected" else None
        why = why or out_of_date(record, cache)
        if why is not None:
            click.echo(f"{record.file}: {why}")
            if not dry_run:
                cache.remove(record)
    for path in cache.leftovers():
        click.echo(f"{path.name}: left over from a build")
        if not dry_run:
            cache.remove_leftover(path)


@contextmanager
def _progress() -> Iterator[Callable[[str, float | None], None]]:
    """A progress bar on standard error, and the function that moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def tell(what: str, share: float | None) -> None:
            bar.update(task, description=what, total=None if share is None else 1.0, completed=share or 0.0)

        yield tell


def _print(record: EngineRecord, cache: EngineCache) -> None:
    from streamdehaze.engine.build.build import device_in_words

    click.echo(f"{cache.path(record)}")
    found = record.verification
    if found is None:
        click.echo(
            f"built in {record.build_seconds:.1f} s for {device_in_words(record)}; not verified: no such device is here"
        )
        return
    speed = ""
    if found.timings:
        last = found.timings[-1]
        speed = f"; {last.milliseconds:.1f} ms a picture of {found.shape[2]}×{found.shape[1]}, "
        speed += f"{last.speedup:.2f} × the speed of PyTorch"
    click.echo(f"{record.state}: {found.reason}{speed} ({found.engine})")
