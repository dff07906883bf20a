"""What GIF and APNG files say of a whole animation: FFmpeg reads it, but does not pass it on."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

ANIMATIONS = frozenset({"gif", "apng"})
"""FFmpeg's formats of such files."""
_FOREVER = 0
_MOST = 0xFFFF
_PNG = b"\x89PNG\r\n\x1a\n"
_GIFS = (b"GIF87a", b"GIF89a")
_EXTENSION, _APPLICATION, _LOOP = 0x21, 0xFF, 1
"""Signs of GIF89a, sections 24 and 26, and of Netscape's block in it."""
_LOOPING = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


@dataclass(frozen=True)
class Animation:
    """How an animation is played."""

    plays: int
    """How often, 0 for without end."""
    last_seconds: Fraction | None = None
    """How long an APNG shows its last picture; FFmpeg writes of GIF what it reads."""

    @classmethod
    def of(cls, path: str | os.PathLike[str] | None) -> Animation | None:
        """That of a file; None if it is not one, cannot be read, or there is no file."""
        if path is None:
            return None
        try:
            with Path(path).open("rb") as file:
                signature = file.read(len(_PNG))
                if signature == _PNG:
                    return _of_png(file)
                if signature[:6] in _GIFS:
                    file.seek(0)
                    return cls(_plays_of_gif(io.BytesIO(file.read(1 << 16))))
        except (OSError, IndexError):
            return None
        return None

    def options(self, container_format: str, *, whole: bool) -> dict[str, str]:
        """FFmpeg's options with which a GIF or APNG file is played alike; none for other formats.

        Args:
            container_format: FFmpeg's name.
            whole: the last picture is the last one of this animation.
        """
        if container_format == "gif":
            return {"loop": str({_FOREVER: _FOREVER, 1: -1}.get(self.plays, min(self.plays - 1, _MOST)))}
        if container_format == "apng":
            last = {"final_delay": str(self.last_seconds)} if self.last_seconds is not None and whole else {}
            return {"plays": str(min(self.plays, _MOST)), **last}
        return {}


def _of_png(file: BinaryIO) -> Animation | None:
    """By the chunks acTL and fcTL of PNG's third edition, sections 11.3.6.1 and 11.3.6.2."""
    plays, last = None, None
    while len(head := file.read(8)) == 8:
        after = file.tell() + int.from_bytes(head[:4], "big") + 4  # and a checksum
        if head[4:] == b"acTL":
            plays = int.from_bytes(file.read(8)[4:], "big")
        elif head[4:] == b"fcTL":
            delay = file.read(24)[20:]
            last = Fraction(int.from_bytes(delay[:2], "big"), int.from_bytes(delay[2:], "big") or 100)
        file.seek(after)
    return None if plays is None else Animation(plays, last)


def _plays_of_gif(file: BinaryIO) -> int:
    flags = file.read(13)[10]
    if flags & 0x80:
        file.seek(3 << (flags & 7) + 1, os.SEEK_CUR)  # the palette
    while (sign := file.read(2)) and sign[0] == _EXTENSION:
        blocks = []
        while size := file.read(1)[0]:
            blocks.append(file.read(size))
        if sign[1] == _APPLICATION and blocks[0] in _LOOPING and blocks[1][0] == _LOOP:
            repeats = int.from_bytes(blocks[1][1:3], "little")
            return repeats + 1 if repeats else _FOREVER
    return 1
