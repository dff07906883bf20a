"""Frames on their way through a dehazer's memory, which starts over at each seam between segments."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from streamdehaze.dehaze import Dehazer
from streamdehaze.dehaze.format import network_shape
from streamdehaze.dehaze.look import Look
from streamdehaze.dehaze.steady import LOOK_AHEAD_FRAMES
from streamdehaze.dehaze.stream import Solution, Stream
from streamdehaze.engine.protocol import compiles
from streamdehaze.frame import FloatArray, Frame, VideoInfo
from streamdehaze.pipeline.batch import DEFAULT_BATCH_SIZE, Batch
from streamdehaze.video.resume.cut import Cut, WarmUp

Passed = Solution | Cut


class Lanes:
    """Solves frames and keeps the seams between segments exact, for one process and for many.

    A segment's frames depend on the frames of its warm-up and on those that its last ones are corrected by, and on no
    others. Around a seam two memories therefore run side by side: one warms up for the segment that begins, and the
    other looks on past the end of its own. One process that makes all segments and one that makes a single segment give
    the same frames, bit for bit.

    The network runs in a thread of its own, on one batch of each memory at a time; meanwhile, the next frames are
    looked at. Close it, so that this thread ends.

    Args:
        dehazer: its own stream is the first memory.
        batch_size: pictures for one run of the network, see `Batch`.
    """

    def __init__(self, dehazer: Dehazer, batch_size: int | None) -> None:
        self._dehazer, self._batch_size = dehazer, batch_size
        self._network = ThreadPoolExecutor(1, "streamdehaze-network")
        self._now: _Lane | None = self._lane(dehazer.video)
        self._next: _Lane | None = None
        self._before: _Ending | None = None

    def prepare(self, info: VideoInfo) -> None:
        """Let the engine compile for frames of this size while the first ones are decoded and looked at."""
        video, engine, batch_size = self._dehazer.video, self._dehazer.engine, self._batch_size or DEFAULT_BATCH_SIZE
        if compiles(engine) and batch_size > 1 and not video.exact and not video.is_off:
            rows, columns = network_shape(info.width, info.height, video.network_size)
            self._network.submit(engine.compile_for, rows, columns, batch_size)  # what fails now fails again

    def take(self, item: Frame | WarmUp | Cut | None) -> list[Passed]:
        """What the next item lets pass, in order; None is the end of the video."""
        if isinstance(item, WarmUp):
            self._next = self._lane(self._dehazer.stream())
            if item.only:
                self._now = None
            return []
        if isinstance(item, Frame):
            return self._take_frame(item)
        if item is not None and item.in_span:
            return self._cross(item)
        passed = self._end_before()
        if self._now is not None:
            passed += self._now.end()
        if item is not None:
            passed.append(replace(item, state=self._dehazer.video.state_dict()))
        return passed

    @property
    def has_asked(self) -> bool:
        """Whether an answer of the network will let frames pass."""
        return any(lane.has_asked for lane in self._passing)

    def take_answers(self) -> list[Passed]:
        """What the answers of the network let pass that are being made; waits for them."""
        solved = [] if self._now is None else self._now.take_answers()
        if self._before is None:
            return [*solved]
        self._before.after += solved
        return [*self._before.wanted(self._before.lane.take_answers())]

    def close(self) -> None:
        """End the network's thread, once it has finished what it works on."""
        self._network.shutdown(cancel_futures=True)

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def _passing(self) -> list[_Lane]:
        """The memories whose solutions are wanted."""
        lanes = [self._now, None if self._before is None else self._before.lane]
        return [lane for lane in lanes if lane is not None]

    def _lane(self, stream: Stream) -> _Lane:
        return _Lane(self._dehazer, stream, Batch(self._batch_size), self._network)

    def _take_frame(self, frame: Frame) -> list[Passed]:
        if self._next is not None:
            self._next.take(frame)
        before = self._before
        solved = [] if self._now is None else self._now.take(frame)
        if before is None:
            return [*solved]
        before.after += solved
        before.ahead -= 1
        passed: list[Passed] = [*before.wanted(before.lane.take(frame))]
        if before.ahead == 0 or not before.missing:
            passed += self._end_before()
        return passed

    def _cross(self, cut: Cut) -> list[Passed]:
        """Go from one segment to the next, whose memory has been warmed up."""
        passed = self._end_before()
        lane, self._now, self._next = self._now, self._next, None
        if self._now is not None:
            self._now.end()
            cut = replace(cut, state=self._now.stream.state_dict())
        if lane is None:  # only the segment that begins is wanted
            return [*passed, cut]
        ahead = LOOK_AHEAD_FRAMES if lane.stream.settings["look_ahead"] else 0
        self._before = _Ending(lane, cut, ahead, lane.inside)
        return passed if ahead else [*passed, *self._end_before()]

    def _end_before(self) -> list[Passed]:
        """The rest of the segment before, and what has come after it meanwhile."""
        before, self._before = self._before, None
        if before is None:
            return []
        rest = before.wanted(before.lane.end()) if before.missing else []
        return [*rest, before.cut, *before.after]


