#!/usr/bin/env bash
# Animations often end in a pause: the last picture of a GIF stands for two seconds, then it starts over. A good guess:
# FFmpeg keeps that when it makes an APNG of it, as both formats state how long each picture is shown, the decoder reads
# it, and the packets that are written have the right duration. All pictures but the last are shown as long as
# before; the last one as long as the one before it. FFmpeg's APNG muxer takes times from the distance to the next packet,
# and at the end repeats the last distance; the packet's own duration it does not look at, as its GIF muxer does. Only
# its option final_delay sets it, which has to be known before the first picture. A stream copy (-c copy) keeps the pause.
# Seen: PyAV 18.1.0 (FFmpeg 8.1.2), read back by Pillow 13.0.0: 100, 300, 2000 ms of a GIF are 100, 300, 300 ms in the
# APNG, and 100, 300, 2000 ms in a GIF made the same way; with final_delay=2 the APNG has them, too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --upgrade pip
"$folder/venv/bin/python" -m pip install --quiet av==18.1.0 numpy pillow==13.0.0
cat > "$folder/try.py" <<'PYTHON'
import io

import av
import numpy as np
from PIL import Image

SHOWN = [100, 300, 2000]  # milliseconds


def shown(file):
    """Milliseconds of each picture, as Pillow reads them."""
    file.seek(0)
    with Image.open(file) as animation:
        durations = []
        for number in range(animation.n_frames):
            animation.seek(number)
            durations.append(round(animation.info["duration"]))
    return durations


def made_again(animation, kind, pixels, **options):
    """The animation decoded and encoded again by FFmpeg's libraries, each packet with its picture's duration."""
    file = io.BytesIO()
    animation.seek(0)
    with av.open(animation, format="gif") as source, av.open(file, "w", format=kind, options=options) as target:
        video = source.streams.video[0]
        stream = target.add_stream(kind, rate=100)
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, pixels
        stream.time_base = stream.codec_context.time_base = video.time_base
        last = {}
        for frame in [*source.decode(video), None]:
            if frame is not None:
                last[frame.pts] = frame.duration
                frame = frame.reformat(format=pixels)
            for packet in stream.encode(frame):
                packet.duration = last[packet.pts]
                target.mux(packet)
        assert [duration * video.time_base * 1000 for duration in last.values()] == SHOWN, "FFmpeg reads them"
    return shown(file)


pictures = [Image.fromarray(np.full((24, 32, 3), level, np.uint8)) for level in (0, 90, 180)]
gif = io.BytesIO()
pictures[0].save(gif, "GIF", save_all=True, append_images=pictures[1:], duration=SHOWN, loop=0)
assert shown(gif) == SHOWN

again, apng = made_again(gif, "gif", "rgb8"), made_again(gif, "apng", "rgb24")
asked = made_again(gif, "apng", "rgb24", final_delay="2")
print(f"FFmpeg {av.ffmpeg_version_info}: GIF {SHOWN} ms; again a GIF {again}; an APNG {apng}; with final_delay {asked}")
assert again == asked == SHOWN
if apng == SHOWN:
    raise SystemExit("FFmpeg keeps the last duration now: the finding no longer holds")
assert apng == [100, 300, 300]
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
