"""Colours as people write them."""

from __future__ import annotations

import re

from streamdehaze.errors import ConfigError

Color = tuple[float, float, float]
"""RGB in [0, 1]."""
LEAST_AIRLIGHT = 0.1
"""No airlight is darker: black has no colour to balance by."""


def parse_color(text: str) -> Color:
    """The colour of "#c8b48c" or "200,180,140".

    Raises:
        ConfigError: if it is neither.
    """
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text.strip()):
        levels = list(bytes.fromhex(text.strip()[1:]))
    else:
        parts = [part.strip() for part in text.split(",")]
        levels = [int(part) for part in parts if part.isdecimal()]
        if len(parts) != 3 or len(levels) != 3 or max(levels) > 255:
            raise ConfigError(f"'{text}' is not a colour; write #c8b48c, or 200,180,140 (red, green, blue, 0 to 255)")
    red, green, blue = (level / 255 for level in levels)
    return red, green, blue


def check_airlight(color: Color) -> Color:
    """The colour, if haze can have it.

    Raises:
        ConfigError: if it is too dark.
    """
    if not all(LEAST_AIRLIGHT <= each <= 1 for each in color):
        raise ConfigError(
            f"the airlight {show_color(color)} is too dark to be the colour of haze; pick where the haze is thickest"
        )
    return color


def show_color(color: Color) -> str:
    """As `parse_color` reads it: "#c8b48c"."""
    return "#" + bytes(min(255, max(0, round(channel * 255))) for channel in color).hex()
