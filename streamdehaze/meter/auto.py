"""`AutoStrength`: dehaze where there is haze, and leave clear air unchanged, bit for bit.

The density of a video, as far as the networks agree, is smoothed over time. Dehazing starts where it rises above `ON`,
and stops only once it has been below `OFF` for `CLEAR_SECONDS`; in between nothing switches, so drifting haze around a
threshold does not make the picture come and go. The strength then moves in ramps: seconds up, slower down. Where a
scene begins, nothing is carried over: it starts with the strength its first frame calls for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

Mode = Literal["on", "auto", "off"]
MODES: tuple[Mode, ...] = ("on", "auto", "off")
"""The names that ONVIF gives a camera's own defogging: ON, AUTO and OFF."""

ON, OFF = 0.165, 0.125
"""Density from which on dehazing starts, and below which it stops."""
START = 0.145
"""Density from which on a scene starts dehazed; nothing is known yet of how the haze moves."""
SMOOTHING_SECONDS = 3.0
"""Time constant of the smoothed density."""
CLEAR_SECONDS = 300.0
"""The air must have been clear for this long before dehazing stops."""
UP_SECONDS, DOWN_SECONDS = 4.0, 20.0
"""Time from strength 0 to full, and back."""
_DOUBTFUL = 0.07
"""Density up to which no second opinion makes it haze."""
_ASK_SECONDS = 1.0
"""How often a second opinion is asked for within a scene: what it shows changes slowly."""
_MEASURED, _RECOGNIZED = 0.75, 0.25
"""Weights of the measured density and the second opinion in their geometric mean."""
_USUAL_STEP, _LONGEST_STEP = 0.04, 10.0
"""Seconds between frames whose times are unknown; and the most that any two count as apart."""


class AutoStrength:
    """The share of the strength that the haze of one video calls for, frame by frame."""

    def __init__(self) -> None:
        self._density = self._seconds = self._recognized = self._asked = np.nan
        self._unmeasured = self._clear_for = 0.0
        self._on = False
        self.level = 0.0
        """Share of the strength now, 0 to 1."""
        self.changes = 0
        """How often dehazing was switched on or off within a scene."""

    def follow(
        self,
        density: float | None,
        seconds: float | None,
        *,
        starts: bool,
        second_opinion: Callable[[], float] | None = None,
    ) -> float:
        """The new `level`.

        Args:
            density: of the next frame; None where it was not measured.
            seconds: its time.
            starts: whether a scene starts with it.
            second_opinion: finds the density in another way.
        """
        if density is not None and density > _DOUBTFUL and second_opinion is not None:
            if starts or seconds is None or not 0 <= seconds - self._asked < _ASK_SECONDS:
                self._recognized, self._asked = second_opinion(), np.nan if seconds is None else seconds
            density = float(density**_MEASURED * self._recognized**_RECOGNIZED)
        step = _USUAL_STEP
        if seconds is not None:
            if not np.isnan(self._seconds):
                step = float(np.clip(seconds - self._seconds, 0, _LONGEST_STEP))
            self._seconds = seconds
        if density is not None and (starts or np.isnan(self._density)):
            self._density, self._unmeasured, self._clear_for = density, 0.0, 0.0
            self._on = density >= START
            self.level = float(self._on)
            return self.level
        self._unmeasured += step
        if density is not None:
            self._density += (1 - float(np.exp(-self._unmeasured / SMOOTHING_SECONDS))) * (density - self._density)
            self._unmeasured = 0.0
        self._clear_for = self._clear_for + step if self._density < OFF else 0.0
        switched = self._clear_for >= CLEAR_SECONDS if self._on else self._density > ON
        if switched:
            self._on, self._clear_for = not self._on, 0.0
            self.changes += 1
        ramp = step / UP_SECONDS if self._on else -step / DOWN_SECONDS
        self.level = min(1.0, max(0.0, self.level + ramp))
        return self.level

    def state(self) -> npt.NDArray[np.float64]:
        """What is remembered, (9,)."""
        measured = self._density, self._seconds, self._unmeasured, self._recognized, self._asked
        return np.array((*measured, self._clear_for, self._on, self.level, self.changes), np.float64)

    def load(self, state: npt.NDArray[np.float64]) -> None:
        """Continue where `state` was taken.

        Raises:
            ValueError: if it is not one.
        """
        if state.shape != (9,):
            raise ValueError(f"the state of automatic strength has 9 numbers, not {state.size}")
        self._density, self._seconds, self._unmeasured, self._recognized, self._asked = map(float, state[:5])
        self._clear_for, on, self.level, changes = map(float, state[5:])
        self._on, self.changes = bool(on), int(changes)
