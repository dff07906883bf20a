"""From packets to pictures: decoders of one thread or several, groups of pictures in turn, deinterlacing."""
