"""The processor's features are recognised correctly: a wrong answer costs a factor of three."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from streamdehaze.engine.processor import has_bfloat16, is_fast_in_int8


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="compares with what Linux says of an x86"
)
def test_the_answers_are_those_of_the_operating_system() -> None:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    flags = set(next(line for line in lines if line.startswith("flags")).split())
    assert has_bfloat16() == bool(flags & {"avx512_bf16", "amx_bf16"})
    assert is_fast_in_int8() == ("avx2" in flags)


def test_openvino_computes_in_bfloat16_only_on_a_processor_that_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    from streamdehaze.engine.onnx.template import write_filled
    from streamdehaze.engine.openvino import backend
    from streamdehaze.errors import EngineError
    from streamdehaze.network import Checkpoint
    from streamdehaze.network.aecrnet import AECRNet

    write_filled(Checkpoint.of(AECRNet(4)), tmp_path / "graph.onnx", {})
    if has_bfloat16():
        assert backend.OpenVINOEngine(tmp_path / "graph.onnx").precision != "float32"
    monkeypatch.setattr(backend, "has_bfloat16", lambda: False)
    assert backend.OpenVINOEngine(tmp_path / "graph.onnx").precision != "bfloat16"
    with pytest.raises(EngineError, match="does not compute in bfloat16"):
        backend.OpenVINOEngine(tmp_path / "graph.onnx", precision="bfloat16")
