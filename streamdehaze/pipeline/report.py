"""What is reported of a video that was made clear."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from streamdehaze.extras import versions
from streamdehaze.meter.track import Track
from streamdehaze.pipeline.statistics import Statistics

_PACKAGES = (
    "python", "streamdehaze", "torch", "openvino", "onnxruntime", "av", "numpy", "opencv-python-headless",
)  # fmt: skip


def recorded_versions() -> dict[str, str]:
    """Versions of what a result may depend on."""
    return versions(_PACKAGES)


@dataclass(frozen=True)
class Report:
    """What was done, how fast, and with what."""

    input: str
    output: str
    statistics: Statistics
    engine: str
    checkpoint: str = ""
    """Its name or path; empty where segments were joined that others made."""
    damaged: int = 0
    """Damaged places of the input that were skipped or concealed."""
    haze: Track = field(default_factory=Track)
    """Density of the haze and strength applied, of the frames of this run."""
    losses: tuple[str, ...] = ()
    """What the output lacks of its input without having been asked to, as text."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: frames, losses, fps, stages, bottleneck, engine, checkpoint, haze, versions."""
        statistics = self.statistics
        return {
            "input": self.input,
            "output": self.output,
            "frames_in": statistics.earlier_frames + statistics.decode.frames,
            "frames_out": statistics.earlier_frames + statistics.encode.frames,
            "frames_of_earlier_runs": statistics.earlier_frames,
            "damaged_places": self.damaged,
            "losses": list(self.losses),
            "seconds": statistics.seconds,
            "fps": statistics.fps,
            "bottleneck": statistics.bottleneck,
            "stages": {stage.name: {**asdict(stage), "load": stage.load} for stage in statistics.stages},
            "engine": self.engine,
            "checkpoint": self.checkpoint,
            "haze": self.haze.as_dict(),
            "versions": recorded_versions(),
        }
