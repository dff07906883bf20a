"""Commands that measure the haze and dehaze nothing."""
