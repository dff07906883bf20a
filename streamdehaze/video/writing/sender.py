"""Run as a program: sends a stream of packets from standard input on to a server. Needs nothing but PyAV.

FFmpeg waits for a server's answer while PyAV holds Python's lock, without a limit in the case of RTMP: in the process
of the cameras, a silent server would stop them all. Here it stops only this program, which an alarm ends.

Standard input begins with a line of JSON: place, format and options, as for FFmpeg, and silence_seconds. NUT follows.
Standard error has the line "ready" once the server has answered. A failure is a line of JSON there: the name of PyAV's
exception, its number and its text.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import av

_INPUT = {"fflags": "noparse+nofillin", "probesize": "32", "analyzeduration": "0"}
"""Nothing is waited for. ("nobuffer" would drop what FFmpeg looks at first: the keyframe.)"""


def main() -> int:
    """Serve one stream; 1 if it fails."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the end of standard input is the end
    request = json.loads(_line())
    try:
        _send(request)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        code = getattr(error, "errno", None) or 0
        print(json.dumps([type(error).__name__, code, str(error)]), file=sys.stderr, flush=True)
        return 1
    return 0


def _line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        if not (byte := os.read(0, 1)):  # one by one, for FFmpeg reads what follows
            raise SystemExit(1)
        line += byte
    return line


def _send(request: dict[str, Any]) -> None:
    silence = request["silence_seconds"]
    with av.open("pipe:0", format="nut", container_options=_INPUT) as packets:
        signal.setitimer(signal.ITIMER_REAL, silence)
        output = av.open(request["place"], "w", format=request["format"], container_options=request["options"])
        copies = [output.add_stream_from_template(stream, opaque=True) for stream in packets.streams]
        for copy in copies:
            _name_layout(copy)
        output.start_encoding()
        print("ready", file=sys.stderr, flush=True)
        for packet in packets.demux():
            if packet.pts is None:
                continue
            packet.dts = packet.pts  # NUT keeps only these, and there are no B-frames
            signal.setitimer(signal.ITIMER_REAL, silence)
            packet.stream = copies[packet.stream_index]
            output.mux_one(packet)
            signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_REAL, silence)
        output.close()


def _name_layout(stream: Any) -> None:
    """Say which order the channels of sound have: NUT only says how many there are.

    FFmpeg 8 would announce sound of an unnamed order to RTMP servers in a way that most do not know, and abort where it
    has no way for the codec.
    """
    if stream.type == "audio" and stream.codec_context is not None:
        name = {1: "mono", 2: "stereo"}.get(stream.codec_context.layout.nb_channels)
        if name is not None:
            stream.codec_context.layout = name


if __name__ == "__main__":
    sys.exit(main())
