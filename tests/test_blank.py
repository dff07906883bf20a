"""Title cards and other blank pictures stay as they are, and what is seen through fog and smoke is none of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from doubles import EngineDouble
from streamdehaze import Dehazer
from streamdehaze.dehaze.atmosphere.blank import share_of_scene
from streamdehaze.scene import Fog, StreetScene
from streamdehaze.scene.clip import to_bytes

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("level", [0, 20, 32, 64, 96, 128, 200, 255])
@pytest.mark.parametrize("text", ["", "Chapter 1"])
def test_title_cards_stay_as_they_are(level: int, text: str) -> None:
    card = np.full((180, 320, 3), level, np.uint8)
    cv2.putText(card, text, (20, 100), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (255, 255, 255) if level < 200 else (0, 0, 0), 3)
    assert np.array_equal(Dehazer(engine=EngineDouble())(card), card)


@pytest.mark.parametrize("brightness", [0.26, 0.85])
def test_a_street_in_dense_smoke_or_fog_is_a_scene(brightness: float) -> None:
    street = StreetScene(320, 180, frames=2, seed=5).render(0)
    hazy = to_bytes(Fog(30, (brightness,) * 3).apply(street.clear, street.depth_metres))
    assert share_of_scene(np.ascontiguousarray(hazy.transpose(2, 0, 1), np.float32) / np.float32(255)) == 1
