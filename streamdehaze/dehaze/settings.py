"""`Settings`: all that decides what happens to a video's frames, except the network."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypedDict, cast

from streamdehaze.control.color import Color, check_airlight
from streamdehaze.control.curves import INPUT_CURVES, InputCurve
from streamdehaze.control.keyframes import MOST_STRENGTH, Keyframes
from streamdehaze.control.mask import Mask
from streamdehaze.control.place import Place
from streamdehaze.dehaze.atmosphere.airlight import AIRLIGHT_MODES, AirlightMode
from streamdehaze.dehaze.atmosphere.tone import BRIGHTNESS_MODES, BrightnessMode
from streamdehaze.dehaze.steady import STEADY, Every, Steady
from streamdehaze.errors import ConfigError
from streamdehaze.meter.auto import MODES, Mode

DEFAULT_NETWORK_SIZE = 256


class SettingsKeywords(TypedDict, total=False):
    """The fields of `Settings` as keywords."""

    strength: float | Keyframes
    mode: Mode
    airlight: AirlightMode
    airlight_color: Color | None
    brightness: BrightnessMode
    network_size: int
    exact: bool
    steady: Steady
    every: Every
    look_ahead: bool
    input_curve: InputCurve
    mask: Mask | None
    near: float | None
    far: float | None


@dataclass(kw_only=True, eq=False)
class Settings:
    """How a video is dehazed: plain attributes, which may change between frames.

    Raises:
        ConfigError: if one is out of range, or `exact` is combined with `steady` or `every`.
    """

    strength: float | Keyframes = 1.0
    """0 (unchanged, bit for bit) to 1 (all the haze the network sees removed), or up to 1.5 to exaggerate; `Keyframes`
    for strength that changes over time."""
    mode: Mode = "on"
    """"on" removes haze throughout, "off" leaves every frame as it is, bit for bit; "auto" does what the measured haze
    calls for (`streamdehaze.meter.auto`): clear air comes out bit for bit."""
    airlight: AirlightMode = "auto"
    """"keep" leaves the light of the scene its tint, "neutral" makes the haze's colour white; "auto" keeps weak tints,
    such as dusk's, and neutralizes strong ones, such as those of sand and smog."""
    airlight_color: Color | None = None
    """The haze's colour as a display shows it, RGB in [0, 1], where it is known; None: estimated."""
    brightness: BrightnessMode = "keep"
    """"keep" gives the clear picture about the brightness of the hazy one; "natural" leaves it as dark as it is without
    the light that the haze scattered."""
    network_size: int = DEFAULT_NETWORK_SIZE
    """Long side of the small picture in pixels, a multiple of 4; smaller is faster and coarser."""
    exact: bool = False
    """Run the network on the whole frame."""
    steady: Steady = "off"
    """"low" or "high" smooths the maps over time to reduce flicker. "off": frames are independent."""
    every: Every = 1
    """The network runs on every k-th frame, and the maps are carried along the motion in between; "auto": as often as
    the changes in the picture require, from every frame where the camera moves fast to every sixth where nothing
    moves."""
    look_ahead: bool = False
    """Hold frames back (up to 36, or 96 MiB of them), so that their maps also come from the frames after them: steadier
    while the camera moves, and interpolated where `every` leaves out the network."""
    input_curve: InputCurve = "auto"
    """The transfer curve of log or HDR footage; "auto" goes by the tags of PQ, HLG and linear video and takes
    everything else as it is."""
    mask: Mask | None = None
    """How much of the strength applies where."""
    near: float | None = None
    """Leave alone what more than this share of its light arrives from, 0 to 1."""
    far: float | None = None
    """Leave alone what less than this share of its light arrives from, 0 to 1."""

    def __post_init__(self) -> None:
        self.check()

    @property
    def place(self) -> Place:
        """Where in a frame its maps apply."""
        return Place(self.mask, self.near, self.far)

    @property
    def is_off(self) -> bool:
        """Whether every frame passes unchanged."""
        return self.mode == "off" or self.strength == 0

    @property
    def remembers(self) -> bool:
        """Whether frames depend on those before."""
        return self.steady != "off" or self.every != 1

    @property
    def has_memory(self) -> bool:
        """Whether earlier frames matter, if only for how much of the haze is removed."""
        return self.remembers or self.mode == "auto"

    @property
    def settings(self) -> SettingsKeywords:
        """All of them, as plain values; two streams with the same give the same."""
        values = {each.name: getattr(self, each.name) for each in fields(Settings)}
        return cast(SettingsKeywords, {**values, "look_ahead": self.look_ahead and self.remembers})

    def check(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: for the first wrong one.
        """
        if not isinstance(self.strength, Keyframes) and not 0 <= self.strength <= MOST_STRENGTH:
            raise ConfigError(f"strength must lie between 0 and {MOST_STRENGTH}, not {self.strength}")
        for name, value, modes in (
            ("mode", self.mode, MODES),
            ("input curve", self.input_curve, INPUT_CURVES),
            ("airlight", self.airlight, AIRLIGHT_MODES),
            ("brightness", self.brightness, BRIGHTNESS_MODES),
            ("steady", self.steady, STEADY),
        ):
            if value not in modes:
                raise ConfigError(f"{name} must be one of {', '.join(modes)}, not '{value}'")
        if self.airlight_color is not None:
            check_airlight(self.airlight_color)
        if self.network_size < 16 or self.network_size % 4:
            raise ConfigError(f"network size must be a multiple of 4 and at least 16, not {self.network_size}")
        if self.every != "auto" and self.every < 1:
            raise ConfigError(f"every must be 'auto' or at least 1, not {self.every}")
        if self.exact and self.remembers:
            raise ConfigError("exact works frame by frame; leave steady off and every at 1 with it")
        self.place.check()
        if self.exact and self.place != Place():
            raise ConfigError("mask, near and far limit the maps, and exact has none; leave exact off with them")
