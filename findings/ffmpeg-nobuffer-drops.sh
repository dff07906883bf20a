#!/usr/bin/env bash
# Who wants little delay from a camera, an SRT sender or a pipe opens it with FFmpeg's `fflags=nobuffer`, as countless
# guides say. The documentation: "Reduce the latency introduced by buffering during initial input streams analysis." A
# good guess: what was analysed is passed on at once. It is thrown away: reading begins after the packets that were
# probed. With H.264 the first of them is the keyframe, so a receiver shows nothing until the next one; a short film in NUT
# gives no packet at all, one in Matroska two thirds, while MPEG-TS, whose probing begins again at the start, loses nothing.
# A smaller probe (probesize=32, analyzeduration=0) does not help: the first packet, the keyframe, is lost all the same.
# Seen: PyAV 18.1.0 (FFmpeg 8.1.2), and ffprobe 5.1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --upgrade pip
"$folder/venv/bin/python" -m pip install --quiet av==18.1.0 numpy
cat > "$folder/try.py" <<'PYTHON'
import sys

import av
import numpy as np

FRAMES = 25
SMALL = {"fflags": "nobuffer", "probesize": "32", "analyzeduration": "0"}


def write(path):
    with av.open(path, "w") as target:
        stream = target.add_stream("libx264", rate=25, options={"tune": "zerolatency", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 9 * number, np.uint8), format="rgb24")
            frame.pts = number
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


def read(path, options):
    """Packets, and whether the first is a keyframe."""
    with av.open(path, options=options) as source:
        packets = [packet for packet in source.demux(video=0) if packet.size]
    return len(packets), bool(packets) and packets[0].is_keyframe


found = {}
for kind in ("nut", "mkv", "ts"):
    path = f"{sys.argv[1]}/film.{kind}"
    write(path)
    found[kind] = [read(path, options) for options in ({}, {"fflags": "nobuffer"}, SMALL)]
    print(kind, *(f"{count} packets, keyframe first: {first}" for count, first in found[kind]), sep="; ")
print("FFmpeg", av.ffmpeg_version_info)
assert all(plain == (FRAMES, True) for plain, _, _ in found.values())
if found["nut"][1][0] == FRAMES or found["mkv"][1][0] == FRAMES:
    raise SystemExit("nobuffer keeps what was probed now: the finding no longer holds")
assert found["ts"][1] == (FRAMES, True)
assert found["nut"][2] == (FRAMES - 1, False)
PYTHON
"$folder/venv/bin/python" "$folder/try.py" "$folder"
