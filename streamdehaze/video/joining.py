"""Segments become a file: their packets are muxed with all that travels beside the pictures; nothing is encoded."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from streamdehaze.errors import Cancelled, SinkError
from streamdehaze.video.manifest import Manifest, segment_file
from streamdehaze.video.packets import read_packets
from streamdehaze.video.planes import PictureWriter
from streamdehaze.video.pyav import ANY_METADATA
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.writing.choose import Encoding
from streamdehaze.video.writing.encode import Beginning, Output
from streamdehaze.video.writing.nullfile import close_quietly
from streamdehaze.video.writing.passthrough import Passthrough


def join(
    folder: Path,
    manifest: Manifest,
    target: Path,
    beginning: Beginning,
    encoding: Encoding,
    source: FileSource,
    passthrough: Passthrough,
    stop: threading.Event,
) -> None:
    """Mux the segments in `folder` and the packets of the source's other streams into the file `target`.

    Args:
        folder: of the segments.
        manifest: names them.
        target: what is written; it is whole only when this returns.
        beginning: of the video.
        encoding: the encoder they came from; opened once more, for its header.
        source: read once, and not decoded.
        passthrough: of that source.
        stop: once set, the work ends.

    Raises:
        Cancelled: if `stop` is set meanwhile.
        SinkError: if the disk has too little space.
        OSError, ValueError, av.error.FFmpegError: if a segment is damaged or the file cannot be written.
    """
    missing = manifest.size_bytes - shutil.disk_usage(folder).free
    if missing > 0:
        raise SinkError(f"{beginning.name} cannot be joined: its disk needs {missing / 1e6:.0f} MB more of free space")
    container = av.open(f"file:{target}", "w", format=beginning.format, **ANY_METADATA)
    try:
        output = Output(container, beginning, encoding, source, passthrough, PictureWriter())
        delay = beginning.delay * beginning.tick
        reading = source.read_beside()
        reached = next(reading, None)
        for packet in _video_packets(folder, manifest, beginning):
            if stop.is_set():
                raise Cancelled("stopped while the segments were joined")
            while packet.dts is not None and reached is not None and reached + delay <= packet.dts * beginning.tick:
                reached = next(reading, None)
            packet.stream = output.video
            output.mux([packet])
        for _ in reading:
            output.mux([])
        output.mux([])
        container.close()
    except BaseException:
        close_quietly(container)
        raise


def _video_packets(folder: Path, manifest: Manifest, beginning: Beginning) -> Iterator[av.Packet[Any]]:
    """The packets of all segments; decoding times grow over the seams, too."""
    earliest: int | None = None
    for number in range(len(manifest.segments)):
        for packet in read_packets(segment_file(folder, number), beginning.tick):
            if packet.dts is None:
                packet.dts = packet.pts
            if earliest is not None and packet.dts is not None:
                packet.dts = max(packet.dts, earliest)  # the encoder's delay reaches back over the seam
            if packet.dts is not None:
                earliest = packet.dts + 1
            yield packet
