#!/usr/bin/env bash
# Raw video is pixels and nothing else, so whatever reads it has to know how they are arranged. A good guess: a container that
# has no name for a pixel format refuses it, as Matroska does, with an exception in Python and an exit status other
# than 0 in the shell. AVI, MOV and NUT are written without either, and read as something else of as many bits a pixel: RGB
# in AVI has red and blue exchanged, 4:2:2 in MOV and P010 in NUT are noise, 4:2:0 in MOV cannot be read at all. FFmpeg logs
# "output file will be unreadable", which PyAV does not show, and for NUT nothing. What does come back are bgr24 in AVI,
# uyvy422 in MOV, yuv420p10le in NUT: the same samples in another order. So read one picture back before writing a film.
# Seen: PyAV 18.1.0 (FFmpeg 8.1.2) and the ffmpeg 5.1.9 of Debian 12.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --upgrade pip
"$folder/venv/bin/python" -m pip install --quiet av==18.1.0 numpy
cd "$folder"
cat > try.py <<'PYTHON'
import av
import numpy as np

orange = np.full((16, 16, 3), (250, 150, 0), np.uint8)


def read_back(path):
    """The pixel format and mean colour that a reader finds; None if it finds no picture."""
    with av.open(path) as file:
        try:
            picture = next(file.decode(video=0))
        except (av.error.FFmpegError, StopIteration):
            return None, None
        return picture.format.name, picture.to_ndarray(format="rgb24").mean((0, 1)).round().astype(int).tolist()


def written_and_read(pixels, container):
    path = f"{pixels}.{container}"
    with av.open(path, "w") as file:
        stream = file.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, pixels
        file.mux(stream.encode(av.VideoFrame.from_ndarray(orange, "rgb24").reformat(format=pixels)))
        file.mux(stream.encode(None))
    return read_back(path)


for container, wrong, right in (
    ("avi", "rgb24", "bgr24"), ("mov", "yuv422p", "uyvy422"), ("mov", "yuv420p", "uyvy422"), ("nut", "p010le", "yuv420p10le"),
):
    found, colour = written_and_read(wrong, container)
    instead, same = written_and_read(right, container)
    print(f"PyAV {av.__version__}, .{container}: {wrong} is read as {found} {colour}, {right} as {instead} {same}")
    assert found != wrong, "the finding no longer holds: it is read as what it is"
    assert colour is None or np.abs(np.subtract(colour, orange[0, 0])).max() > 90
    assert instead == right and np.abs(np.subtract(same, orange[0, 0])).max() < 5
try:
    written_and_read("yuv444p", "mkv")
except av.error.FFmpegError as error:
    print(f"  .mkv refuses yuv444p: {error}")
else:
    raise AssertionError("the finding no longer holds: Matroska takes it")
PYTHON
"$folder/venv/bin/python" try.py
status=0
ffmpeg -v error -y -f lavfi -i color=0xfa9600:s=16x16:r=25:d=0.04 -c:v rawvideo -pix_fmt rgb24 program.avi 2> log || status=$?
found=$(ffprobe -v error -show_entries stream=pix_fmt -of csv=p=0 program.avi)
echo "$(ffmpeg -version | head -n 1 | cut -d' ' -f1-3): exit status $status, rgb24 in .avi is read as $found; its log: $(cat log)"
[ "$status" = 0 ] && [ "$found" = bgr24 ]
