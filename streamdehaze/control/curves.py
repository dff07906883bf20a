"""Transfer curves of log and HDR footage, so that the network sees what a display would show.

A log picture looks like haze to any network: low contrast, lifted blacks. So the small picture is decoded to scene
light by the camera's published formula, and shown as BT.709 shows it, with a soft shoulder for what is brighter than
white. The network's answer goes the same way back; maps are fitted and applied in the footage's own signal. An affine
map in log is not one in light, but over a small window it is close: docs/control.md has what that costs.

Curves act on each channel, the shoulder on the brightest. The wide primaries of log footage are left as they are: its
colours look pale to the network, as they do on a display without a conversion.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from streamdehaze.errors import ConfigError
from streamdehaze.frame import ColorSpec, FloatArray

Floats = npt.NDArray[np.float64]
InputCurve = Literal[
    "auto", "sdr", "slog3", "logc3", "logc4", "vlog", "dlog", "clog3", "applelog", "pq", "hlg", "linear"
]
INPUT_CURVES: tuple[InputCurve, ...] = get_args(InputCurve)
_BY_TRANSFER: dict[int, InputCurve] = {8: "linear", 16: "pq", 18: "hlg"}
"""By transfer characteristics, ITU-T H.273 table 3."""

_KEYS = (
    "com.arri.camera.ColorGammaSxS", "com.dji.camera.ColorGammaSxS", "com.atomos.hdr.gamma",
    "com.apple.proapps.customgamma",
)  # fmt: skip
"""Metadata of QuickTime files in which cameras and recorders name their curve."""
_NAMES: dict[str, InputCurve] = {
    "slog3": "slog3", "slog3cine": "slog3", "logc": "logc3", "logc3": "logc3", "logc4": "logc4", "vlog": "vlog",
    "vlogl": "vlog", "dlog": "dlog", "clog3": "clog3", "canonlog3": "clog3", "applelog": "applelog",
}  # fmt: skip
"""Curves by the makers' names for them, without punctuation."""

_DEEP = ("logc3", "logc4", "applelog", "pq", "linear")
"""Curves that 8 bits are too few for; S-Log3, V-Log L, D-Log, Canon Log 3 and HLG are recorded in 8, too."""

_STEPS = 4096
_KNEE = 0.7
"""Light, of diffuse white, above which the shoulder begins."""


def _slog3(s: Floats) -> Floats:
    """Sony, "Technical Summary for S-Gamut3.Cine/S-Log3 and S-Gamut3/S-Log3" (2014)."""
    code = s * 1023
    return np.where(
        code >= 171.2102946929, 10 ** ((code - 420) / 261.5) * 0.19 - 0.01, (code - 95) * 0.01125 / 76.2102946929
    )


def _logc3(s: Floats) -> Floats:
    """ARRI, "ALEXA Log C Curve: Usage in VFX" (2017), LogC3 at EI 800."""
    return np.where(s > 0.1496582, (10 ** ((s - 0.385537) / 0.247190) - 0.052272) / 5.555556, (s - 0.092809) / 5.367655)


def _logc4(s: Floats) -> Floats:
    """ARRI, "LogC4 Logarithmic Color Space: Specification" (2022)."""
    a, b, c = (2**18 - 16) / 117.45, (1023 - 95) / 1023, 95 / 1023
    slope, start = (7 * np.log(2) * 2 ** (7 - 14 * c / b)) / (a * b), (2 ** (14 * (-c / b) + 6) - 64) / a
    return np.where(s >= 0, (2 ** (14 * (s - c) / b + 6) - 64) / a, s * slope + start)


def _vlog(s: Floats) -> Floats:
    """Panasonic, "VARICAM V-Log/V-Gamut" (2014)."""
    return np.where(s < 0.181, (s - 0.125) / 5.6, 10 ** ((s - 0.598206) / 0.241514) - 0.00873)


def _dlog(s: Floats) -> Floats:
    """DJI, "White Paper on D-Log and D-Gamut of DJI Cinema Color System" (2017)."""
    return np.where(s <= 0.14, (s - 0.0929) / 6.025, (10 ** (3.89616 * s - 2.27752) - 0.0108) / 0.9892)


def _clog3(s: Floats) -> Floats:
    """Canon, "Canon Log Gamma Curves" (2018), Canon Log 3; times 0.9, so that 1 is a white of 90 %."""
    low = -(10 ** ((0.12783901 - s) / 0.36726845) - 1) / 14.98325
    high = (10 ** ((s - 0.12240537) / 0.36726845) - 1) / 14.98325
    return 0.9 * np.where(s < 0.097465473, low, np.where(s <= 0.15277891, (s - 0.12512219) / 1.9754798, high))


def _applelog(s: Floats) -> Floats:
    """Apple, "Apple Log Profile White Paper" (2023)."""
    black, knee = -0.05641088, 47.28711236 * (0.01 + 0.05641088) ** 2
    return np.where(s >= knee, 2 ** ((s - 0.69336945) / 0.08550479) - 0.00964052, np.sqrt(s / 47.28711236) + black)


def _pq(s: Floats) -> Floats:
    """SMPTE ST 2084; 203 cd/m², HDR reference white (ITU-R BT.2408), is 1."""
    power = s ** (1 / 78.84375)
    light = np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
    return 10000 / 203 * light ** (1 / 0.1593017578125)


