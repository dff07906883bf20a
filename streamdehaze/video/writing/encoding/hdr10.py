"""HDR10 metadata about the display a video was graded on, read from side data and written for encoders."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import av
from av.sidedata.sidedata import Type as SideDataType

from streamdehaze.video.sidedata import side_data


@dataclass(frozen=True)
class LightLevels:
    """Mastering display colour volume (SMPTE ST 2086) and content light level (CTA-861.3)."""

    primaries: tuple[float, ...] | None = None
    """x and y of red, green, blue and white."""
    luminance: tuple[float, float] | None = None
    """Largest and smallest, in candela a square metre."""
    content: tuple[int, int] | None = None
    """Largest of a pixel and largest average of a picture, in candela a square metre."""

    def __bool__(self) -> bool:
        return self.primaries is not None or self.content is not None

    def encoder_parameters(self, option: str) -> str:
        """The same as parameters, spelled as `option` takes them: x264-params, x265-params or svtav1-params."""
        words = {"x264-params": ("mastering-display", "cll"), "x265-params": ("master-display", "max-cll"),
                 "svtav1-params": ("mastering-display", "content-light")}  # fmt: skip
        display_word, content_word = words[option]
        found = []
        if self.primaries is not None and self.luminance is not None:
            red, green, blue, white = (self.primaries[i : i + 2] for i in (0, 2, 4, 6))
            floats = option == "svtav1-params"  # the others take the integers of the bitstream
            light = "L({:.4f},{:.4f})" if floats else "L({:.0f},{:.0f})"
            point = "{}({:.5f},{:.5f})" if floats else "{}({:.0f},{:.0f})"
            chroma_unit, light_unit = (1, 1) if floats else (50000, 10000)
            volume = "".join(
                point.format(name, *(value * chroma_unit for value in xy))
                for name, xy in (("G", green), ("B", blue), ("R", red), ("WP", white))
            ) + light.format(*(value * light_unit for value in self.luminance))
            found.append(f"{display_word}={volume}")
        if self.content is not None:
            found.append(f"{content_word}={self.content[0]},{self.content[1]}")
        return ":".join(found)


def light_levels(picture: av.VideoFrame) -> LightLevels:
    """The light levels a picture carries; empty for ordinary video."""
    primaries = luminance = content = None
    data = side_data(picture)
    display = data.get(SideDataType.MASTERING_DISPLAY_METADATA)
    if display is not None:
        # struct AVMasteringDisplayMetadata: ten rationals, then two flags that say which of them count
        *numbers, has_primaries, has_luminance = struct.unpack_from("=22i", display[0])
        values = [n / d if d else 0.0 for n, d in zip(numbers[0::2], numbers[1::2], strict=True)]
        primaries = tuple(values[:8]) if has_primaries else None
        luminance = (values[9], values[8]) if has_luminance else None
    light = data.get(SideDataType.CONTENT_LIGHT_LEVEL)
    if light is not None:
        maximum, average = struct.unpack_from("=2I", light[0])
        content = (maximum, average)
    return LightLevels(primaries, luminance, content)
