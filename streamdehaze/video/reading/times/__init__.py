"""Times: those of a file as they are stored, cut and continued; those of a camera as they should be."""
