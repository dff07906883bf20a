"""Frames in: files, pipes, devices and cameras, read and decoded the same way."""