class _Lane:
    """One memory, with the frames that wait for the network."""

    def __init__(self, dehazer: Dehazer, stream: Stream, batch: Batch, network: Executor) -> None:
        self._dehazer, self.stream, self._batch, self._network = dehazer, stream, batch, network
        self._asked: tuple[list[Look], Future[list[FloatArray | None]]] | None = None
        self.inside = 0
        """Frames taken and not yet solved."""

    @property
    def has_asked(self) -> bool:
        """Whether the network works on frames of this memory."""
        return self._asked is not None

    def take(self, frame: Frame) -> list[Solution]:
        """The solutions that the next frame gives, or answers of the network to earlier ones."""
        self.stream.strength = self._dehazer.strength  # which may be set at any time
        look = self.stream.look(frame, self._dehazer.gpu)
        self._batch.add(look)
        self.inside += 1
        solutions = list[Solution]()
        if self._asked is not None and (self._batch.is_due or self._asked[1].done()):
            solutions += self.take_answers()
        if self._asked is None and self._batch.is_idle:
            looks = self._batch.take()
            solutions += self._solve(looks, [None] * len(looks))
        elif self._asked is None and self._batch.is_due:
            self._ask()
            if look.exact:  # two whole frames at a time would take too much memory
                solutions += self.take_answers()
        return solutions

    def take_answers(self) -> list[Solution]:
        """The solutions of the frames that the network works on; waits for it."""
        if self._asked is None:
            return []
        (looks, answers), self._asked = self._asked, None
        return self._solve(looks, answers.result())

    def end(self) -> list[Solution]:
        """All that is left; the memory holds no frame then."""
        solutions = self.take_answers()
        self._ask()
        solutions += self.take_answers()
        rest = self._dehazer.solve_rest(self.stream)
        self.inside -= len(rest)
        return solutions + rest

    def _solve(self, looks: list[Look], answers: Sequence[FloatArray | None]) -> list[Solution]:
        solutions = list[Solution]()
        for look, answer in zip(looks, answers, strict=True):
            solutions += self.stream.solve(look, answer)
        self.inside -= len(solutions)
        return solutions

    def _ask(self) -> None:
        looks = self._batch.take()
        self._asked = looks, self._network.submit(self._dehazer.infer, looks)


@dataclass
class _Ending:
    """A segment whose last frames wait for those after it."""

    lane: _Lane
    cut: Cut
    ahead: int
    """Frames that it may still look at."""
    missing: int
    """Its own frames that are not solved."""
    after: list[Passed] = field(default_factory=list)
    """What follows the cut."""

    def wanted(self, solutions: list[Solution]) -> list[Solution]:
        """Those of the segment's own frames."""
        own = solutions[: self.missing]
        self.missing -= len(own)
        return own
