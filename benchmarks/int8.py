"""Whether int8 is worth it on a CPU: NNCF post-training quantisation against float32, float16 and bfloat16 in OpenVINO.

    python benchmarks/int8.py SOTS_FOLDER CALIBRATION_FOLDER     (pip install nncf first)

CALIBRATION_FOLDER holds photos `NAME.jpg` with `NAME.depth.png` (255 = 1.2 in relative distance); haze is laid on them.
Prints the mean PSNR of the network's output at 256×192 against the truth, and milliseconds a picture, by turns.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from streamdehaze.engine.template import write_filled
from streamdehaze.network import load_network
from streamdehaze.telemetry import import_quietly

nncf, openvino = import_quietly("nncf"), import_quietly("openvino")

SIZE, CALIBRATION, ROUNDS = (256, 192), 150, 25


def read(path: Path) -> np.ndarray:
    picture = cv2.resize(cv2.imread(str(path)), SIZE, interpolation=cv2.INTER_AREA)[:, :, ::-1]
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32) / 255


def hazy_photos(folder: Path) -> list[np.ndarray]:
    random, found = np.random.default_rng(0), []
    for path in sorted(folder.glob("*.jpg"))[:CALIBRATION]:
        depth = cv2.resize(cv2.imread(str(path.with_suffix(".depth.png")), cv2.IMREAD_GRAYSCALE), SIZE) / 212
        transmission = np.exp(-random.uniform(0.4, 2.0) * depth).astype(np.float32)
        airlight = random.uniform(0.7, 1.0)
        found.append((read(path) * transmission + airlight * (1 - transmission)).astype(np.float32))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sots", type=Path)
    parser.add_argument("photos", type=Path)
    asked = parser.parse_args()
    core, calibration = openvino.Core(), nncf.Dataset(hazy_photos(asked.photos))
    pairs = [
        (read(path), read(asked.sots / "clear" / f"{path.stem.split('_')[0]}.png"))
        for path in sorted((asked.sots / "hazy").glob("*.png"))
    ]
    for checkpoint in ("aecrnet-s", "aecrnet-m"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "graph.onnx"
            write_filled(load_network(checkpoint), path, {})
            plain = core.read_model(path)
            models = {"float32": (plain, "f32"), "float16": (plain, "f16"), "bfloat16": (plain, "bf16")}
            for preset in (nncf.QuantizationPreset.PERFORMANCE, nncf.QuantizationPreset.MIXED):
                quantised = nncf.quantize(core.read_model(path), calibration, preset=preset, subset_size=CALIBRATION)
                models[f"int8 {preset.value}"] = quantised, "f16"
        requests = {}
        for name, (model, hint) in models.items():
            model.reshape([1, 3, SIZE[1], SIZE[0]])
            requests[name] = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint}).create_infer_request()
        psnr: dict[str, list[float]] = {name: [] for name in requests}
        for hazy, clear in pairs:
            for name, request in requests.items():
                psnr[name].append(-10 * np.log10(np.mean((request.infer([hazy])[0] - clear) ** 2)))
        best = dict.fromkeys(requests, float("inf"))
        for _ in range(ROUNDS):
            for name, request in requests.items():
                start = time.perf_counter()
                request.infer([pairs[0][0]])
                best[name] = min(best[name], (time.perf_counter() - start) * 1000)
        for name in requests:
            print(f"{checkpoint} {name}: {np.mean(psnr[name]):.2f} dB, {best[name]:.1f} ms")


if __name__ == "__main__":
    main()
