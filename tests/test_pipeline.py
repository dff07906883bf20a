"""The pipeline keeps order and count, bounds its memory, stops on request, and raises the first error."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from doubles import CountingSource, EngineDouble, ListSink, nervous_engine, plain_dehazer, stopping_at
from streamdehaze import Dehazer, Frame, dehaze_video
from streamdehaze.dehaze import Stream
from streamdehaze.dehaze.steady import Steady
from streamdehaze.dehaze.stream import Solution
from streamdehaze.errors import Cancelled, ConfigError, StreamDehazeError
from streamdehaze.pipeline import Pipeline, Statistics
from streamdehaze.pipeline.batch import Batch
from streamdehaze.pipeline.lanes import Lanes
from waiting import PATIENCE_SECONDS

FRAME_BYTES = 32 * 48 * 3


def lose_device(engine: EngineDouble) -> None:
    if len(engine.batches) == 3:
        raise RuntimeError("device lost")


def threads_left() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("streamdehaze")]


def test_every_frame_arrives_once_in_order_with_its_time() -> None:
    sink, engine = ListSink(), EngineDouble(lambda hazy: hazy)
    report = dehaze_video(CountingSource(11), sink, dehazer=plain_dehazer(engine=engine), batch_size=4)
    assert [frame.pts for frame in sink.frames] == [index * 7 for index in range(11)]
    assert [int(frame.planes[0][0, 0]) for frame in sink.frames] == list(range(0, 22, 2))
    assert [batch[0] for batch in engine.batches] == [4, 4, 3]
    assert sink.closed
    assert report.statistics.decode.frames == report.statistics.encode.frames == 11


@pytest.mark.parametrize("batch_size", [1, 3, None])
@pytest.mark.parametrize("steady", ["off", "low"])
def test_batches_hold_pictures_for_the_network_and_change_nothing(batch_size: int | None, steady: Steady) -> None:
    """Of 22 frames the network sees every 3rd: 8 pictures."""
    sink, engine = ListSink(), nervous_engine()
    dehazer = Dehazer(engine=engine, every=3, steady=steady)
    dehaze_video(CountingSource(22), sink, dehazer=dehazer, batch_size=batch_size)
    size = batch_size or 3  # of 7 frames at most, if no size is asked for
    assert [batch[0] for batch in engine.batches] == [size] * (8 // size) + [8 % size] * (8 % size > 0)
    alone = Dehazer(engine=nervous_engine(), every=3, steady=steady)
    expected = [clear for frame in CountingSource(22) for clear in alone.process([frame])]
    assert all(np.array_equal(a.planes[0], b.planes[0]) for a, b in zip(sink.frames, expected, strict=True))


def test_no_frame_waits_for_pictures_it_does_not_need() -> None:
    """In batches of one picture, frames that need no network pass at once, and so does a video that is not changed."""
    batch, stream = Batch(1), Stream(every=3)
    given = []
    for frame in CountingSource(7):
        batch.add(stream.look(frame))
        assert batch.is_idle or batch.is_due
        given.append(len(batch.take()))
    assert given == [1] * 7


def test_a_batch_of_large_frames_ends_with_their_bytes() -> None:
    large = Frame.from_array(np.zeros((2160, 3840, 3), np.uint8))  # 25 MB
    for size, frames in ((None, 3), (2, 3), (5, 5)):
        batch, stream = Batch(size), Stream(network_size=32, every=3)
        batch.add(stream.look(large))
        while not batch.is_due:
            batch.add(stream.look(large))
        assert len(batch.take()) == frames


def test_few_frames_wait_for_a_full_batch() -> None:
    """At rest most need no network, and all take memory; a size that is asked for is kept to."""
    for size, frames in ((None, 7), (4, 19)):
        batch, stream = Batch(size), Stream(every=6)
        for frame in CountingSource(40):
            batch.add(stream.look(frame))
            if batch.is_due:
                break
        assert len(batch.take()) == frames


def test_frames_are_looked_at_while_the_network_runs() -> None:
    """Six frames, of which the network sees every 3rd: the first batch, of two pictures, is full with the fourth."""
    may_answer, frames = threading.Event(), list(CountingSource(6))

    def wait(engine: EngineDouble) -> None:
        assert may_answer.wait(PATIENCE_SECONDS)

    with Lanes(Dehazer(engine=EngineDouble(before=wait), every=3, steady="low"), batch_size=2) as lanes:
        assert [passed for frame in frames for passed in lanes.take(frame)] == []
        assert lanes.has_asked
        may_answer.set()
        passed = lanes.take_answers()
        assert len(passed) == 4
        passed += lanes.take(None)
    assert [one.look.frame for one in passed if isinstance(one, Solution)] == frames


def test_no_frames_at_all_still_closes_the_sink() -> None:
    sink = ListSink()
    dehaze_video(CountingSource(0), sink, dehazer=plain_dehazer(engine=EngineDouble()))
    assert sink.closed


@pytest.mark.parametrize(
    ("source", "engine", "sink", "message"),
    [
        (CountingSource(50, fail_at=9), EngineDouble(), ListSink(), "^'foggy.mp4' breaks off$"),
        (
            CountingSource(50),
            EngineDouble(before=lose_device),
            ListSink(),
            "^dehaze failed: RuntimeError: device lost$",
        ),
        (CountingSource(50), EngineDouble(), ListSink(fail_at=6), "^no space left for 'clear.mp4'$"),
        (CountingSource(5), EngineDouble(), ListSink(fail_on_close=True), "^'clear.mp4' cannot be finished$"),
    ],
    ids=["decode", "dehaze", "encode", "close"],
)
def test_the_first_error_is_the_one_shown_and_every_stage_ends(
    source: CountingSource, engine: EngineDouble, sink: ListSink, message: str
) -> None:
    pipeline = Pipeline(source, plain_dehazer(engine=engine), sink, queue_bytes=2 * FRAME_BYTES)
    with pytest.raises(StreamDehazeError, match=message):
        pipeline.run()
    assert sink.aborted
    assert not sink.closed
    assert threads_left() == []


def test_queues_are_bounded_in_bytes() -> None:
    source, ahead = CountingSource(200), list[int]()

    class WatchingSink(ListSink):
        def write(self, frame: Frame) -> None:
            super().write(frame)
            ahead.append(source.produced - len(self.frames))

    sink, dehazer = WatchingSink(delay=0.002), plain_dehazer(engine=EngineDouble())
    Pipeline(source, dehazer, sink, batch_size=2, queue_bytes=3 * FRAME_BYTES).run()
    # 3 hazy, 9 solved and 3 clear in the queues, in the dehazer 2 hazy, 2 that the network sees and 2 solved, one in
    # every other stage's hands.
    assert len(ahead) == 200
    assert max(ahead) <= 3 + 9 + 3 + 2 + 2 + 2 + 3


def test_one_frame_larger_than_the_queue_still_passes() -> None:
    sink = ListSink()
    Pipeline(CountingSource(5), plain_dehazer(engine=EngineDouble()), sink, queue_bytes=10).run()
    assert len(sink.frames) == 5


def test_a_stop_event_ends_the_work_at_that_frame_and_aborts_the_sink() -> None:
    stop, source, sink = threading.Event(), CountingSource(100), ListSink()
    dehazer, stopping = plain_dehazer(engine=EngineDouble()), stopping_at(51, stop, lambda: len(sink.frames) == 50)
    with pytest.raises(Cancelled):
        dehaze_video(source, sink, dehazer=dehazer, stop=stop, on_frame=stopping)
    assert len(sink.frames) == 50
    assert sink.aborted
    assert threads_left() == []


def test_a_stop_event_ends_waiting_for_a_source() -> None:
    stop, sink = threading.Event(), ListSink()

    class SilentSource(CountingSource):
        def __iter__(self) -> Iterator[Frame]:
            yield from super().__iter__()
            stop.wait()

    def stop_when_all_is_written(statistics: Statistics) -> None:
        if len(sink.frames) == 5:
            stop.set()

    with pytest.raises(Cancelled):
        Pipeline(SilentSource(5), plain_dehazer(engine=EngineDouble()), sink, batch_size=1, stop=stop).run(
            stop_when_all_is_written
        )
    assert sink.aborted
    assert threads_left() == []


def test_a_stop_after_the_sink_has_closed_does_not_undo_it() -> None:
    """By then the output has its final name, and "nothing was kept" would be a lie."""
    stop = threading.Event()

    class StoppedWhileClosing(ListSink):
        def close(self) -> None:
            stop.set()
            time.sleep(0.3)
            super().close()

    sink = StoppedWhileClosing()
    report = dehaze_video(CountingSource(3), sink, dehazer=plain_dehazer(engine=EngineDouble()), stop=stop)
    assert report.statistics.encode.frames == 3
    assert sink.closed
    assert not sink.aborted


def test_an_interrupt_in_the_callers_thread_ends_every_stage() -> None:
    sink = ListSink()

    def interrupt(statistics: Statistics) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Pipeline(CountingSource(100_000), plain_dehazer(engine=EngineDouble()), sink).run(interrupt)
    assert sink.aborted
    assert threads_left() == []


def test_the_bottleneck_is_the_stage_that_worked_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    class OwnTime(threading.local):
        """A clock for each thread, which stands still except for the delays of its double."""

        seconds = 0.0

        def sleep(self, seconds: float) -> None:
            self.seconds += seconds

        def now(self) -> float:
            return self.seconds

    own = OwnTime()
    monkeypatch.setattr("doubles.time", SimpleNamespace(sleep=own.sleep))
    clock = SimpleNamespace(perf_counter=own.now, thread_time=own.now)
    monkeypatch.setattr("streamdehaze.pipeline.statistics.time", clock)
    slow_source = Pipeline(CountingSource(30, delay=0.01), plain_dehazer(engine=EngineDouble()), ListSink()).run()
    slow_sink = Pipeline(CountingSource(30), plain_dehazer(engine=EngineDouble()), ListSink(delay=0.01)).run()
    assert slow_source.bottleneck == "decode"
    assert slow_sink.bottleneck == "encode"
    assert slow_sink.encode.busy_seconds == pytest.approx(0.3)
    assert (slow_sink.encode.load, slow_sink.decode.load) == (1, 0)
    assert slow_sink.fps == pytest.approx(30 / slow_sink.seconds)


def test_running_out_of_threads_is_the_error_that_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def start(thread: threading.Thread) -> None:
        if len(started) == 1:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        really_start(thread)

    really_start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start)
    sink = ListSink()
    with pytest.raises(RuntimeError, match="can't start new thread"):
        dehaze_video(CountingSource(50), sink, dehazer=plain_dehazer(engine=EngineDouble()))
    assert sink.aborted
    assert threads_left() == []


def test_a_batch_size_below_one_leaves_nothing() -> None:
    sink = ListSink()
    with pytest.raises(ConfigError):
        dehaze_video(CountingSource(1), sink, dehazer=plain_dehazer(engine=EngineDouble()), batch_size=0)
    assert sink.aborted


def test_a_batch_size_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch size must be at least 1, not 0"):
        Pipeline(CountingSource(1), plain_dehazer(engine=EngineDouble()), ListSink(), batch_size=0)


def test_values_that_are_not_finite_never_reach_the_output() -> None:
    engine, sink = EngineDouble(lambda hazy: np.full_like(hazy, np.nan)), ListSink()
    with pytest.raises(StreamDehazeError, match="not finite"):
        dehaze_video(CountingSource(3), sink, dehazer=plain_dehazer(engine=engine))
    assert sink.frames == []
