"""A benchmark as a picture: frames a second, and how latency spreads."""

from __future__ import annotations

from pathlib import Path

from streamdehaze.bench.report import BenchReport
from streamdehaze.errors import StreamDehazeError


def plot(report: BenchReport, path: Path) -> None:
    """Draw the pipeline's frames a second by size and combination, and the latency of one frame (min, median, p99).

    Raises:
        StreamDehazeError: if matplotlib is not installed (extra `plot`).
    """
    try:
        import matplotlib
    except ImportError as error:
        raise StreamDehazeError("--plot needs matplotlib: pip install 'streamdehaze[plot]'") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 5), layout="constrained")
    whole = [row for row in report.rows if row.part == "pipeline"]
    single = [row for row in report.rows if row.part == "frame"]
    sizes = list(dict.fromkeys(row.size for row in whole))
    by_combination: dict[str, dict[str, float]] = {}
    for row in whole:
        label = f"{row.checkpoint}, {row.network_size}, batch {row.batch}\n{row.engine}"
        by_combination.setdefault(label, {})[row.size] = row.timing.fps
    for label, fps in by_combination.items():
        left.plot([sizes.index(size) for size in fps], list(fps.values()), marker="o", label=label)
    left.set_xticks(range(len(sizes)), sizes)
    left.set_ylim(bottom=0)
    left.set_ylabel("frames a second, decode to encode")
    left.set_title("Throughput")
    left.grid(alpha=0.3)
    left.legend(fontsize=8)
    for at, row in enumerate(single):
        latency = row.timing.latency_ms
        right.plot([latency["min"], latency["p99"]], [at, at], color="tab:blue", linewidth=2)
        right.plot(latency["median"], at, marker="o", color="tab:blue")
    right.set_yticks(
        range(len(single)), [f"{r.size}, {r.checkpoint}, {r.network_size}\n{r.engine}" for r in single], fontsize=8
    )
    right.set_xlim(left=0)
    right.set_xlabel("milliseconds, one frame host to host: min – median – p99")
    right.set_title("Latency")
    right.grid(alpha=0.3)
    environment = report.environment
    figure.suptitle(
        f"{environment['processor']}, {environment['cores']} cores, {environment['gpu'] or 'no GPU'}", fontsize=9
    )
    beside = path.with_suffix(".part.png")
    figure.savefig(beside, dpi=120)
    pyplot.close(figure)
    beside.replace(path)
