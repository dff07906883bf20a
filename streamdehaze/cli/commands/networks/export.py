"""`streamdehaze export`: a checkpoint as an ONNX file, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import rich_click as click

from streamdehaze.cli.outputs import refuse_existing
from streamdehaze.cli.parameters import CHECKPOINT, FILE, picture_size


@click.command(name="export")
@click.argument("checkpoint", type=CHECKPOINT, default="aecrnet-s")
@click.option("-o", "--output", type=FILE, help="The ONNX file.  [default: CHECKPOINT.onnx]")
@click.option("--size", type=picture_size, metavar="WxH", help="Only take pictures of this size; any size if left out.")
@click.option("--batch", type=click.IntRange(min=1), help="Only take this many at once; any number if left out.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    help="Of the computation; input and output are float32 in either. float16 needs PyTorch and the extra onnx.",
)
@click.option(
    "--deformable",
    type=click.Choice(["grid", "native"]),
    default="grid",
    help="Deformable convolution, where the checkpoint has one, as GridSample and Conv, which every runtime has, or as "
    "DeformConv, which is faster where there is one (ONNX Runtime on a CPU, TensorRT from 10.1).",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing output.")
def command(
    checkpoint: str,
    output: Path | None,
    size: tuple[int, int] | None,
    batch: int | None,
    precision: Literal["float32", "float16"],
    deformable: str,
    overwrite: bool,
) -> None:
    """Write CHECKPOINT, a bundled name or a file, as ONNX.

    The file has one input, `hazy`, and one output, `clear`: float32 RGB in [0, 1], (batch, 3, height, width), with
    sides that are multiples of 4. Its metadata says what it was made of. The network alone is in it: it sees whole
    pictures, as with `run --exact`. The folder `examples` has programs that use it with ONNX Runtime, OpenVINO and
    TensorRT.

    \b
    Examples:
      streamdehaze export aecrnet-m -o dehaze.onnx
      streamdehaze export aecrnet-s --size 256x144 --batch 4 --precision float16
    """
    from streamdehaze.engine.onnx.files import export_checkpoint
    from streamdehaze.network import find_checkpoint

    path = output or Path(f"{find_checkpoint(checkpoint).stem}.onnx")
    refuse_existing(path, overwrite=overwrite)
    facts = export_checkpoint(
        checkpoint, path, size=size, batch=batch, precision=precision, native_deform=deformable == "native"
    )
    click.echo(
        f"{path}, {path.stat().st_size / 1e6:.1f} MB: " + ", ".join(f"{key} {value}" for key, value in facts.items())
    )
