"""Presets: the options of `streamdehaze run` that say how to dehaze, in a TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streamdehaze.errors import ConfigError
from streamdehaze.toml import read_toml

PRESETS = Path(__file__).parent / "presets"
"""Those that ship with the package."""
OPTIONS = frozenset(
    (
        "strength", "mode", "airlight", "airlight-color", "brightness", "near", "far", "mask", "input-curve", "steady",
        "network-size", "exact", "checkpoint", "every",
    )
)  # fmt: skip
"""What a preset may set, each named as the option without its dashes."""


def preset_names() -> list[str]:
    """The presets that ship."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def read_preset(name: str) -> dict[str, Any]:
    """The values of a preset, by the names of `run`'s parameters.

    Args:
        name: of one that ships, or a file.

    Raises:
        ConfigError: if there is none, or it sets what is not about dehazing.
    """
    path = PRESETS / f"{name}.toml" if name in preset_names() else Path(name)
    if not path.exists():
        raise ConfigError(f"there is no preset '{name}'; known are {', '.join(preset_names())}")
    content = read_toml(path, f"the preset '{path}'")
    for key, value in content.items():
        if key not in OPTIONS:
            raise ConfigError(f"the preset '{path}' sets '{key}'; it may set {', '.join(sorted(OPTIONS))}")
        if not isinstance(value, str | int | float):
            raise ConfigError(f"the preset '{path}' gives '{key}' a list or table; give it one value")
    if "mask" in content:
        content["mask"] = str(path.parent / str(content["mask"]))
    return {key.replace("-", "_"): value if isinstance(value, bool) else str(value) for key, value in content.items()}
