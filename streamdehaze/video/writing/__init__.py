"""Writing videos: codecs, encoders, containers, and where their output goes."""
