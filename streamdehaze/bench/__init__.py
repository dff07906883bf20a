"""Benchmarks: what the frame rate is, what limits it, and what would change it."""

from streamdehaze.bench.bench import run_bench
from streamdehaze.bench.markdown import write_markdown
from streamdehaze.bench.plan import BenchPlan
from streamdehaze.bench.quality import Accuracy, read_quality
from streamdehaze.bench.report import BenchReport, Measurement, compare_reports, differences, read_report
from streamdehaze.bench.timing import Timing, measure

__all__ = [
    "Accuracy",
    "BenchPlan",
    "BenchReport",
    "Measurement",
    "Timing",
    "compare_reports",
    "differences",
    "measure",
    "read_quality",
    "read_report",
    "run_bench",
    "write_markdown",
]
