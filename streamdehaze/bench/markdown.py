"""A benchmark as Markdown, for a README or an issue."""

from __future__ import annotations

from pathlib import Path

from streamdehaze.bench.report import BenchReport, Measurement
from streamdehaze.durable import write_output

_LATENCIES = ("min", "mean", "median", "p90", "p95", "p99")
_HEADINGS = ("part", "fps", *(f"{name} ms" for name in _LATENCIES), "CPU ms a frame", "cores", "peak MiB")


def write_markdown(report: BenchReport, path: Path) -> None:
    """A table for each combination, then the verdicts."""
    versions = ", ".join(f"{name} {version}" for name, version in report.environment["versions"].items())
    blocks = [f"{report.place()}; Python {report.environment['python']}, {versions}."]
    for title, rows in report.groups():
        lines = [f"| {' | '.join(_HEADINGS)} |", f"|---|{'---:|' * (len(_HEADINGS) - 1)}"]
        lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
        blocks.append(f"**{title}**\n\n" + "\n".join(lines))
    blocks.append("ms: of one call; ±: the last three rounds did not agree within 2 % in time.")
    blocks.append("\n".join(f"- {sentence}" for sentence in report.verdicts))
    write_output(path, ("\n\n".join(blocks) + "\n").encode())


def _cells(row: Measurement) -> list[str]:
    timing = row.timing
    device = "".join(f", {name} {value:.2f} ms" for name, value in (row.device_ms or {}).items())
    return [
        row.name + device,
        f"{timing.fps:.1f}" + ("" if timing.settled else f" ±{timing.spread:.0%}"),
        *(f"{timing.latency_ms[name]:.2f}" for name in _LATENCIES),
        f"{timing.cpu_seconds_per_frame * 1000:.2f}",
        f"{timing.cores_used:.2f}",
        "" if timing.peak_rss_mib is None else f"{timing.peak_rss_mib:.0f}",
    ]
