"""The haze as information: how much of it there is, and what follows from that.

`reading` is what is measured in a frame and `density` measures it. Nothing here dehazes: `streamdehaze.dehaze.Stream`
asks these files while it works. docs/meter.md says what the numbers mean.
"""
