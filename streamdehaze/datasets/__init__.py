"""Data sets as they are found on disk: their layouts, pictures and depth, haze made on the fly, targets for real
haze."""

from streamdehaze.datasets.layouts import Layout, Pair, Scene, find_layout, pair_folders

__all__ = ["Layout", "Pair", "Scene", "find_layout", "pair_folders"]
