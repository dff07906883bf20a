#!/usr/bin/env bash
# A raw H.264, HEVC or MPEG-2 stream states its frame rate in its headers, so a stream's average rate should be that.
# FFmpeg's readers of such files report 25, whatever the headers say: PyAV's `average_rate`, and OpenCV's CAP_PROP_FPS
# with a frame count below 0. What the headers say is in `guessed_rate` alone. The pictures of H.264 and HEVC have no
# times; a film made of them at the average rate is 1.67 times too short for 15 fps, and twice too long for 50.
# Seen: PyAV 18.1.0 (FFmpeg 8.1.2), OpenCV 5.0.0.93.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --upgrade pip
"$folder/venv/bin/python" -m pip install --quiet av==18.1.0 numpy opencv-python-headless==5.0.0.93
cat > "$folder/try.py" <<'PYTHON'
import sys

import av
import cv2
import numpy as np

wrong = 0
for encoder, container, options in (
    ("libx264", "h264", {}),
    ("libx265", "hevc", {"x265-params": "log-level=none"}),
    ("mpeg2video", "mpeg2video", {}),
):
    for rate in (30, 50):
        path = f"{sys.argv[1]}/{rate}.{container}"
        with av.open(path, "w", format=container) as output:
            stream = output.add_stream(encoder, rate=rate, options=options)
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            for level in range(0, 250, 10):
                picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), level, np.uint8), format="rgb24")
                output.mux(stream.encode(picture))
            output.mux(stream.encode(None))
        with av.open(path) as written:
            video = written.streams.video[0]
            average, guessed = video.average_rate, video.guessed_rate
        capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
        fps, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        print(f"{container} at {rate}: average {average}, guessed {guessed}; OpenCV {fps:g} fps, {count:g} frames of 25")
        assert guessed == rate
        wrong += average == 25 and fps == 25 and count < 0
print(f"PyAV {av.__version__}, OpenCV {cv2.__version__}")
if wrong < 6:
    raise SystemExit("a rate is as the header says now: the finding no longer holds in full")
PYTHON
"$folder/venv/bin/python" "$folder/try.py" "$folder"
