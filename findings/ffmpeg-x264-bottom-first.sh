#!/usr/bin/env bash
# H.264 says which field of an interlaced picture is shown first in two places: by the order of its fields in the slice
# header (delta_pic_order_cnt_bottom), and in the picture timing message (pic_struct), which televisions and MediaInfo go by.
# A good guess: both follow the frames that FFmpeg gives x264. The first does; the second stays at x264's default, the top
# field, for frames whose bottom field comes first. With x264-params bff=1 both are right. (The likely cause: FFmpeg changes
# x264's b_tff when it hands it the first frame, and x264 sets pic_struct of frames in its lookahead before that applies.)
# Seen: av 18.1.0 (FFmpeg 8.1.2, x264 core 165) and the ffmpeg 5.1.9 of Debian 12: pic_struct 3 (top, bottom) in all
# pictures, delta_pic_order_cnt_bottom -1; with bff=1 pic_struct 4. FFmpeg's decoder goes by the slice headers, so that
# ffprobe -show_frames says top_field_first=0 either way.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --upgrade pip
"$folder/venv/bin/python" -m pip install --quiet av==18.1.0
cd "$folder"
cat > try.py <<'PYTHON'
import re
import subprocess

import av


def encode(name, options):
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_buffer(width=128, height=96, format="yuv420p", time_base="1/25"),
        graph.add("setfield", "mode=bff"),
        graph.add("buffersink"),
    ).configure()
    with av.open(name, "w") as target:
        stream = target.add_stream("libx264", rate=25, options={"flags": "+ildct+ilme", **options})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for number in range(10):
            frame = av.VideoFrame(128, 96, "yuv420p")
            frame.pts = number
            graph.push(frame)
            target.mux(stream.encode(graph.vpull()))
        target.mux(stream.encode(None))


def said(name, field):
    command = ["ffmpeg", "-i", name, "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"]
    traced = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return set(re.findall(rf"\b{field} .*= (-?\d+)", traced))


print(f"av {av.__version__}, FFmpeg {av.ffmpeg_version_info}")
found = {}
for name, options in (("plain.mkv", {}), ("told.mkv", {"x264-params": "bff=1"})):
    encode(name, options)
    found[name] = said(name, "delta_pic_order_cnt_bottom"), said(name, "pic_struct")
    print(f"{name} {options}: delta_pic_order_cnt_bottom {found[name][0]}, pic_struct {found[name][1]}")
assert found["told.mkv"] == ({"-1"}, {"4"}), "the finding no longer holds"
assert found["plain.mkv"] == ({"-1"}, {"3"}), "the finding no longer holds"
PYTHON
"$folder/venv/bin/python" try.py
