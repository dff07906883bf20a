"""A model card: what a checkpoint is, made of and worth, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streamdehaze.errors import SourceError
from streamdehaze.network import Checkpoint

_TRUTH = {"psnr": ("PSNR", "{:.2f} dB"), "ssim": ("SSIM", "{:.3f}"), "hazy_psnr": ("hazy PSNR", "{:.2f} dB")}
"""Columns against a truth: title and form by the name in an evaluation."""
_NO_TRUTH = {
    "edges": ("e", "{:.2f}"),
    "gradients": ("r̄", "{:.2f}"),
    "far_gradients": ("r̄ far", "{:.2f}"),
    "saturated": ("σ", "{:.2%}"),
    "brightness": ("brightness", "× {:.2f}"),
    "near_black": ("near-black", "{:+.2%}"),
    "clipped": ("clipped", "{:+.2%}"),
    "chroma": ("chroma of the haze", "× {:.2f}"),
    "sky": ("sky's spread", "× {:.2f}"),
    "halo": ("halo", "{:+.1%}"),
}
"""Columns of hazy picture and result alone."""


def write_card(name: str, checkpoint: Checkpoint, evaluations: Sequence[Mapping[str, Any]] = ()) -> str:
    """The card of a checkpoint.

    Args:
        name: its title.
        checkpoint: whose metadata describes how it was trained.
        evaluations: contents of the JSON files of `streamdehaze evaluate`.
    """
    facts = checkpoint.metadata
    millions = sum(tensor.size for tensor in checkpoint.state.values()) / 1e6
    deconv = "with" if checkpoint.has_deconv else "without"
    lines = [
        f"# {name}",
        "",
        f"AECR-Net of width {checkpoint.width}, {deconv} network deconvolution, {millions:.2f} M parameters.",
        "Input: RGB in [0, 1], sides that are multiples of 4.",
        "",
        "| fact | |",
        "|---|---|",
    ]
    shown = {"architecture", "width", "deconv", "input"}
    lines += [f"| {key.replace('_', ' ')} | {value} |" for key, value in sorted(facts.items()) if key not in shown]
    for columns in (_TRUTH, _NO_TRUTH):
        scored = [evaluation for evaluation in evaluations if columns.keys() & evaluation["summary"].keys()]
        if scored:
            lines += ["", f"| data | mode | pictures | {' | '.join(title for title, _ in columns.values())} |"]
            lines += ["|---|---|---|" + "---|" * len(columns)]
            lines += [_row(evaluation, columns) for evaluation in scored]
    return "\n".join(lines) + "\n"


def _row(evaluation: Mapping[str, Any], columns: Mapping[str, tuple[str, str]]) -> str:
    facts, summary = evaluation["facts"], evaluation["summary"]
    cells = [facts["folder"], facts.get("mode", ""), str(len(evaluation["pictures"]))]
    cells += [form.format(summary[name]["mean"]) if name in summary else "" for name, (_, form) in columns.items()]
    return f"| {' | '.join(cells)} |"


def read_evaluation(path: Path) -> Mapping[str, Any]:
    """The content of a JSON file of `streamdehaze evaluate`.

    Raises:
        SourceError: if it is not one.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if {"facts", "summary", "pictures"} <= content.keys():
            return content  # type: ignore[no-any-return]
    except (OSError, ValueError, AttributeError) as error:
        raise SourceError(f"{path} cannot be read as an evaluation ({error})") from error
    raise SourceError(f"{path} is not what `streamdehaze evaluate --json` writes")
