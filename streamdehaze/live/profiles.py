"""Profiles: settings of dehazing that a camera takes on by the time of day, by its haze, or on request."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from datetime import time as TimeOfDay
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from streamdehaze.control.color import Color, check_airlight, parse_color
from streamdehaze.control.keyframes import MOST_STRENGTH
from streamdehaze.dehaze.atmosphere.airlight import AirlightMode
from streamdehaze.dehaze.atmosphere.tone import BrightnessMode
from streamdehaze.dehaze.steady.filter import Steady
from streamdehaze.errors import ConfigError
from streamdehaze.meter.auto import Mode
from streamdehaze.meter.reading import Reading
from streamdehaze.toml import Table

AUTOMATIC, NONE = "auto", "none"
"""What may be chosen instead of a profile: the one whose condition holds, and the camera's own settings."""
_CONDITIONS = frozenset({"after", "until", "haze_above"})
_LEAVE = 0.8
"""Haze below this share of `haze_above` ends a profile."""
_HAZE_SECONDS = 60.0
"""Haze must have come or gone for this long."""


def _airlight_color(value: object) -> object:
    if isinstance(value, tuple):
        return value  # a colour already
    levels = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    try:
        return check_airlight(parse_color(levels))
    except ConfigError as error:
        raise ValueError(str(error)) from None


AirlightColor = Annotated[Color, BeforeValidator(_airlight_color)]
"""As `parse_color` reads it; a list of the three levels will do."""


class ProfileConfig(Table):
    """What a camera is set to, and when by itself. What is not given stays as the camera's own table says."""

    strength: float | None = Field(default=None, ge=0, le=MOST_STRENGTH)
    enabled: bool | None = None
    mode: Mode | None = None
    airlight: AirlightMode | None = None
    airlight_color: AirlightColor | None = None
    brightness: BrightnessMode | None = None
    steady: Steady | None = None
    after: TimeOfDay | None = None
    """Local time of day from which on it holds."""
    until: TimeOfDay | None = None
    """And until which; earlier than `after` means the next day."""
    haze_above: float | None = Field(default=None, gt=0, lt=1)
    """Density of haze above which it holds, once that has lasted a minute, until it is a fifth lower."""

    @model_validator(mode="after")
    def _times_go_together(self) -> ProfileConfig:
        if (self.after is None) != (self.until is None):
            raise ValueError("after and until go together")
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """What it changes, by the keys of a camera."""
        return self.model_dump(exclude=set(_CONDITIONS), exclude_none=True)

    @property
    def has_condition(self) -> bool:
        """Whether it holds by itself at times."""
        return self.after is not None or self.haze_above is not None

    def holds_at(self, now: TimeOfDay) -> bool:
        """Whether its times say so; True if it has none."""
        if self.after is None or self.until is None:
            return True
        if self.after <= self.until:
            return self.after <= now < self.until
        return now >= self.after or now < self.until


class ProfileChoice:
    """Which profile one camera has.

    Args:
        profiles: gives those of now by name; of those whose conditions hold, the first is taken.
        choice: `AUTOMATIC`, `NONE` or a name.
        clock: seconds since 1970; a test may bring its own.

    Raises:
        ConfigError: if there is no such profile.
    """

    def __init__(
        self,
        profiles: Callable[[], Mapping[str, ProfileConfig]],
        choice: str = AUTOMATIC,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._profiles, self._clock = profiles, clock
        self._hazy: dict[str, bool] = {}
        self._since: dict[str, float] = {}
        self.choose(choice)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all profiles."""
        return tuple(self._profiles())

    def choose(self, choice: str) -> None:
        """Change the choice.

        Raises:
            ConfigError: if there is no such profile.
        """
        check_choice(choice, self._profiles())
        self.choice = choice

    def current(self, haze: Reading | None) -> tuple[str, dict[str, Any]]:
        """The name of the profile to be used now, and what it sets; "" and nothing for none.

        Args:
            haze: as measured last; None and dark change nothing.
        """
        profiles = self._profiles()
        name = self._name(profiles, haze)
        return (name, profiles[name].settings) if name in profiles else ("", {})

    def _name(self, profiles: Mapping[str, ProfileConfig], haze: Reading | None) -> str:
        now = self._clock()
        for name, profile in profiles.items():
            if profile.haze_above is not None and haze is not None and not haze.dark:
                self._follow(name, profile.haze_above, haze.density, now)
        if self.choice != AUTOMATIC:
            return self.choice
        at = datetime.fromtimestamp(now).time()
        for name, profile in profiles.items():
            is_hazy = profile.haze_above is None or self._hazy.get(name, False)
            if profile.has_condition and is_hazy and profile.holds_at(at):
                return name
        return ""

    def _follow(self, name: str, above: float, density: float, now: float) -> None:
        hazy = self._hazy.get(name, False)
        if (density > (_LEAVE * above if hazy else above)) == hazy:
            self._since.pop(name, None)
        elif now - self._since.setdefault(name, now) >= _HAZE_SECONDS:
            self._hazy[name] = not hazy
            del self._since[name]


def check_choice(choice: str, profiles: Mapping[str, ProfileConfig]) -> None:
    """Raise ConfigError if there is no such profile."""
    known = (AUTOMATIC, NONE, *profiles)
    if choice not in known:
        raise ConfigError(f"there is no profile '{choice}'; there are {', '.join(known)}")
