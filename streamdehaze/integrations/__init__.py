"""StreamDehaze inside other programs: a VapourSynth filter and a virtual camera."""
