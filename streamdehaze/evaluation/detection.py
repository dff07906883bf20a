"""What a user's detector finds in hazy, cleared and clear pictures: mean average precision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamdehaze.errors import ConfigError, SourceError, first_line
from streamdehaze.extras import needed_for, require

Bytes = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

_FILLED = 114
"""Grey level next to a picture that is narrower than the detector's input, as in YOLO's training."""


@dataclass(frozen=True)
class Boxes:
    """Things in one picture."""

    corners: FloatArray
    """(n, 4): left, top, right, bottom in pixels."""
    classes: npt.NDArray[np.int64]
    """(n,) numbers of classes, from 0."""


class Detector:
    """An ONNX model that takes (1, 3, H, W) RGB in [0, 1] and gives (1, n, 6): corners in its pixels, score, class.

    That is what YOLO models export end to end, with the suppression of duplicates inside.

    Raises:
        MissingPackageError: if ONNX Runtime is not installed.
        ConfigError: if the model is of another form.
    """

    def __init__(self, path: Path) -> None:
        with needed_for("a detector", "detect"):
            import onnxruntime
        try:
            self._session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own errors share no public class
            raise ConfigError(f"{path} cannot be opened as an ONNX model ({first_line(error)})") from None
        shapes = [tuple(end.shape) for end in (*self._session.get_inputs(), *self._session.get_outputs())]
        if len(shapes) != 2 or len(shapes[0]) != 4 or len(shapes[1]) != 3 or shapes[1][2] not in (6, None):
            raise ConfigError(
                f"{path} must take (1, 3, height, width) and give (1, n, 6) for corners, score and class; "
                "export it with the suppression of duplicates inside"
            )
        height, width = shapes[0][2:]
        if not (isinstance(height, int) and isinstance(width, int)):
            raise ConfigError(f"{path} takes pictures of any size; export it for a fixed one")
        self._size = (height, width)
        self._input = self._session.get_inputs()[0].name

    def __call__(self, picture: Bytes) -> tuple[Boxes, FloatArray]:
        """What is in an (H, W, 3) RGB picture, and the score of each."""
        rows, columns = picture.shape[:2]
        scale = min(self._size[0] / rows, self._size[1] / columns)
        height, width = round(rows * scale), round(columns * scale)
        top, left = (self._size[0] - height) // 2, (self._size[1] - width) // 2
        canvas = np.full((*self._size, 3), _FILLED, np.uint8)
        canvas[top : top + height, left : left + width] = cv2.resize(picture, (width, height))
        pixels = canvas.transpose(2, 0, 1)[None].astype(np.float32) / 255
        found = np.asarray(self._session.run(None, {self._input: pixels})[0][0], np.float32)
        found = found[found[:, 4] > 0]
        corners = (found[:, :4] - np.array([left, top, left, top], np.float32)) / np.float32(scale)
        return Boxes(corners, found[:, 5].astype(np.int64)), found[:, 4]


def read_boxes(path: Path) -> dict[str, Boxes]:
    """The boxes of a COCO file by the names of the pictures; its categories, in order of their ids, are classes 0, 1, …

    Raises:
        SourceError: if it is not such a file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        numbers = {id_: number for number, id_ in enumerate(sorted(entry["id"] for entry in content["categories"]))}
        names = {entry["id"]: Path(entry["file_name"]).name for entry in content["images"]}
        corners: dict[str, list[tuple[float, ...]]] = {name: [] for name in names.values()}
        classes: dict[str, list[int]] = {name: [] for name in names.values()}
        for entry in content["annotations"]:
            left, top, width, height = entry["bbox"]
            corners[names[entry["image_id"]]].append((left, top, left + width, top + height))
            classes[names[entry["image_id"]]].append(numbers[entry["category_id"]])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path} cannot be read as boxes in COCO's form ({error!r})") from error
    return {
        name: Boxes(np.array(corners[name], np.float32).reshape(-1, 4), np.array(classes[name], np.int64))
        for name in corners
    }


class DetectionMeter:
    """Mean average precision of one detector on hazy, cleared and clear versions of a picture.

    Args:
        detector: finds things.
        boxes: what there is, by the names of the pictures.

    Raises:
        MissingPackageError: if pycocotools is not installed.
    """

    def __init__(self, detector: Detector, boxes: Mapping[str, Boxes]) -> None:
        # torchmetrics asks for it when it is too late.
        require("pycocotools", "mean average precision", "detect")
        self._detector, self._boxes = detector, boxes
        self._metrics: dict[str, Any] = {}

    def add(self, name: str, looks: Mapping[str, Bytes]) -> None:
        """Score all versions of one picture, such as hazy and cleared; one without boxes is left out."""
        from torch import from_numpy
        from torchmetrics.detection import MeanAveragePrecision

        true = self._boxes.get(Path(name).name)
        if true is None:
            return
        target = {"boxes": from_numpy(true.corners), "labels": from_numpy(true.classes)}
        for look, picture in looks.items():
            found, scores = self._detector(picture)
            result = {
                "boxes": from_numpy(found.corners),
                "labels": from_numpy(found.classes),
                "scores": from_numpy(scores),
            }
            self._metrics.setdefault(look, MeanAveragePrecision()).update([result], [target])

    @property
    def precision(self) -> dict[str, float]:
        """mAP over IoU 0.5 to 0.95 and mAP at 0.5, by version."""
        found: dict[str, float] = {}
        for look, metric in self._metrics.items():
            scores = metric.compute()
            found[f"{look} mAP"], found[f"{look} mAP 50"] = float(scores["map"]), float(scores["map_50"])
        return found
