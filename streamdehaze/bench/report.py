"""What a benchmark found: rows, a verdict in words, files, and a comparison with an earlier one."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from streamdehaze.bench.timing import Timing
from streamdehaze.errors import ConfigError


@dataclass(frozen=True)
class Row:
    """One thing that was measured; what does not bear on it is None."""

    part: str
    """"decode", "shrink", "engine", "fit", "apply", "encode" alone; "frame" (host to host) or "pipeline" together."""
    size: str
    """Of the video, "1280×720"."""
    network_size: int | None
    batch: int | None
    checkpoint: str | None
    engine: str | None
    """The name of the engine that served."""
    timing: Timing

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes it the same measurement on another day."""
        return self.part, self.size, self.network_size, self.batch, self.checkpoint, self.engine

    def flat(self) -> dict[str, Any]:
        """One level of plain values, for a table."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "timing"}
        timing = asdict(self.timing)
        latencies = timing.pop("latency_ms")
        return {**values, **timing, **{f"latency_{name}_ms": value for name, value in latencies.items()}}


@dataclass(frozen=True)
class BenchReport:
    """All rows of a benchmark, where it ran, and what follows."""

    environment: dict[str, Any]
    rows: list[Row]
    verdicts: list[str]

    def write_json(self, path: Path) -> None:
        """Everything, for `read_report`."""
        path.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def write_csv(self, path: Path) -> None:
        """One line a row."""
        table = [row.flat() for row in self.rows]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(table[0]))
            writer.writeheader()
            writer.writerows(table)


def read_report(path: Path) -> BenchReport:
    """A report written by `BenchReport.write_json`.

    Raises:
        ConfigError: if the file is missing or no such report.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = [Row(**{**row, "timing": Timing(**row["timing"])}) for row in content["rows"]]
        return BenchReport(content["environment"], rows, content["verdicts"])
    except FileNotFoundError:
        raise ConfigError(f"there is no report {path}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no report of `streamdehaze bench --json`: {error}") from error


def compare(now: BenchReport, earlier: BenchReport) -> list[tuple[Row, float]]:
    """Rows measured both times, each with its frames a second now over then."""
    then = {row.key: row for row in earlier.rows}
    return [(row, row.timing.fps / then[row.key].timing.fps) for row in now.rows if row.key in then]


def differences(now: BenchReport, earlier: BenchReport) -> list[str]:
    """What of the two environments is not the same, in words; the load is left out."""
    a, b = _flat(now.environment), _flat(earlier.environment)
    return [
        f"{key}: {b.get(key)} then, {a.get(key)} now"
        for key in sorted({*a, *b})
        if a.get(key) != b.get(key) and key != "load_average"
    ]


def _flat(environment: dict[str, Any]) -> dict[str, Any]:
    versions = environment.get("versions", {})
    return {**{key: value for key, value in environment.items() if key != "versions"}, **versions}


def verdict(rows: Sequence[Row], loads: dict[str, float], cores: int) -> str:
    """What holds one pipeline back, in words made of measured numbers only.

    Args:
        rows: of one size, network size, batch, checkpoint and engine, the pipeline's among them.
        loads: share of its time each stage of the pipeline worked.
        cores: the process may use.
    """
    parts = {row.part: row.timing for row in rows}
    pipeline = parts["pipeline"]
    busiest = max(loads, key=lambda stage: loads[stage])
    others = ", ".join(f"{stage} {load:.0%}" for stage, load in loads.items() if stage != busiest)
    said = f"{pipeline.fps:.1f} fps, {busiest}-bound: {busiest} worked {loads[busiest]:.0%} of the time ({others})"
    inside = {name: 1000 / parts[name].fps for name in ("shrink", "engine", "fit", "apply")}
    whole = sum(inside.values())
    if busiest == "dehaze":
        first = max(inside, key=lambda name: inside[name])
        said += f"; alone, {first} is {inside[first] / whole:.0%} of a frame's {whole:.1f} ms there"
    if pipeline.cores_used > 0.9 * cores:
        said += f"; all {cores} cores are busy ({pipeline.cores_used:.1f}), so whatever costs processor time counts"
    return said
