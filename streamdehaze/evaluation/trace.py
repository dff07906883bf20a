"""Measures over time as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from streamdehaze.errors import ConfigError
from streamdehaze.plotting import open_pyplot, save_figure


def plot_trace(path: Path, traces: Mapping[str, Sequence[float]], label: str) -> None:
    """Draw one line a name over the frames' numbers into a picture.

    Raises:
        MissingPackageError: if matplotlib is not installed.
        ConfigError: if the picture cannot be written.
    """
    plot_traces(path, {label: traces})


def plot_traces(path: Path, panels: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """The same for several measures, one below the other, each with its label and lines.

    Raises:
        MissingPackageError: if matplotlib is not installed.
        ConfigError: if the picture cannot be written.
    """
    pyplot = open_pyplot("plotting")
    size = (10, 4 * len(panels))
    figure, rows = pyplot.subplots(len(panels), figsize=size, layout="constrained", squeeze=False)
    for axes, (label, traces) in zip(rows[:, 0], panels.items(), strict=True):
        for name, values in traces.items():
            axes.plot(range(1, len(values) + 1), values, label=name, linewidth=0.9)
        axes.set_xlabel("frame")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    try:
        save_figure(figure, path, path.suffix[1:] or "png")
    except (OSError, ValueError) as error:
        raise ConfigError(f"the plot cannot be written to '{path}': {error}") from error
    finally:
        pyplot.close(figure)
