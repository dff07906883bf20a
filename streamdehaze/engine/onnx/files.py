"""Checkpoints as ONNX files for other programs."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from streamdehaze.durable import file_sha256
from streamdehaze.engine.onnx.template import GraphShape, write_filled
from streamdehaze.errors import SinkError
from streamdehaze.extras import require_torch
from streamdehaze.network import find_checkpoint, read_checkpoint


def export_checkpoint(
    checkpoint: str | os.PathLike[str],
    path: Path,
    *,
    size: tuple[int, int] | None = None,
    batch: int | None = None,
    precision: Literal["float32", "float16"] = "float32",
    native_deform: bool = False,
) -> dict[str, str]:
    """Write a checkpoint as an ONNX file; the facts of its making, which are in its metadata.

    Args:
        checkpoint: name of a bundled checkpoint or path of one.
        path: where to; the file is whole or not there.
        size: (width, height) of the pictures it takes; None for any.
        batch: pictures it takes at once; None for any number.
        precision: of the computation; float16 needs PyTorch.
        native_deform: as ONNX DeformConv rather than GridSample and Conv.

    Raises:
        CheckpointError: if the checkpoint cannot be loaded.
        EngineError: if a package is missing, or the network does not take such pictures.
        MissingPackageError: for float16 without PyTorch.
        SinkError: if the file cannot be written.
    """
    found = find_checkpoint(checkpoint)
    width, height = size or (None, None)
    shape = GraphShape(batch, height, width)
    facts = {
        "checkpoint": found.stem,
        "checkpoint_sha256": file_sha256(found),
        "streamdehaze": version("streamdehaze"),
    }
    read = read_checkpoint(found)
    try:
        if precision == "float32":
            write_filled(read, path, facts, shape=shape, native_deform=native_deform)
        else:
            require_torch("exporting in float16")
            from streamdehaze.engine.onnx.export import export_onnx

            export_onnx(read.network(), path, shape, precision="float16", native_deform=native_deform, metadata=facts)
    except OSError as error:
        raise SinkError(f"'{path}' cannot be written: {error.strerror or error}") from error
    sides = "any size" if size is None else f"{width}x{height}"
    return {"checkpoint": found.stem, "precision": precision, "pictures": f"{batch or 'any number'} of {sides}"}
