"""A file read from a cut on, so that its frames are the ones an uninterrupted reading gives."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from contextlib import ExitStack, closing

from streamdehaze.errors import SourceError
from streamdehaze.frame import Frame, VideoInfo
from streamdehaze.video.protocols import Reader
from streamdehaze.video.reading.file import FileSource
from streamdehaze.video.resume.cut import Cut, frame_hash

log = logging.getLogger("streamdehaze")


class Continued(Reader):
    """The frames of a file after a cut.

    A picture before the cut is sought, and decoding must come across the very frame that the cut remembers, with the
    same time and pixels; where it does not (no time stamps, a file that cannot seek, damage), the file is decoded from
    its beginning.

    Args:
        source: the file; it stays unread itself, and its owner closes it.
        cut: where to continue.
        ended: no frame follows the cut.
    """

    def __init__(self, source: FileSource, cut: Cut, *, ended: bool = False) -> None:
        self._source, self._cut, self._ended = source, cut, ended
        self.damaged = cut.damaged
        """Damaged places so far, those before the cut included."""

    @property
    def info(self) -> VideoInfo:
        """What the container says of the video."""
        return self._source.info

    @property
    def name(self) -> str:
        """The file."""
        return self._source.name

    def __iter__(self) -> Iterator[Frame]:
        """The frames after the cut.

        Raises:
            SourceError: if the file does not decode as it did before the cut.
        """
        if self._ended:
            return
        sought = self._seek()
        if sought is None:
            log.info("%s: cannot seek to where to continue; the file is decoded from its beginning", self.name)
            sought = self._skip()
        source, frames = sought
        with closing(source):
            first = next(frames, None)
            counted = source.damaged  # the cut counted them when this very frame came
            for frame in () if first is None else itertools.chain([first], frames):
                self.damaged = self._cut.damaged + source.damaged - counted
                yield frame
            self.damaged = self._cut.damaged + source.damaged - counted

    def close(self) -> None:
        """Nothing is left open after the last frame."""

    def _seek(self) -> tuple[FileSource, Iterator[Frame]] | None:
        cut = self._cut
        if cut.last_pts is None:
            return None
        instant = cut.last_pts * self.info.time_base + self._source.window.offset
        with ExitStack() as open_until_found:
            source = open_until_found.enter_context(closing(self._source.reopen(at=instant)))
            frames = iter(source)
            try:
                for frame in frames:
                    if self._is_last(frame, source):
                        open_until_found.pop_all()
                        return source, frames
                    if frame.pts is None or frame.pts > cut.last_pts:
                        break
            except SourceError as error:
                log.debug("%s: %s", self.name, error)
        return None

    def _skip(self) -> tuple[FileSource, Iterator[Frame]]:
        cut = self._cut
        with ExitStack() as open_until_found:
            source = open_until_found.enter_context(closing(self._source.reopen()))
            frames = iter(source)
            last = None
            for _ in range(cut.frames):
                last = next(frames, None)
            if last is not None and self._is_last(last, source):
                open_until_found.pop_all()
                return source, frames
        raise SourceError(f"'{self.name}' does not decode as it did when the work began; --no-resume starts over")

    def _is_last(self, frame: Frame, source: FileSource) -> bool:
        """Whether a frame is the one before the cut.

        Where FFmpeg's threads conceal damage, the same file gives other pixels each time; then its time has to be
        enough.
        """
        cut = self._cut
        return frame.pts == cut.last_pts and (bool(source.damaged) or frame_hash(frame) == cut.last_hash)
