"""StreamDehaze makes hazy video clear."""
