"""Use a network of your own, in one file: python own_network.py network.onnx foggy.mp4 clear.mp4

Here it is an ONNX file for (batch, 3, height, width) RGB between 0 and 1, run by ONNX Runtime; any `Engine` with a name
that turns such an array into one of the same shape works. The rest (small pictures, maps, smoothing, encoding) stays.
"""

import argparse
import sys

import numpy as np
import onnxruntime

from streamdehaze import Dehazer, StreamDehazeError, dehaze_video
from streamdehaze.engine import Engine


class OwnNetwork(Engine):
    name = "my network"

    def __init__(self, path: str) -> None:
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def infer(self, hazy: np.ndarray) -> np.ndarray:
        (clear,) = self._session.run(None, {self._input: hazy})
        return np.clip(clear, 0, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network")
    parser.add_argument("hazy")
    parser.add_argument("clear")
    given = parser.parse_args()
    try:
        with Dehazer(engine=OwnNetwork(given.network), steady="low", every="auto", look_ahead=True) as dehazer:
            report = dehaze_video(given.hazy, given.clear, dehazer=dehazer)
    except StreamDehazeError as error:
        sys.exit(str(error))
    print(f"{report.statistics.encode.frames} frames by {report.engine}")
