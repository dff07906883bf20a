"""Receiving cameras: the connection and its supervisor, and a camera as a source of frames."""
