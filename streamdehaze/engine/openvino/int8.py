"""The network's graph in int8: the heavy convolutions in the middle, and all between and around them in float.

Quantising every convolution costs 1.7 dB on SOTS-indoor; with the first two, the last one and those that predict
offsets in float it costs 0.1 dB at most. What is carried past the convolutions stays in float too: rounded after each
of the six passes through the block, the sums lose 5 dB on real smog and save no time. NNCF calibrates the ranges of the
convolutions' inputs on hazy pictures and writes them into the graph as QuantizeLinear and DequantizeLinear, which
OpenVINO and ONNX Runtime fold into int8 kernels.

A quantised graph is kept next to its checkpoint, `NAME.int8.onnx` next to `NAME.safetensors`, and holds the
checkpoint's hash: it serves without NNCF, and no other checkpoint. `streamdehaze engine quantize` writes those of all
bundled checkpoints.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streamdehaze.durable import file_sha256
from streamdehaze.engine.build.picture import hazy_pictures, read_hazy
from streamdehaze.engine.protocol import BuildProgress
from streamdehaze.errors import EngineError, SourceError, first_line
from streamdehaze.extras import needed_for
from streamdehaze.frame import FloatArray
from streamdehaze.network import find_checkpoint, read_checkpoint
from streamdehaze.telemetry import import_quietly

if TYPE_CHECKING:
    import onnx

PICTURES = 128
"""Calibration pictures."""
SIZE = (256, 144)
"""Width and height of calibration pictures: the default network size for 16:9."""

_SEED = 8
"""Seed of the drawn pictures: an engine is verified on others."""
_IN_FLOAT = ("body.deconv.", "body.down1.", "body.down2.", "body.up3.", "conv_offset_mask.", "calayer.", "palayer.")
"""Convolutions whose weights' names hold one of these stay as they are."""
_SUMS = ["Add", "Mul", "ReduceMean"]
"""So do these, by ONNX's names: what is carried past the convolutions, and attention."""


def quantized_graph(checkpoint: str | os.PathLike[str]) -> Path | None:
    """The int8 graph kept next to a checkpoint, if there is one made from exactly that checkpoint.

    Raises:
        CheckpointError: if the checkpoint cannot be found.
    """
    path = find_checkpoint(checkpoint)
    graph = path.with_suffix(".int8.onnx")
    # The hash is in the graph's metadata; to find it there takes no package that reads graphs.
    return graph if graph.is_file() and file_sha256(path).encode() in graph.read_bytes() else None


def quantize(
    checkpoint: str | os.PathLike[str],
    path: Path | None = None,
    *,
    pictures: Sequence[FloatArray] | None = None,
    tuning: Callable[[onnx.ModelProto], None] | None = None,
    progress: BuildProgress = lambda what, share: None,
) -> Path:
    """Write the int8 graph of a checkpoint.

    Args:
        checkpoint: name of a bundled checkpoint or path of one.
        path: where to; next to the checkpoint by default.
        pictures: hazy pictures to calibrate on, each (3, H, W) RGB in [0, 1], sides multiples of 4; drawn by default.
        tuning: changes the graph's numbers before it is written, see `streamdehaze.engine.openvino.tuning`.
        progress: called with what is being done.

    Returns:
        `path`.

    Raises:
        MissingPackageError: without NNCF (extra `int8`).
        CheckpointError: if the checkpoint cannot be loaded.
        EngineError: if NNCF cannot quantise it or the file cannot be written.
    """
    from streamdehaze.engine.onnx.template import write_filled, write_graph

    with needed_for("quantising", "int8"):
        import onnx
        import onnxruntime  # noqa: F401 - NNCF calibrates with it and says so less clearly

        nncf = import_quietly("nncf")
        overflow_fix = import_quietly("nncf.quantization.advanced_parameters").OverflowFix
    found = find_checkpoint(checkpoint)
    path = path or found.with_suffix(".int8.onnx")
    read = read_checkpoint(found)
    calibration = hazy_pictures(PICTURES, SIZE[1], SIZE[0], _SEED) if pictures is None else pictures
    with tempfile.TemporaryDirectory() as folder:
        write_filled(read, Path(folder) / "float.onnx", {})
        model = onnx.load(Path(folder) / "float.onnx")
    weights_of = {node.name: node.input[1] for node in model.graph.node if node.op_type in ("Conv", "ConvTranspose")}
    kept = [name for name, weight in weights_of.items() if any(part in weight for part in _IN_FLOAT)]
    kept += [node.name for node in model.graph.node if node.op_type == "DeformConv"]

    def given() -> Iterator[dict[str, FloatArray]]:
        for index, picture in enumerate(calibration):
            progress("calibrating", index / len(calibration))
            yield {"hazy": picture[None]}

    try:
        with _silence():
            quantized = nncf.quantize(
                model,
                nncf.Dataset(list(given())),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(calibration),
                # NNCF's default, the mean of the pictures' ranges, clips what is brighter or darker than most.
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    # Processors without dot products of int8 add pairs of products in 16 bits, which saturate unless
                    # weights have 7; and a graph made on one processor serves on others.
                    overflow_fix=overflow_fix.ENABLE,
                    activations_range_estimator_params=import_quietly(
                        "nncf.quantization.range_estimator"
                    ).RangeEstimatorParametersSet.MINMAX,
                ),
                ignored_scope=nncf.IgnoredScope(names=kept, types=_SUMS),
            )
    except Exception as error:  # NNCF's errors and ONNX Runtime's share no base
        raise EngineError(f"NNCF cannot quantise {found.name}: {first_line(error)}") from error
    facts = {"checkpoint": found.stem, "checkpoint_sha256": file_sha256(found), "calibration": _in_words(pictures)}
    if tuning is not None:
        tuning(quantized)
    try:
        write_graph(quantized, path, read.width, "int8", facts)
    except OSError as error:
        raise EngineError(f"{path} cannot be written ({error.strerror or error})") from error
    return path


def hazy_photos(folder: Path) -> list[FloatArray]:
    """The pictures in a folder as the network would see them, shrunk to `SIZE`, at most `PICTURES` of them.

    Raises:
        SourceError: if there are none.
    """
    photos = [path for path in sorted(folder.iterdir()) if path.is_file()] if folder.is_dir() else []
    found = []
    for photo in photos[:: max(1, len(photos) // PICTURES)][:PICTURES]:
        with contextlib.suppress(SourceError):  # another file
            found.append(read_hazy(photo, SIZE[1], SIZE[0]))
    if not found:
        raise SourceError(f"there are no pictures in {folder}")
    return found


def _in_words(pictures: Sequence[FloatArray] | None) -> str:
    return f"{PICTURES} drawn pictures" if pictures is None else f"{len(pictures)} pictures of the user's"


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    # NNCF reports its steps on standard output and warns of what does not concern these graphs.
    logging.disable(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
