"""Times as people write them."""

from __future__ import annotations

import re

from streamdehaze.errors import ConfigError

_LONGEST_SECONDS = 366 * 24 * 3600


def parse_seconds(text: str) -> float:
    """Seconds of "90", "1.5", "0.2s", "200ms", "1:30" or "0:01:30.5".

    Raises:
        ConfigError: if it is not a time, or more than a year.
    """
    text = text.strip()
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s)", text):
        return float(match[1]) * (0.001 if match[2] == "ms" else 1.0)
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d*\.?\d+|\d+\.)", text)
    if match is None:
        raise ConfigError(f"'{text}' is not a time; write 90, 1.5s, 200ms or 0:01:30")
    hours, minutes, rest = match.groups(default="0")
    total = int(hours) * 3600 + int(minutes) * 60 + float(rest)
    if total > _LONGEST_SECONDS:
        raise ConfigError(f"'{text}' is more than a year")
    return total
