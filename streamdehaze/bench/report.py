"""The result of a benchmark: rows, files, and a comparison with an earlier one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from streamdehaze.bench.timing import Timing
from streamdehaze.durable import write_csv, write_output
from streamdehaze.errors import ConfigError


@dataclass(frozen=True)
class Measurement:
    """One measurement; None where a setting does not matter to it."""

    part: str
    """"decode", "shrink", "engine", "fit", "apply", "encode" alone; "frame" (host to host) or "pipeline" together.

    "steady maps" is shrinking, looking for motion, fitting and smoothing with look-ahead: all that `run` does by
    default but the network and applying the maps. "steady pipeline" is one with it, as `run` works by default, or
    with ", every 3" one whose network runs on every third frame.
    """
    size: str
    """Size of the video, "1280×720"."""
    network_size: int | None
    batch: int | None
    checkpoint: str | None
    engine: str | None
    """The name of the engine that served."""
    timing: Timing
    device_ms: dict[str, float] | None = None
    """For an engine on a GPU: the median of one call's copy in, computation and copy out, as trtexec reports them."""
    stillness: dict[str, float | None] | None = None
    """For a pipeline: what it adds to a still picture from frame to frame, in 8-bit levels, as
    `streamdehaze.dehaze.steady.stillness.Stillness` has it; None if there were too few frames."""

    @property
    def key(self) -> tuple[Any, ...]:
        """Identifies the measurement, to find it in another report."""
        return self.part, self.size, self.network_size, self.batch, self.checkpoint, self.engine

    @property
    def group(self) -> str:
        """Video, network size, checkpoint and engine as text: "1280×720, network size 256, …"."""
        facts = (self.size, self.network_size and f"network size {self.network_size}", self.checkpoint, self.engine)
        return ", ".join(str(fact) for fact in facts if fact)

    @property
    def name(self) -> str:
        """The part, with its batch if it has one: "engine, batch 4"."""
        return self.part + (f", batch {self.batch}" if self.batch else "")

    def flat(self) -> dict[str, Any]:
        """One level of plain values, for a table."""
        values = {
            name: getattr(self, name) for name in ("part", "size", "network_size", "batch", "checkpoint", "engine")
        }
        timing = asdict(self.timing)
        del timing["latencies_ms"]
        latencies, gpu = timing.pop("latency_ms"), timing.pop("gpu") or {}
        return {
            **values,
            **timing,
            **{f"latency_{name}_ms": value for name, value in latencies.items()},
            **(self.stillness or {}),
            **{f"device_{name.replace(' ', '_')}_ms": value for name, value in (self.device_ms or {}).items()},
            **{f"gpu_{name}": value for name, value in gpu.items()},
        }


@dataclass(frozen=True)
class BenchReport:
    """All rows of a benchmark, where it ran, and the conclusions."""

    environment: dict[str, Any]
    rows: list[Measurement]
    verdicts: list[str]

    def write_json(self, path: Path) -> None:
        """Everything, for `read_report`."""
        write_output(path, (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode())

    def write_csv(self, path: Path) -> None:
        """One line a row."""
        write_csv(path, [row.flat() for row in self.rows])

    def groups(self) -> list[tuple[str, list[Measurement]]]:
        """Rows that share a video, network size, checkpoint and engine, in order, each group with a title."""
        found: dict[str, list[Measurement]] = {}
        for row in self.rows:
            found.setdefault(row.group, []).append(row)
        return list(found.items())

    def place(self) -> str:
        """Where it was measured, in a line."""
        where = self.environment
        return (
            f"{where['processor']}, {where['cores']} cores, load {where['load_average']}, {where['gpu'] or 'no GPU'}, "
            f"{where['date']}"
        )


def read_report(path: Path) -> BenchReport:
    """A report written by `BenchReport.write_json`.

    Raises:
        ConfigError: if the file is missing or not such a report.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = [Measurement(**{**row, "timing": Timing.from_dict(row["timing"])}) for row in content["rows"]]
        return BenchReport(content["environment"], rows, content["verdicts"])
    except FileNotFoundError:
        raise ConfigError(f"there is no report {path}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a report of `streamdehaze bench --json`: {error}") from error


@dataclass(frozen=True)
class MeasurementChange:
    """A row that was measured now and earlier."""

    row: Measurement
    ratio: float
    """Frames a second now over then."""
    sure: bool
    """Whether the two differ by more than the rounds of each did."""


def compare_reports(now: BenchReport, earlier: BenchReport) -> list[MeasurementChange]:
    """The rows that were measured both times."""
    earlier_rows = {row.key: row.timing for row in earlier.rows}
    changes = []
    for row in now.rows:
        if (then := earlier_rows.get(row.key)) is not None:
            sure = row.timing.faster_than(then) or then.faster_than(row.timing)
            changes.append(MeasurementChange(row, row.timing.fps / then.fps, sure))
    return changes


def differences(now: BenchReport, earlier: BenchReport) -> list[str]:
    """How the two environments differ, as text; date and load are left out."""
    a, b = _flat(now.environment), _flat(earlier.environment)
    return [
        f"{key}: {b.get(key)} then, {a.get(key)} now"
        for key in sorted({*a, *b})
        if a.get(key) != b.get(key) and key not in ("date", "load_average")
    ]


def _flat(environment: dict[str, Any]) -> dict[str, Any]:
    versions = environment.get("versions", {})
    return {**{key: value for key, value in environment.items() if key != "versions"}, **versions}
