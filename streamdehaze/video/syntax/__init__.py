"""The syntax of containers and codecs, as far as FFmpeg leaves it to others: boxes, packets, tables, units."""
