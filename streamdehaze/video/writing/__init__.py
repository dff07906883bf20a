"""Writing videos: encoding, containers, and where their output goes."""
