"""Rooms and towns with exact depth, rendered from a seed, to learn haze from; only `data render` imports them."""
