#!/usr/bin/env bash
# FFmpeg's MP4 muxer takes AAC of MPEG-TS (ADTS) without the filter aac_adtstoasc: for some years it has put that in by
# itself, and remuxing .ts to .mp4 just works. So it does in fragmented files (`frag_keyframe`), until `empty_moov` or
# `delay_moov` is among the movflags, which recorders set to be safe from power cuts and which fMP4 for HLS and
# browsers needs: the first packet of sound is then refused with EPERM, in Python a PermissionError that names the file,
# which may well be written to. FFmpeg's own programs fail alike. The filter has to be named there.
# Seen: PyAV 18.1.0, and the programs of FFmpeg 5.1.9 and 9.0.2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --upgrade pip
"$folder/venv/bin/python" -m pip install --quiet av==18.1.0 numpy
cat > "$folder/try.py" <<'PYTHON'
import av
import numpy as np


def film():
    """Two seconds of H.264 and AAC in a transport stream."""
    with av.open("film.ts", "w") as output:
        video, sound = output.add_stream("libx264", rate=25), output.add_stream("aac", rate=48000, layout="mono")
        video.width, video.height, video.pix_fmt, video.gop_size = 64, 48, "yuv420p", 5
        packets = []
        for number in range(50):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8))
            packets += video.encode(picture)
        for number in range(93):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 48000, 1024 * number
            packets += sound.encode(frame)
        for packet in sorted([*packets, *video.encode(), *sound.encode()], key=lambda p: p.dts * p.time_base):
            output.mux(packet)


def remux(movflags):
    """None, or why the film could not be written as MP4."""
    try:
        with av.open("film.ts") as source, av.open("film.mp4", "w", options={"movflags": movflags}) as output:
            streams = {each.index: output.add_stream_from_template(each) for each in source.streams}
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream.index]
                    output.mux(packet)
    except PermissionError as error:
        return error
    return None


film()
print(f"PyAV {av.__version__}, libavformat {'.'.join(map(str, av.library_versions['libavformat']))}")
refused = {}
for movflags in ("faststart", "frag_keyframe", "frag_keyframe+empty_moov", "frag_keyframe+delay_moov"):
    refused[movflags] = remux(movflags)
    print(f"movflags {movflags}: {refused[movflags]!r}")
assert refused["faststart"] is None
assert refused["frag_keyframe"] is None
if refused["frag_keyframe+empty_moov"] is None:
    raise SystemExit("it takes ADTS with empty_moov now: the finding no longer holds")
PYTHON
cd "$folder"
"$folder/venv/bin/python" try.py
