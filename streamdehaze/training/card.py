"""A model card: what a checkpoint is, made of and worth, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streamdehaze.errors import SourceError
from streamdehaze.network import Checkpoint


def write_card(name: str, checkpoint: Checkpoint, evaluations: Sequence[Mapping[str, Any]] = ()) -> str:
    """The card of a checkpoint.

    Args:
        name: its title.
        checkpoint: whose metadata tells of its making.
        evaluations: contents of the JSON files of `streamdehaze evaluate`.
    """
    facts = checkpoint.metadata
    millions = sum(tensor.numel() for tensor in checkpoint.state.values()) / 1e6
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
    if evaluations:
        lines += [
            "",
            "| data | mode | pictures | PSNR | SSIM | hazy PSNR | e | r̄ | σ |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
    lines += [_row(evaluation) for evaluation in evaluations]
    return "\n".join(lines) + "\n"


def _row(evaluation: Mapping[str, Any]) -> str:
    facts, summary = evaluation["facts"], evaluation["summary"]
    columns = [facts["folder"], facts.get("mode", ""), str(len(evaluation["pictures"]))]
    for name, form in (
        ("psnr", "{:.2f} dB"),
        ("ssim", "{:.3f}"),
        ("hazy_psnr", "{:.2f} dB"),
        ("edges", "{:.2f}"),
        ("gradients", "{:.2f}"),
        ("saturated", "{:.2%}"),
    ):
        columns.append(form.format(summary[name]["mean"]) if name in summary else "")
    return f"| {' | '.join(columns)} |"


def read_evaluation(path: Path) -> Mapping[str, Any]:
    """The content of a JSON file of `streamdehaze evaluate`.

    Raises:
        SourceError: if it is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if {"facts", "summary", "pictures"} <= content.keys():
            return content  # type: ignore[no-any-return]
    except (OSError, ValueError, AttributeError) as error:
        raise SourceError(f"{path} cannot be read as an evaluation ({error})") from error
    raise SourceError(f"{path} is not what `streamdehaze evaluate --json` writes")
