"""StreamDehaze inside other programs: a VapourSynth filter, a GStreamer element, a virtual camera."""
