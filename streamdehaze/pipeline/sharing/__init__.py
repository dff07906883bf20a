"""Long videos on many processes and machines: who makes which segment, and a Ray cluster as one that does."""
