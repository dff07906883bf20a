"""Opens every file of a data set, so that damage shows before a night of training."""

from __future__ import annotations

from collections.abc import Iterator

from streamdehaze.datasets.layouts import Layout
from streamdehaze.datasets.pairs import read_pair, read_scene
from streamdehaze.errors import SourceError


def unreadable(layout: Layout) -> Iterator[str]:
    """One sentence for each file that is damaged, or whose size or shape differs from its partner's."""
    for pair in layout.pairs:
        try:
            read_pair(pair)
        except SourceError as error:
            yield str(error)
    for scene in layout.scenes:
        try:
            read_scene(scene)
        except SourceError as error:
            yield str(error)
