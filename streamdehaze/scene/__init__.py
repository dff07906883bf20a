"""A rendered street whose clear truth, fog, distances and optical flow are exactly known.

For tests, the demo, and measures of steadiness over time. With `frame = scene.render(i)` and any pictures `now` and
`following` made from frames i and i + 1, what flickers is `now - warped` where `~frame.occluded`:

    y, x = np.mgrid[: scene.height, : scene.width].astype(np.float32)
    warped = cv2.remap(following, x + frame.flow[..., 0], y + frame.flow[..., 1], cv2.INTER_LINEAR)

The clear truth itself differs by about 0.006 on average (of full scale, at 640 × 360), from resampling alone. At
depth edges `cv2.remap` mixes two surfaces, so leave out a margin of a pixel around them and around occlusions.
"""

from streamdehaze.scene.clip import write_clip
from streamdehaze.scene.fog import Fog
from streamdehaze.scene.scene import SceneFrame, StreetScene

__all__ = ["Fog", "SceneFrame", "StreetScene", "write_clip"]
