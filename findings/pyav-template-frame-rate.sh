#!/usr/bin/env bash
# PyAV copies a stream by `add_stream_from_template`. A good guess: the copy has what `ffmpeg -c copy` gives it. The codec's
# parameters it has; the frame rate it has not. So Matroska files get no DefaultDuration, by which players and editors
# know a constant frame rate; ffprobe still prints one, for it measures the time stamps.
# Seen: av 18.0.0 (17.0.1 and 17.1.0 alike) and ffmpeg 5.1 on a 25 fps H.264 file: ffmpeg writes DefaultDuration, 40 ms;
# PyAV's stream has average_rate None, and its file has no such element, though ffprobe says 25/1 of both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --upgrade pip
"$folder/venv/bin/python" -m pip install --quiet av==18.0.0 numpy
cd "$folder"
ffmpeg -v error -f lavfi -i testsrc=size=64x48:rate=25:duration=1 -c:v libx264 -bf 0 in.mp4
ffmpeg -v error -i in.mp4 -c copy ffmpeg.mkv
cat > try.py <<'PYTHON'
import subprocess

import av

with av.open("in.mp4") as source, av.open("pyav.mkv", "w") as target:
    video = source.streams.video[0]
    copy = target.add_stream_from_template(video)
    print(f"av {av.__version__}: average_rate of the source {video.average_rate}, of the copy {copy.average_rate}")
    assert video.average_rate == 25
    assert copy.average_rate is None, "the template's rate is copied now: the finding no longer holds"
    for packet in source.demux(video):
        if packet.dts is not None:
            packet.stream = copy
            target.mux(packet)

DEFAULT_DURATION = bytes.fromhex("23e383")  # Matroska's element of the track entry
found = {}
for name in ("ffmpeg.mkv", "pyav.mkv"):
    with open(name, "rb") as file:
        head = file.read(1024)  # the track entries come first
    found[name] = DEFAULT_DURATION in head
    asked = ["ffprobe", "-v", "error", "-show_entries", "stream=avg_frame_rate", "-of", "csv=p=0", name]
    rate = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    print(f"{name}: DefaultDuration {'present' if found[name] else 'absent'}; ffprobe's average rate {rate}")
assert found == {"ffmpeg.mkv": True, "pyav.mkv": False}, "the finding no longer holds"
PYTHON
"$folder/venv/bin/python" try.py
