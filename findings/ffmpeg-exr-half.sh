#!/usr/bin/env bash
# FFmpeg's EXR encoder takes 32-bit floats and writes half floats on request (format=half).
# A good guess: it rounds to the nearest half, as NumPy, processors and OpenEXR's own library do. It cuts the bits off:
# light of 1 - 2^-13, whose nearest half is 1, comes back as 0.9995. Every picture loses half a step on average, so a
# chain of programs gets darker. Whoever writes halves through it rounds the floats first.
# Seen: PyAV 18.1.0 (FFmpeg 8.1.2).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --upgrade pip
"$folder/venv/bin/python" -m pip install --quiet av==18.1.0 numpy
cat > "$folder/try.py" <<'PYTHON'
import io

import av
import numpy as np


def through_exr(value):
    """What a picture of one value is after an EXR of half floats."""
    encoder = av.CodecContext.create("exr", "w")
    encoder.width = encoder.height = 16
    encoder.pix_fmt, encoder.time_base, encoder.options = "gbrpf32le", 1, {"format": "half"}
    picture = av.VideoFrame(16, 16, "gbrpf32le")
    for plane in picture.planes:
        np.frombuffer(memoryview(plane), np.float32)[:] = value
    file = io.BytesIO(b"".join(bytes(packet) for packet in encoder.encode(picture)))
    with av.open(file, format="exr_pipe") as container:
        decoded = next(container.decode(video=0))
    assert decoded.format.name == "gbrpf16le", decoded.format.name
    return np.frombuffer(decoded.planes[0], np.float16)[0]


value = np.float32(1 - 2**-13)
rounded = np.float16(value)
print(f"FFmpeg {av.ffmpeg_version_info}: {value:.6f} comes back as {through_exr(value)}, the nearest half is {rounded}")
assert rounded == 1
assert through_exr(np.float32(rounded)) == 1, "a value that is a half stays"
if through_exr(value) == rounded:
    raise SystemExit("FFmpeg rounds now: the finding no longer holds")
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
