"""A user's detector in hazy, cleared and clear pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torchmetrics")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("pycocotools")

import onnx
from onnx import TensorProto, helper, numpy_helper

from doubles import EngineDouble
from streamdehaze.cli import main
from streamdehaze.dehaze import Dehazer
from streamdehaze.errors import ConfigError, MissingPackageError, SourceError
from streamdehaze.evaluation import evaluate
from streamdehaze.evaluation.detection import DetectionMeter, Detector, read_boxes
from training_data import write_picture


def detector(path: Path, outputs: int = 6) -> Path:
    """A model of 64×64 that finds one thing in the middle, if the picture's contrast is above 0.3."""
    box = np.zeros((1, 1, outputs), np.float32)
    box[0, 0, :4] = 16, 16, 48, 48
    score = np.zeros((1, 1, outputs), np.float32)
    score[0, 0, 4] = 1
    constants = {"box": box, "score": score, "threshold": np.float32(0.3)}
    nodes = [
        helper.make_node("ReduceMax", ["picture"], ["most"], keepdims=0),
        helper.make_node("ReduceMin", ["picture"], ["least"], keepdims=0),
        helper.make_node("Sub", ["most", "least"], ["contrast"]),
        helper.make_node("Sub", ["contrast", "threshold"], ["certainty"]),
        helper.make_node("Mul", ["score", "certainty"], ["scored"]),
        helper.make_node("Add", ["box", "scored"], ["found"]),
    ]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, (1, 3, 64, 64))],
        [helper.make_tensor_value_info("found", TensorProto.FLOAT, (1, 1, outputs))],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def boxes(path: Path) -> Path:
    """One thing, 64 pixels wide, in the middle of a.png."""
    content = {
        "images": [{"id": 7, "file_name": "images/a.png"}],
        "categories": [{"id": 3, "name": "car"}],
        "annotations": [{"image_id": 7, "category_id": 3, "bbox": [32, 0, 64, 64]}],
    }
    path.write_text(json.dumps(content))
    return path


def pictures(folder: Path) -> Path:
    """A pair, 128×64, striped so that it is not taken for sky; the hazy one has a tenth of the contrast."""
    clear = np.full((64, 128, 3), 40, np.uint8)
    clear[:, 32:96] = 200
    stripes = np.arange(128) // 8 % 2 == 0
    clear = np.where(stripes[:, None], clear - 40, clear + 40).astype(np.uint8)
    write_picture(folder / "clear" / "a.png", clear)
    write_picture(folder / "hazy" / "a.png", (180 + (clear.astype(float) - 180) * 0.1).astype(np.uint8))
    return folder


def test_what_a_detector_gains_from_dehazing(tmp_path: Path) -> None:
    clearing = EngineDouble(lambda hazy: np.clip((hazy - 180 / 255) / 0.1 + 180 / 255, 0, 1).astype(np.float32))
    meter = DetectionMeter(Detector(detector(tmp_path / "d.onnx")), read_boxes(boxes(tmp_path / "b.json")))
    report = evaluate(pictures(tmp_path / "data"), Dehazer(engine=clearing, network_size=64), detection=meter)
    assert report.detection["hazy mAP"] == 0
    assert report.detection["cleared mAP"] == pytest.approx(1)
    assert report.detection["clear mAP"] == pytest.approx(1)
    report.write_json(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["detection"] == report.detection


def test_boxes_come_back_in_the_pictures_own_pixels(tmp_path: Path) -> None:
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[:, 64:] = 255
    found, scores = Detector(detector(tmp_path / "d.onnx"))(picture)
    np.testing.assert_allclose(found.corners, [[32, 0, 96, 64]])
    assert len(scores) == 1


def test_files_that_are_not_a_detector_or_boxes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b.json").write_text('{"images": []}')
    (tmp_path / "no.onnx").write_bytes(b"not a model")
    with pytest.raises(SourceError, match=r"b\.json cannot be read as boxes"):
        read_boxes(tmp_path / "b.json")
    with pytest.raises(ConfigError, match=r"no\.onnx cannot be opened as an ONNX model"):
        Detector(tmp_path / "no.onnx")
    with pytest.raises(ConfigError, match=r"give \(1, n, 6\)"):
        Detector(detector(tmp_path / "raw.onnx", outputs=84))
    found = Detector(detector(tmp_path / "d.onnx"))
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(MissingPackageError, match=r"needs pycocotools: .*\[detect\]"):
        DetectionMeter(found, {})


def test_a_detector_without_boxes_is_a_usage_error(tmp_path: Path) -> None:
    from click.testing import CliRunner

    result = CliRunner().invoke(main, ["evaluate", str(tmp_path), "--detector", str(detector(tmp_path / "d.onnx"))])
    assert result.exit_code == 2
    assert "--boxes" in result.stderr
