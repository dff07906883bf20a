"""Scores of an evaluation, to compare with the speed of the same checkpoint and network size."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from streamdehaze.errors import ConfigError


@dataclass(frozen=True)
class Accuracy:
    """How close a checkpoint came to the truth."""

    checkpoint: str
    network_size: int
    psnr_db: float
    """Mean over the pictures."""
    data: str
    """What it was evaluated on."""


def read_quality(path: Path) -> Accuracy:
    """The scores in a file of `streamdehaze evaluate --json`.

    Raises:
        ConfigError: if the file is missing or not such a report, or it holds no PSNR or was made with `--exact`.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        facts, summary = content["facts"], content["summary"]
        size = re.search(r"network size (\d+)", facts["mode"])
        if size is None or "psnr" not in summary:
            raise ConfigError(f"{path} has no PSNR at a network size to compare with a speed")
        return Accuracy(facts["checkpoint"], int(size[1]), summary["psnr"]["mean"], str(facts.get("folder", "")))
    except FileNotFoundError:
        raise ConfigError(f"there is no evaluation {path}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a report of `streamdehaze evaluate --json`: {error}") from error
