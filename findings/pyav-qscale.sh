#!/usr/bin/env bash
# MPEG-2, MPEG-4, Motion JPEG and other old encoders have a constant quality: `ffmpeg -q:v 20`, in libavcodec the flag
# QSCALE and global_quality = 20 * FF_QP2LAMBDA (118). PyAV has both, so a good guess is `context.qscale = True` and
# `context.global_quality = 20`, or 2360 for those who know of FF_QP2LAMBDA. Any number gives the same film, of the best
# quality that qmin (2) allows: the encoders read the quality of each frame, which the program ffmpeg fills in from
# global_quality and PyAV does not; av.VideoFrame has no such attribute. With qscale and the options qmin = qmax = 20 the
# film is about what `-q:v 20` makes.
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

import av
import numpy as np

pictures = [np.random.default_rng(seed).integers(0, 255, (144, 176, 3), np.uint8) for seed in range(5)]


def size(encoder, quality=None, **options):
    with av.open("out.nut", "w") as file:
        stream = file.add_stream(encoder, rate=25, options=options)
        stream.width, stream.height = 176, 144
        stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
        stream.codec_context.qscale = True
        if quality is not None:
            stream.codec_context.global_quality = quality
        packets = []
        for picture in pictures:
            packets += stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=stream.pix_fmt))
        return sum(packet.size for packet in packets + stream.encode(None))


def by_ffmpeg(encoder, quality):
    pixels = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
    command = f"ffmpeg -v error -y -f rawvideo -pix_fmt rgb24 -s 176x144 -r 25 -i - -pix_fmt {pixels} -c:v {encoder}"
    subprocess.run([*command.split(), "-q:v", str(quality), "out.nut"], input=b"".join(p.tobytes() for p in pictures), check=True)
    with av.open("out.nut") as file:
        return sum(packet.size for packet in file.demux() if packet.size)


for encoder in ("mpeg2video", "mpeg4", "mjpeg"):
    by_ffmpegs = [by_ffmpeg(encoder, quality) for quality in (2, 8, 20)]
    plain = [size(encoder, quality) for quality in (2, 8, 20)]
    scaled = [size(encoder, quality * 118) for quality in (2, 8, 20)]
    bounded = [size(encoder, qmin=str(quality), qmax=str(quality)) for quality in (2, 8, 20)]
    print(f"PyAV {av.__version__}, {encoder} at 2, 8 and 20, bytes: ffmpeg -q:v {by_ffmpegs}")
    print(f"  global_quality {plain}, times 118 {scaled}, qmin = qmax {bounded}")
    assert len({*plain, *scaled}) == 1, "the finding no longer holds: the quality makes a difference"
    assert by_ffmpegs[0] > by_ffmpegs[1] > by_ffmpegs[2] and bounded[0] > bounded[1] > bounded[2]
PYTHON
"$folder/venv/bin/python" try.py
