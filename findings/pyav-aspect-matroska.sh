#!/usr/bin/env bash
# Anamorphic video has pixels that are not square. In PyAV one sets `sample_aspect_ratio` of the encoder's context, and MP4
# files get it with any codec. A good guess: so do Matroska and WebM, which have a place for it (DisplayWidth, DisplayHeight)
# and get it from `ffmpeg`. They get none from VP8, VP9, AV1, FFV1 and ProRes, and players show the film too narrow:
# FFmpeg's Matroska muxer asks the stream and not its codec parameters, and PyAV sets only those. `stream.sample_aspect_ratio`
# can be assigned, without an error and without effect. H.264 and MPEG-4 come out right, as their own headers have it, so that
# a test with libx264 shows nothing.
# Seen: PyAV 18.1.0 (FFmpeg 8.1.2) and ffmpeg 5.1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --upgrade pip
"$folder/venv/bin/python" -m pip install --quiet av==18.1.0 numpy
cd "$folder"
cat > try.py <<'PYTHON'
import subprocess
from fractions import Fraction

import av
import numpy as np

WANTED = Fraction(64, 45)


def shown(path):
    with av.open(path) as file:
        return file.streams.video[0].sample_aspect_ratio


def write(path, encoder, pixels):
    with av.open(path, "w") as file:
        stream = file.add_stream(encoder, rate=25)
        stream.width, stream.height, stream.pix_fmt = 720, 576, pixels
        stream.codec_context.sample_aspect_ratio = WANTED
        stream.sample_aspect_ratio = WANTED
        for _ in range(3):
            picture = av.VideoFrame.from_ndarray(np.zeros((576, 720, 3), np.uint8), "rgb24")
            file.mux(stream.encode(picture.reformat(format=pixels)))
        file.mux(stream.encode(None))
    return shown(path)


found = {}
for encoder, pixels, names in (
    ("libx264", "yuv420p", "mp4 mkv"),
    ("libvpx-vp9", "yuv420p", "mp4 mkv webm"),
    ("libsvtav1", "yuv420p", "mp4 mkv webm"),
    ("libvpx", "yuv420p", "mkv webm"),
    ("ffv1", "yuv420p", "mkv"),
    ("prores_ks", "yuv422p10le", "mov mkv"),
):
    for name in names.split():
        found[encoder, name] = write(f"{encoder}.{name}", encoder, pixels)
        print(f"PyAV {av.__version__}: {encoder} in .{name}: {found[encoder, name]}")
subprocess.run(["ffmpeg", "-v", "error", "-i", "libvpx-vp9.mp4", "-c", "copy", "copied.mkv"], check=True)
print("the VP9 of the .mp4, copied by ffmpeg into .mkv:", shown("copied.mkv"))
right = {key for key, ratio in found.items() if ratio == WANTED}
assert right == {("libx264", "mp4"), ("libx264", "mkv"), ("libvpx-vp9", "mp4"), ("libsvtav1", "mp4"), ("prores_ks", "mov")}, (
    "the finding no longer holds"
)
assert shown("copied.mkv") == WANTED
PYTHON
"$folder/venv/bin/python" try.py
