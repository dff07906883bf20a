#!/usr/bin/env bash
# An encoder or camera that announces its stream (RTSP ANNOUNCE and RECORD) can be taken without a server: FFmpeg's RTSP
# demuxer listens, with rtsp_flags=listen. A good guess: that flag is all it takes, and listen_timeout is for those who
# do not want to wait without end, which its default of -1 stands for. But the default is refused by the demuxer itself:
# opening fails at once with ERANGE, "Numerical result out of range", which names no option; it is multiplied by 1000 on
# its way to the TCP protocol, whose own listen_timeout takes nothing below -1. With a listen_timeout of one's own,
# pictures come.
# Seen: PyAV 18.1.0 (FFmpeg 8.1.2): ERANGE with the flag alone; 25 announced pictures with listen_timeout=60. FFmpeg
# 5.1.9 waits with the flag alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --upgrade pip
"$folder/venv/bin/python" -m pip install --quiet av==18.1.0 numpy
cat > "$folder/try.py" <<'PYTHON'
import errno
import itertools
import socket
import threading
import time

import av
import numpy as np

PICTURES = 25


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"rtsp://127.0.0.1:{probe.getsockname()[1]}/stream"


def announce(url):
    """Send pictures to whoever listens there, once someone does."""
    for attempt in itertools.count():
        try:
            with av.open(url, "w", format="rtsp", options={"rtsp_transport": "tcp"}) as target:
                stream = target.add_stream("mpeg4", rate=25)
                stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
                for number in range(PICTURES):
                    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * number, np.uint8), format="rgb24")
                    frame.pts = number
                    target.mux(stream.encode(frame))
                target.mux(stream.encode(None))
            return
        except OSError:
            if attempt == 100:
                raise
            time.sleep(0.1)


refused = []


def listen():
    """With the flag alone."""
    try:
        av.open(free_address(), options={"rtsp_flags": "listen"})
    except OverflowError as error:
        refused.append(error)


listener = threading.Thread(target=listen, daemon=True)
listener.start()
listener.join(20)

url = free_address()
sender = threading.Thread(target=announce, args=(url,), daemon=True)
sender.start()
with av.open(url, options={"rtsp_flags": "listen", "listen_timeout": "60"}) as source:
    taken = sum(1 for _ in source.decode(video=0))
print(f"FFmpeg {av.ffmpeg_version_info}: flag alone: {refused and refused[0]}; with listen_timeout: {taken} pictures")
assert taken == PICTURES
if not refused:
    raise SystemExit("FFmpeg listens with the flag alone now: the finding no longer holds")
assert refused[0].errno == errno.ERANGE
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
