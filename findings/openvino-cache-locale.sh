#!/usr/bin/env bash
# OpenVINO compiles models in any thread. A good guess: with a model cache (CACHE_DIR), that touches nothing but the cache.
# It sets the locale of the whole process to "C" for a while and then back to what it found. Two threads that compile at the
# same time find each other's: the process stays in "C", and Python from then on opens text files and reads the output of
# commands as ASCII, where no encoding is given. One lock around compile_model prevents that; without CACHE_DIR, the locale stays.
# Seen: openvino 2026.4.1 (CPU), Python 3.11, in C.UTF-8: after two compilations one after another UTF-8, after two at the
# same time ANSI_X3.4-1968, mostly in the first of 100 rounds.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --upgrade pip
"$folder/venv/bin/python" -m pip install --quiet openvino==2026.4.1 numpy==2.2.6
cat > "$folder/try.py" <<'PYTHON'
import locale
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

sys.modules["openvino_telemetry"] = None  # nothing is reported
import numpy as np
import openvino as ov
from openvino import opset13 as op

locale.setlocale(locale.LC_ALL, "C.UTF-8")


def model():
    inputs = result = op.parameter([1, 3, 32, 32], np.float32)
    for _ in range(40):
        weights = op.constant(np.random.rand(3, 3, 3, 3).astype(np.float32))
        result = op.relu(op.convolution(result, weights, [1, 1], [1, 1], [1, 1], [1, 1]))
    return ov.Model([result], [inputs])


def encoding():
    with open(os.devnull) as file:
        return file.encoding


core = ov.Core()
core.set_property({"CACHE_DIR": tempfile.mkdtemp(dir=sys.argv[1])})
for _ in range(2):
    core.compile_model(model(), "CPU")
print(f"openvino {ov.__version__}: text files are {encoding()} after two compilations")
assert encoding() == "UTF-8"
for count in range(1, 101):
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda each: core.compile_model(each, "CPU"), [model(), model()]))
    if encoding() != "UTF-8":
        break
print(f"and {encoding()} after {count} times two at once; the locale is {locale.setlocale(locale.LC_CTYPE)}")
assert encoding() != "UTF-8", "the locale stays what it was: the finding no longer holds"
PYTHON
PYTHONUTF8=0 LC_ALL=C.UTF-8 "$folder/venv/bin/python" "$folder/try.py" "$folder"
