"""Time code: hours, minutes, seconds and frames, by which editors find a picture again (SMPTE ST 12-1)."""

from __future__ import annotations

import re
from fractions import Fraction

_TIME_CODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)")


def later(time_code: str, frames: int, rate: Fraction, parts: int = 1) -> str:
    """A time code so many frames later; "" for a text that is none.

    Args:
        time_code: of a picture: 01:02:03:04, or 01:02:03;04 where numbers are left out to keep up with the clock at
            29.97 or 59.94 frames a second.
        frames: how many.
        rate: frames a second after it.
        parts: into how many frames each frame of `time_code` has been divided since.
    """
    found = _TIME_CODE.fullmatch(time_code)
    base = round(rate)
    if found is None or not base:
        return ""
    hours, minutes, seconds, number = (int(found[group]) for group in (1, 2, 3, 5))
    minutes += 60 * hours
    left_out = base // 15 if found[4] != ":" and base % 30 == 0 else 0  # each minute but every tenth
    in_minute, in_ten, in_day = 60 * base - left_out, 600 * base - 9 * left_out, 144 * (600 * base - 9 * left_out)
    count = (60 * minutes + seconds) * base + number * parts + frames - left_out * (minutes - minutes // 10)
    tens, rest = divmod(count % in_day, in_ten)
    count = tens * 600 * base + rest + left_out * (max(0, rest - left_out) // in_minute)
    count, number = divmod(count, base)
    return f"{count // 3600:02}:{count // 60 % 60:02}:{count % 60:02}{found[4]}{number:02}"
