"""What int8 costs and brings in OpenVINO: the kept int8 graphs of checkpoints against float32, float16 and bfloat16.

    python benchmarks/int8.py SOTS_FOLDER [--pictures FOLDER] [--hazy FOLDER ...]

Prints, at 256×192: the mean PSNR against the truth, the median and the worst PSNR against float32, and milliseconds of
one picture (wall and processor time, alternately, the least of 25 rounds). With --pictures, a second int8 graph is
calibrated on the hazy pictures of that folder (extra `int8`). With --hazy, also PSNR of int8 against float32 on every
fourth picture of each folder, balanced as the network sees them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import cv2
import numpy as np
from calm import timed

from streamdehaze.dehaze.atmosphere import Atmosphere
from streamdehaze.engine.onnx.template import write_filled
from streamdehaze.engine.openvino.backend import OpenVINOEngine
from streamdehaze.engine.openvino.int8 import hazy_photos, quantize, quantized_graph
from streamdehaze.errors import EngineError
from streamdehaze.fidelity import psnr
from streamdehaze.network import find_checkpoint, list_checkpoints, read_checkpoint

SIZE, ROUNDS = (256, 192), 25


def read(path: Path) -> np.ndarray:
    picture = cv2.resize(cv2.imread(str(path)), SIZE, interpolation=cv2.INTER_AREA)[:, :, ::-1]
    return np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32) / 255


def photos_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".png") and ".depth" not in path.name)


def balanced(path: Path) -> np.ndarray:
    return Atmosphere().balance(read(path)).picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sots", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--hazy", type=Path, nargs="*", default=[])
    asked = parser.parse_args()
    pairs = [
        (read(path), read(asked.sots / "clear" / f"{path.stem.split('_')[0]}.png"))
        for path in sorted((asked.sots / "hazy").glob("*.png"))
    ]
    hazy = np.stack([hazy for hazy, _ in pairs])
    seen = {folder.name: np.stack([balanced(path) for path in photos_in(folder)[::4]]) for folder in asked.hazy}
    for checkpoint in list_checkpoints():
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / "graph.onnx"
            write_filled(read_checkpoint(find_checkpoint(checkpoint)), plain, {})
            graphs = {"float32": plain, "float16": plain, "bfloat16": plain}
            if (kept := quantized_graph(checkpoint)) is not None:
                graphs["int8"] = kept
            if asked.pictures is not None:
                path = Path(folder) / "own.onnx"
                graphs["int8, own pictures"] = quantize(checkpoint, path, pictures=hazy_photos(asked.pictures))
            engines = {}
            for name, path in graphs.items():
                try:
                    engines[name] = OpenVINOEngine(path, precision=name.split(",")[0])  # type: ignore[arg-type]
                except EngineError as error:
                    print(f"{checkpoint} {name}: {error}")
            results = {name: engine.infer(hazy) for name, engine in engines.items()}
            times: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
            for engine in engines.values():
                engine.infer(hazy[:1])
            for _ in range(ROUNDS):
                for name, engine in engines.items():
                    times[name].append(timed(lambda engine=engine: engine.infer(hazy[:1])))  # type: ignore[misc]
            for folder_name, pictures in seen.items() if "int8" in engines else ():
                answers = (engines[name].infer(pictures) for name in ("int8", "float32"))
                near = [psnr(i, f, peak=1) for i, f in zip(*answers, strict=True)]
                print(
                    f"{checkpoint} {folder_name}: {statistics.median(near):.1f} dB of float32 (worst {min(near):.1f})"
                )
            for name, clear in results.items():
                truth = statistics.mean(psnr(c, t, peak=1) for c, (_, t) in zip(clear, pairs, strict=True))
                exact = [psnr(c, e, peak=1) for c, e in zip(clear, results["float32"], strict=True)]
                wall, processor = (min(column) for column in zip(*times[name], strict=True))
                print(
                    f"{checkpoint} {name}: {truth:.2f} dB, {statistics.median(exact):.1f} dB of float32 (worst "
                    f"{min(exact):.1f}), {wall:.1f} ms, {processor:.1f} ms of processor",
                    flush=True,
                )


if __name__ == "__main__":
    main()
