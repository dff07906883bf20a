"""A benchmark as a picture: frames a second against size, how latency spreads, quality against speed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streamdehaze.bench.quality import Accuracy
from streamdehaze.bench.report import BenchReport, Measurement
from streamdehaze.plotting import new_figure, save_figure

_BINS = 50


def plot(report: BenchReport, path: Path, qualities: Sequence[Accuracy] = ()) -> None:
    """Draw the pipeline's frames a second by size and combination, a histogram of the latency of one frame, and, where
    scores are given, PSNR against frames a second.

    Args:
        report: what was measured.
        path: of the picture.
        qualities: scores of the checkpoints and network sizes that were measured; others are passed over.

    Raises:
        MissingPackageError: if matplotlib is not installed.
        ConfigError, SinkError: as `streamdehaze.plotting.save_figure`.
    """
    panels = 3 if qualities else 2
    figure = new_figure("--plot", 6.5 * panels, 5)
    axes = figure.subplots(1, panels)
    _throughput(axes[0], [row for row in report.rows if row.part == "pipeline"])
    _latency(axes[1], [row for row in report.rows if row.part == "frame"])
    if qualities:
        _quality(axes[2], [row for row in report.rows if row.part == "pipeline"], qualities)
    figure.suptitle(report.place(), fontsize=9)
    save_figure(figure, path)


def _throughput(axes: Any, rows: list[Measurement]) -> None:
    sizes = list(dict.fromkeys(row.size for row in rows))
    by_combination: dict[str, dict[str, float]] = {}
    for row in rows:
        label = f"{row.checkpoint}, {row.network_size}, batch {row.batch}, {row.engine}"
        by_combination.setdefault(label, {})[row.size] = row.timing.fps
    for label, fps in by_combination.items():
        axes.plot([sizes.index(size) for size in fps], list(fps.values()), marker="o", label=label)
    axes.set_xticks(range(len(sizes)), sizes)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("frames a second, decode to encode")
    axes.set_title("Throughput")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)


def _latency(axes: Any, rows: list[Measurement]) -> None:
    # Each its own share of calls, so that a slow combination with few calls is as tall as a quick one.
    longest = max((value for row in rows for value in row.timing.latencies_ms), default=1.0)
    edges = [longest * index / _BINS for index in range(_BINS + 1)]
    for facts in dict.fromkeys((r.size, r.checkpoint, r.network_size, r.engine) for r in rows):
        same = [r for r in rows if (r.size, r.checkpoint, r.network_size, r.engine) == facts]
        found = [value for row in same for value in row.timing.latencies_ms]
        weights = [100 / len(found)] * len(found)
        axes.hist(found, bins=edges, weights=weights, histtype="step", label=", ".join(str(fact) for fact in facts))
    axes.set_xlim(left=0)
    axes.set_xlabel("milliseconds, one frame host to host")
    axes.set_ylabel("% of frames")
    axes.set_title("Latency")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)


def _quality(axes: Any, rows: list[Measurement], qualities: Sequence[Accuracy]) -> None:
    psnr: dict[tuple[str | None, int | None], float] = {(q.checkpoint, q.network_size): q.psnr_db for q in qualities}
    for size, checkpoint, engine in dict.fromkeys((row.size, row.checkpoint, row.engine) for row in rows):
        points = sorted(
            (row.timing.fps, psnr[row.checkpoint, row.network_size], row.network_size)
            for row in rows
            if (row.size, row.checkpoint, row.engine) == (size, checkpoint, engine)
            and (row.checkpoint, row.network_size) in psnr
        )
        if not points:
            continue
        fps, dbs, _ = zip(*points, strict=True)
        axes.plot(fps, dbs, marker="o", label=f"{size}, {checkpoint}, {engine}")
        for x, y, network_size in points:
            axes.annotate(str(network_size), (x, y), textcoords="offset points", xytext=(4, 4), fontsize=8)
    axes.set_xlim(left=0)
    axes.set_xlabel("frames a second, decode to encode")
    axes.set_ylabel(f"PSNR, dB ({', '.join(dict.fromkeys(q.data for q in qualities))})")
    axes.set_title("Quality against speed, by network size")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
