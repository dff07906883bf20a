#!/usr/bin/env bash
# `torch.nn.functional.interpolate(mode="area")` and OpenCV's INTER_AREA both shrink pictures by averaging areas, so a good
# guess is that a network trained on the one may be fed by the other. They agree only where the sizes divide. Elsewhere
# OpenCV weighs a pixel that straddles a border by its share, and PyTorch gives it whole to both sides, as adaptive average
# pooling does: some pixels count more than twice as much as others, the mean brightness is not kept, and edges blur.
# Seen: torch 2.14.1, OpenCV 5.0.0.93. Weights of five columns in three: PyTorch .50 .83 .33 .83 .50, OpenCV .60 each.
# The edge 0 1 1 1 1 in four columns: PyTorch .5 1 1 1, OpenCV .2 1 1 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --upgrade pip
"$folder/venv/bin/python" -m pip install --quiet torch==2.14.1 numpy opencv-python-headless==5.0.0.93
cat > "$folder/try.py" <<'PYTHON'
import cv2
import numpy as np
import torch
from torch.nn import functional


def by_torch(picture: np.ndarray, columns: int) -> np.ndarray:
    small = functional.interpolate(torch.from_numpy(picture)[None, None], (len(picture), columns), mode="area")
    return small[0, 0].numpy()


def by_opencv(picture: np.ndarray, columns: int) -> np.ndarray:
    return cv2.resize(picture, (columns, len(picture)), interpolation=cv2.INTER_AREA)


for shrink in (by_torch, by_opencv):
    each = np.eye(5, dtype=np.float32)[:, None]  # five pictures of one row, each with one white column
    weights = np.array([shrink(one, 3).sum() for one in each])
    edge = shrink(np.array([[0, 1, 1, 1, 1]], np.float32), 4)[0]
    print(f"{shrink.__name__}: weights of five columns in three {weights.round(2)}, an edge from five to four {edge.round(2)}")
    if shrink is by_torch:
        assert np.allclose(weights, [1 / 2, 5 / 6, 1 / 3, 5 / 6, 1 / 2], atol=1e-5), "the finding no longer holds"
        assert np.allclose(edge, [1 / 2, 1, 1, 1], atol=1e-5), "the finding no longer holds"
    else:
        assert np.allclose(weights, 3 / 5, atol=1e-5)
        assert np.allclose(edge, [1 / 5, 1, 1, 1], atol=1e-5)

photo = np.random.default_rng(0).random((36, 64), dtype=np.float32)
apart = np.abs(by_torch(photo, 32) - by_opencv(photo, 32)).max()
print(f"torch {torch.__version__}, OpenCV {cv2.__version__}; where the sizes divide they differ by {apart:.1e}")
assert apart < 1e-6
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
