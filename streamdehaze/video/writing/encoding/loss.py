"""What a conversion from one pixel format to another loses."""

from __future__ import annotations

from enum import IntFlag

from av.codec.codec import find_best_pix_fmt_of_list


class Loss(IntFlag):
    """FFmpeg's FF_LOSS_* flags (libavutil/pixdesc.h)."""

    NONE = 0
    RESOLUTION = 1
    """Chroma resolution."""
    DEPTH = 2
    COLORSPACE = 4
    """RGB becomes YUV or the other way round."""
    ALPHA = 8
    COLORQUANT = 16
    """Few colours are left: a palette."""
    CHROMA = 32
    """All of it: gray is left."""


def conversion_loss(before: str, after: str) -> Loss:
    """What a picture in FFmpeg's pixel format `before` loses when it is converted to `after`."""
    if before.replace("yuvj", "yuv") == after.replace("yuvj", "yuv"):
        return Loss.NONE
    _, loss = find_best_pix_fmt_of_list([after], before, has_alpha=True)
    return Loss(int(loss))
