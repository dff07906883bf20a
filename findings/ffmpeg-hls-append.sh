#!/usr/bin/env bash
# A live stream is sent as HLS with hls_flags=delete_segments+append_list: old segments go, and a stream that broke off is
# continued in its playlist. A good guess: the folder stays at the same size, however often the stream breaks off. Each time
# one segment stays forever. FFmpeg keeps hls_delete_threshold segments (1 by default) more than the playlist names, for
# players that are late, and remembers them in memory; the next run knows only the segments that the playlist names. A
# camera that reconnects every minute leaves an hour of video a day (segments of 2 s). The threshold cannot be 0; so whoever
# continues a playlist has to delete what it does not name.
# Seen: PyAV 18.1.0 (FFmpeg 8.1.2) and ffmpeg 5.1: eight runs leave eight segments that the playlist does not name.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --upgrade pip
"$folder/venv/bin/python" -m pip install --quiet av==18.1.0 numpy
cd "$folder"
cat > try.py <<'PYTHON'
import subprocess
from pathlib import Path

import av
import numpy as np

OPTIONS = {"hls_time": "1", "hls_list_size": "3", "hls_flags": "delete_segments+append_list"}
RUNS = 8


def by_pyav(folder):
    with av.open(str(folder / "index.m3u8"), "w", options=OPTIONS) as file:
        stream = file.add_stream("libx264", rate=10, options={"g": "10", "tune": "zerolatency"})
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for number in range(80):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number, np.uint8), "rgb24")
            picture.pts = number
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))


def by_ffmpeg(folder):
    options = [word for key, value in OPTIONS.items() for word in (f"-{key}", value)]
    source = ["-f", "lavfi", "-i", "color=s=64x64:r=10:d=8", "-c:v", "libx264", "-g", "10"]
    subprocess.run(["ffmpeg", "-v", "error", *source, *options, folder / "index.m3u8"], check=True)


print("PyAV", av.__version__, "and", subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True).stdout.split(" Copy")[0])
for write in (by_pyav, by_ffmpeg):
    folder = Path(write.__name__)
    folder.mkdir()
    left = []
    for _ in range(RUNS):
        write(folder)
        named = set((folder / "index.m3u8").read_text().split())
        left.append(len([path for path in folder.glob("*.ts") if path.name not in named]))
    print(f"{write.__name__}: segments that the playlist does not name, after each run: {left}")
    assert left == list(range(1, RUNS + 1)), "the finding no longer holds"
PYTHON
"$folder/venv/bin/python" try.py
