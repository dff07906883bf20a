"""Opens every file of a data set, so that damage shows before a night of training."""

from __future__ import annotations

from collections.abc import Iterator

from streamdehaze.errors import SourceError
from streamdehaze.training.layouts import Layout
from streamdehaze.training.pairs import read_pair
from streamdehaze.training.picture import read_depth, read_picture


def unreadable(layout: Layout) -> Iterator[str]:
    """One sentence for each file that is damaged, or whose size differs from its partner's."""
    for pair in layout.pairs:
        try:
            read_pair(pair)
        except SourceError as error:
            yield str(error)
    for scene in layout.scenes:
        try:
            picture, depth = read_picture(scene.clear), read_depth(scene.depth)
        except SourceError as error:
            yield str(error)
            continue
        # A depth map of another size is enlarged; one of another shape belongs to another picture.
        aspects = picture.shape[1] * depth.shape[0], picture.shape[0] * depth.shape[1]
        if max(aspects) > 1.02 * min(aspects):
            yield (
                f"shapes differ: {scene.clear} is {picture.shape[1]}x{picture.shape[0]}, "
                f"{scene.depth} is {depth.shape[1]}x{depth.shape[0]}"
            )
