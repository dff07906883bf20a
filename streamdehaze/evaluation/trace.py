"""Measures over time as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from streamdehaze.plotting import new_figure, save_figure


def plot_traces(path: Path, panels: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Draw several measures over the frames, one below the other, each with its label and a line a name.

    Raises:
        MissingPackageError: if matplotlib is not installed.
        ConfigError, SinkError: as `streamdehaze.plotting.save_figure`.
    """
    figure = new_figure("plotting", 10, 4 * len(panels))
    rows = figure.subplots(len(panels), squeeze=False)
    for axes, (label, traces) in zip(rows[:, 0], panels.items(), strict=True):
        for name, values in traces.items():
            axes.plot(range(1, len(values) + 1), values, label=name, linewidth=0.9)
        axes.set_xlabel("frame")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    save_figure(figure, path)
