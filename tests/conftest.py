"""What holds for every test: nothing reports to anyone, in a test's own `importorskip("openvino")` either."""

from __future__ import annotations

from streamdehaze.telemetry import hide_reporter

hide_reporter()
