"""A video file written in segments that outlive the process, and joined when the last one is there."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import av.error
from filelock import FileLock
from filelock import Timeout as LockTimeout

from streamdehaze.durable import sync_file, sync_folder
from streamdehaze.errors import SinkError, SourceError, StreamDehazeError
from streamdehaze.frame import Frame
from streamdehaze.video.cut import Cut, segment_length
from streamdehaze.video.joining import join
from streamdehaze.video.kept import part_folder, sweep
from streamdehaze.video.manifest import (
    MANIFEST,
    Identity,
    Manifest,
    Segment,
    plain,
    read_cut,
    read_manifest,
    segment_file,
    whole_segments,
    write_manifest,
    write_state,
)
from streamdehaze.video.packets import PacketFile
from streamdehaze.video.planes import PictureWriter
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.writing.choose import EncodeOptions, grid_rate
from streamdehaze.video.writing.codecs import ONE_ENCODER_RUN
from streamdehaze.video.writing.encode import Beginning, Output
from streamdehaze.video.writing.file import encoding_for
from streamdehaze.video.writing.nullfile import close_quietly, trial_container
from streamdehaze.video.writing.passthrough import Passthrough, describe
from streamdehaze.video.writing.target import Target

log = logging.getLogger("streamdehaze")

SEGMENT_SECONDS = 30.0
"""Of video, at least; a file that is not longer is written in one go."""


def worth_segments(
    path: str | os.PathLike[str], source: FileSource, container: str | None, segment_seconds: float
) -> bool:
    """Whether an output is written in segments: a file made of a file that is longer than one of them."""
    if not segment_seconds or os.fspath(path) == "-" or source.path is None or not os.path.isfile(source.path):
        return False
    if os.path.exists(path) and not os.path.isfile(path):
        return False
    if container in ONE_ENCODER_RUN or Path(path).suffix.lower() in (".gif", ".apng", ".y4m"):
        return False
    seconds = source.info.duration_seconds
    return seconds is None or seconds > segment_seconds or part_folder(path).exists()


class SegmentFileSink:
    """Encodes a long video in segments, each by an encoder run of its own, into the folder NAME.part.

    Once all are there, they are joined without encoding anything again: their packets are muxed with the source's
    other streams, chapters and attachments, and the file gets its final name.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        source: FileSource,
        *,
        encode: EncodeOptions | None = None,
        overwrite: bool = False,
        container: str | None = None,
        seconds: float = SEGMENT_SECONDS,
        resume: bool = True,
        stop: threading.Event | None = None,
    ) -> None:
        """Get ready to write `path`; `take_up` comes first, then the frames.

        Args:
            path: the file to write; its ending chooses the container.
            source: the file the frames come from; all its other streams are copied.
            encode: the encoder and its settings.
            overwrite: replace a file that is there already.
            container: FFmpeg's name of the container format, where the ending of `path` shall not decide.
            seconds: of video in a segment, at least.
            resume: go on with what an earlier run left; else that is removed.
            stop: once set, joining ends with `Cancelled`.

        Raises:
            SinkError: if the file cannot be written there or no encoder fits; before any work is done.
        """
        sweep(path)
        self._target = Target.of(path, container, overwrite, source.path)
        self.folder = part_folder(path)
        self._source = source
        self._rate = grid_rate(source.info.average_rate)
        self._encoding = encoding_for(source, self._target, encode)
        self._length = segment_length(seconds, source.info.average_rate)
        self._resume = resume
        self._stop = stop or threading.Event()
        self._writer = PictureWriter()
        self._beside = source.reopen()
        self._passthrough = Passthrough(self._beside, self._target.format)
        self.dropped: list[str] = [describe(stream) for stream in self._passthrough.refused]
        """What the target container refused, in words."""
        self._lock: FileLock | None = None
        self._is_ours = False  # the folder
        self._manifest: Manifest | None = None
        self._beginning: Beginning | None = None
        self._output: Output | None = None
        self._packets: PacketFile | None = None
        self._count = self._first_pts = 0
        self._finished = False

    @property
    def length(self) -> int:
        """Frames of a segment, at least."""
        return self._length

    @property
    def frames(self) -> int:
        """Frames written so far, by earlier runs too."""
        return (self._manifest.frames if self._manifest is not None else 0) + self._count

    @property
    def ended(self) -> bool:
        """Whether an earlier run finished the last frame, and only the joining is left."""
        return self._manifest is not None and self._manifest.ended

    def take_up(self, settings: Mapping[str, Any]) -> Cut | None:
        """Begin the work, or go on with what an earlier run left: the cut behind which the next frame is wanted.

        Args:
            settings: all that decides what the frames look like, as plain values.

        Raises:
            SinkError: if the folder cannot be used, another run does, or it holds work on another input or with
                other settings.
        """
        with self._or_kept():
            self._take_folder()
            assert self._source.path is not None
            encoding = self._encoding
            fresh = Manifest(
                input=os.fsencode(os.path.abspath(self._source.path)).decode(errors="replace"),
                identity=self._identity(),
                settings=plain(
                    {
                        **settings,
                        **self._source.options,
                        "container": self._target.format,
                        "encoder": encoding.encoder.name,
                        "pixel_format": encoding.pixel_format,
                        "encoder_options": dict(encoding.options),
                        "segment_frames": self._length,
                    }
                ),
            )
            found = read_manifest(self.folder) if self._resume else None
            kept: tuple[Segment, ...] = ()
            if found is not None and found.segments:
                if differences := found.differences(fresh):
                    raise SinkError(
                        f"'{self.folder}' holds {found.frames} frames of unfinished work, but "
                        f"{'; '.join(differences)}: run it as before to go on, or with --no-resume to begin anew"
                    )
                kept = whole_segments(self.folder, found)
            manifest = fresh.model_copy(update={"segments": kept})
            self._remove_strays(len(kept))
            write_manifest(self.folder, manifest)
            self._manifest = manifest
            if not kept:
                return None
            log.warning("%s: going on after %d frames of an earlier run", self._target.name, manifest.frames)
            end = kept[-1].end
            if end is None:
                return Cut(manifest.frames, None, "")
            return read_cut(self.folder, len(kept) - 1, end)

    def write(self, frame: Frame) -> None:
        """Encode the next frame in presentation order.

        Raises:
            SinkError: if the encoder or the file system refuses it; finished segments are kept.
        """
        with self._or_kept():
            if self._output is None or self._packets is None:
                self._output, self._packets = self._begin_segment()
            self._packets.write(self._output.encode(self._writer.picture(frame)))
            if self._count == 0:
                assert self._output.last_pts is not None
                self._first_pts = self._output.last_pts
            self._count += 1

    def cut(self, cut: Cut) -> None:
        """End the segment; what came before is safe from now on.

        Raises:
            SinkError: if it cannot be written.
        """
        with self._or_kept():
            self._finish_segment(cut)

    def close(self) -> None:
        """Finish the last segment, join them all and give the file its final name.

        Raises:
            Cancelled: if the stop event is set while they are joined.
            SinkError: if no frame was written, or the end could not be written.
        """
        if self._finished:
            return
        with self._or_kept():
            if self._count:
                self._finish_segment(None)
            if self._manifest is None or not self._manifest.segments:
                raise SinkError(f"no frame reached {self._target.name}, so it was not written")
            if not self._manifest.identity.same_content(self._identity()):
                raise SourceError(
                    f"'{self._source.path}' changed while it was worked on; once it stays as it is, begin anew with "
                    "--no-resume"
                )
            joined = self._joined
            beginning = self._first_picture()
            join(
                self.folder, self._manifest, joined, beginning, self._encoding, self._beside, self._passthrough,
                self._stop,
            )  # fmt: skip
            sync_file(joined)
            write_manifest(self.folder, self._manifest.model_copy(update={"published": Identity.of(joined)}))
            assert self._target.path is not None
            os.replace(joined, self._target.path)
            sync_folder(self._target.path.parent)
            self._finished = True
            self._let_go()
            shutil.rmtree(self.folder, ignore_errors=True)

    def abort(self) -> None:
        """Stop: finished segments are kept for another run, the rest is removed."""
        if self._finished:
            return
        self._finished = True
        if self._output is not None:
            close_quietly(self._output.container)
        with contextlib.suppress(OSError):
            if self._packets is not None:
                self._packets.abort()
            self._joined.unlink(missing_ok=True)
        self._let_go()
        with contextlib.suppress(OSError):
            begun = (self.folder / MANIFEST).exists() if self._manifest is None else bool(self._manifest.segments)
            if self._is_ours and not begun:
                shutil.rmtree(self.folder)

    def __enter__(self) -> SegmentFileSink:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    @property
    def _joined(self) -> Path:
        assert self._target.path is not None
        return self.folder / f"joined.part{self._target.path.suffix}"

    @contextlib.contextmanager
    def _or_kept(self) -> Iterator[None]:
        """Turn what FFmpeg and the file system complain of into one sentence."""
        if self._finished:
            raise SinkError(f"{self._target.name} is finished already")
        try:
            yield
        except StreamDehazeError:
            self.abort()
            raise
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.abort()
            reason = getattr(error, "strerror", None) or error
            raise SinkError(f"{self._target.name} cannot be written: {reason}") from error

    def _identity(self) -> Identity:
        assert self._source.path is not None
        try:
            return Identity.of(self._source.path)
        except OSError as error:
            raise SourceError(f"'{self._source.path}' cannot be read: {error.strerror}") from error

    def _take_folder(self) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
            sync_folder(self.folder.parent)
        except FileExistsError as error:
            raise SinkError(f"'{self.folder}' is a file; its name is needed for a folder of segments") from error
        lock = FileLock(self.folder / "lock", thread_local=False)  # another thread lets go of it
        try:
            lock.acquire(timeout=0)
            self._lock = lock
        except LockTimeout as error:
            raise SinkError(f"another run is writing {self._target.name}; wait for it, or stop it") from error
        except NotImplementedError:  # a file system without locks
            pass
        self._is_ours = True

    def _let_go(self) -> None:
        self._beside.close()
        if self._lock is not None:
            self._lock.release()

    def _remove_strays(self, kept: int) -> None:
        """Remove what an earlier run left unfinished, and the segments after the first `kept`."""
        names = {f"{number:05d}" for number in range(kept)}
        for path in self.folder.iterdir():
            is_segment = path.suffix in (".packets", ".npz") and path.stem not in names
            if is_segment or path.name.endswith(".part") or path.stem.endswith(".part"):
                path.unlink()

    def _begin_segment(self) -> tuple[Output, PacketFile]:
        assert self._manifest is not None
        segments = self._manifest.segments
        beginning = self._first_picture()
        # The container is there for its encoder, which it tells how to lay its packets out; it is written nowhere.
        output = Output(
            trial_container(self._target.format),
            beginning,
            self._encoding,
            self._source,
            None,
            self._writer,
            last_pts=segments[-1].last_pts if segments else None,
        )
        if not segments and self.dropped + output.lost:
            names = ", ".join(self.dropped + output.lost)
            log.warning("%s cannot hold, and so lacks: %s", self._target.name, names)
        return output, PacketFile(segment_file(self.folder, len(segments)))

    def _first_picture(self) -> Beginning:
        """What the video's first picture decides for all segments, whichever of them is written here."""
        if self._beginning is None:
            with closing(self._source.reopen()) as again:
                frame = next(iter(again))
            picture = self._writer.picture(frame)
            original = frame.opaque if isinstance(frame.opaque, av.VideoFrame) else picture
            self._beginning = Beginning.of(
                self._target.name, self._target.format, picture, original, self._rate, self._source
            )
        return self._beginning

    def _finish_segment(self, cut: Cut | None) -> None:
        assert self._manifest is not None
        assert self._output is not None
        assert self._packets is not None
        manifest, output, packets = self._manifest, self._output, self._packets
        packets.write(output.end_encoding())
        header = hashlib.blake2b(output.video.codec_context.extradata or b"", digest_size=16).hexdigest()
        close_quietly(output.container)
        if manifest.segments and manifest.segments[0].header_hash != header:
            raise SinkError(
                f"the encoder {self._encoding.encoder.name} does not make segments that can be joined; "
                "write in one go with --segment-seconds 0"
            )
        digest = packets.finish()
        assert output.last_pts is not None
        segment = Segment(
            first_frame=manifest.frames,
            frames=self._count,
            first_pts=self._first_pts,
            last_pts=output.last_pts,
            size_bytes=packets.size_bytes,
            hash=digest,
            header_hash=header,
            end=None if cut is None else write_state(self.folder, len(manifest.segments), cut),
        )
        manifest = manifest.model_copy(update={"segments": (*manifest.segments, segment)})
        write_manifest(self.folder, manifest)
        self._manifest, self._output, self._packets, self._count = manifest, None, None, 0
