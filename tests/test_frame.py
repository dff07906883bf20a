"""What is assumed about a frame that does not say."""

from __future__ import annotations

import pytest

from streamdehaze.frame import ColorSpec, PixelFormat

BT601, BT709 = 6, 1
"""Matrix coefficients as ITU-T H.273 numbers them."""


@pytest.mark.parametrize(("height", "matrix"), [(480, BT601), (576, BT601), (577, BT709), (720, BT709)])
def test_an_untagged_video_is_bt601_up_to_576_lines_and_bt709_above(height: int, matrix: int) -> None:
    layout = PixelFormat.parse("yuv420p")
    assert ColorSpec().resolved(layout, height) == ColorSpec(matrix=matrix, full_range=False)
    assert ColorSpec(matrix=BT709).resolved(layout, 480).matrix == BT709, "a tag is not a guess"