def _hlg(s: Floats) -> Floats:
    """ARIB STD-B67 (ITU-R BT.2100); a signal of 75 %, HDR reference white, is 1."""
    light = np.where(s <= 0.5, s * s / 3, (np.exp((s - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    return light / 0.26496256


_DECODE: dict[str, Callable[[Floats], Floats]] = {
    "slog3": _slog3, "logc3": _logc3, "logc4": _logc4, "vlog": _vlog, "dlog": _dlog, "clog3": _clog3,
    "applelog": _applelog, "pq": _pq, "hlg": _hlg, "linear": lambda s: s,
}  # fmt: skip
"""Scene light for a signal in [0, 1] of the video's range; 1 is diffuse white."""


def light_of(signal: Floats, curve: InputCurve) -> Floats:
    """Scene light, 1 for diffuse white, of a signal in [0, 1]; "auto" and "sdr" have no formula here."""
    return _DECODE[curve](signal)


def curve_of(wanted: InputCurve, color: ColorSpec) -> InputCurve:
    """The curve of a video: the one wanted, or for "auto" the one its tags or its camera name, else "sdr"."""
    if wanted != "auto":
        return wanted
    noted: InputCurve = next((curve for curve in INPUT_CURVES if curve == color.log), "sdr")
    return _BY_TRANSFER.get(color.transfer, noted)


def check_depth(curve: InputCurve, bits: int) -> None:
    """Check that a curve that was asked for can be that of footage with this many bits a sample.

    Raises:
        ConfigError: if cameras record it with more bits only.
    """
    if curve in _DEEP and bits < 10:
        raise ConfigError(
            f"{curve} footage has 10 bits a sample or more, and this has {bits}: it has another curve; "
            "choose that one, or auto"
        )


def curve_of_tags(tags: Mapping[str, str]) -> str:
    """The log curve that a file's metadata names, "" if none does.

    ARRI and DJI cameras, Atomos recorders and iPhones name it in a key of its own, Panasonic's in an XML document.
    """
    named = [tags.get(key, "") for key in _KEYS]
    named += re.findall(r"<(?:\w+:)?CaptureGamma>([^<]*)<", tags.get("com.panasonic.Semi-Pro.metadata.xml", ""))
    return next((curve for name in named if (curve := _by_name(name))), "")


def curve_of_sidecar(path: Path) -> str:
    """The log curve in the XML file that Sony's cameras write next to a clip (C0001.MP4, C0001M01.XML), "" if none."""
    try:
        text = path.with_name(f"{path.stem}M01.XML").read_text("utf-8")
    except (OSError, ValueError):
        return ""
    named = re.search(r'name="CaptureGammaEquation"\s+value="([^"]*)"', text)
    return _by_name(named[1]) if named else ""


def _by_name(name: str) -> str:
    """The curve of a maker's name for it: "S-Log3", "s-log3-cine", "LOG-C", "com.apple.rec2020.apple-log"."""
    letters = re.sub("[^a-z0-9]", "", name.rpartition(".")[2].lower())
    return _NAMES.get(letters, "")


def to_display(rgb: FloatArray, curve: InputCurve) -> FloatArray:
    """What a display shows of a signal, both RGB (3, rows, columns) in [0, 1]; "sdr" is shown as it is."""
    if curve == "sdr":
        return rgb
    signal, light, shown = _tables(curve)
    unbounded = np.interp(rgb, signal, light)
    return _scaled(unbounded, light, shown)


def to_signal(rgb: FloatArray, curve: InputCurve) -> FloatArray:
    """The signal that a display shows so: the inverse of `to_display`."""
    if curve == "sdr":
        return rgb
    signal, light, shown = _tables(curve)
    unbounded = _scaled(rgb, shown, light)
    return np.interp(unbounded, light, signal).astype(np.float32)


def _scaled(rgb: npt.NDArray[Any], given: Floats, wanted: Floats) -> FloatArray:
    """Pixels whose brightest channel goes from `given` to `wanted`, and the others with it.

    A shoulder for each channel would make a bright tinted sky paler than what is before it, and haze lose less of it.
    """
    brightest = np.maximum(rgb.max(axis=0), 1e-6)
    return np.asarray(rgb * (np.interp(brightest, given, wanted) / brightest), np.float32)


@functools.cache
def _tables(curve: str) -> tuple[Floats, Floats, Floats]:
    """Signals, what BT.709 would show of them without a limit, and with the shoulder; all rising."""
    signal = np.linspace(0, 1, _STEPS)
    light = _DECODE[curve](signal)
    knee, most = _bt709(np.array(_KNEE)), float(light.max())
    shown = _bt709(np.clip(light, 0, _KNEE))
    if most > _KNEE:
        # The logarithm continues with the knee's own slope, scaled so that the brightest signal is 1.
        slope = 0.45 * 1.099 * _KNEE**-0.55
        over = np.maximum(light - _KNEE, 0)
        room, reach = 1 - float(knee), most - _KNEE
        rate = _rate(slope * reach / room)
        shown = shown + room * np.log1p(rate * over / reach) / np.log1p(rate)
    last_black = int(np.flatnonzero(shown <= 0)[-1]) if shown[0] <= 0 else 0
    return signal[last_black:], _bt709(np.maximum(light, 0))[last_black:], shown[last_black:]


def _rate(steepness: float) -> float:
    """c with c / ln(1 + c) = steepness: the slope at which ln(1 + c·x) / ln(1 + c) begins."""
    low, high = 1e-6, 1e9
    for _ in range(100):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if middle / np.log1p(middle) < steepness else (low, middle)
    return low


def _bt709(light: Floats) -> Floats:
    """ITU-R BT.709's transfer characteristic."""
    return np.where(light < 0.018, 4.5 * light, 1.099 * np.maximum(light, 1e-9) ** 0.45 - 0.099)
