"""The picture sizes that the engine is ready for, prepared without holding up the cameras that are running."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable

from streamdehaze.dehaze.exact import infer_padded, whole_shape
from streamdehaze.dehaze.format import network_shape
from streamdehaze.engine.protocol import Engine, compiles, device_of
from streamdehaze.errors import EngineError
from streamdehaze.frame import FloatArray, Frame
from streamdehaze.live.background import Background

log = logging.getLogger("streamdehaze.live")

FrameShape = tuple[int, int]
"""(rows, columns) of a picture for the network."""

KEPT_SHAPES = 8
"""Shapes kept compiled at once, each in up to two modes of 16 to 65 MiB."""
_SETTLED_SECONDS = 3.0
"""A camera must have kept its size this long before a shape is prepared for it."""
_UNUSED_SECONDS = 30.0
"""A shape may give way to another once no camera has used it for this long."""
_SMALLEST = 64
"""Long side, pixels, below which a picture is not worth dehazing in a foreign shape."""
_ASPECTS = (3 / 8, 9 / 16, 3 / 4, 1.0)
"""Short side to long side of the shapes that are prepared: panoramas, 16:9, 4:3, square; wide or tall."""
_KEPT_FAILURES = 64
"""Shapes remembered that the engine has refused; a camera may change its size as often as it likes."""
_POLL_SECONDS = 0.2


class Shapes(Background):
    """Prepares an engine for picture sizes in a thread of its own, and tells how a picture fits into what is ready.

    An engine that compiles for each size would stop all cameras while it does so for one of them. Here a picture is
    padded into a shape that is ready, shrunk further if need be, until its own is. Shapes come from a short list of
    aspect ratios, and at most `limit` of them are kept, so what cameras send cannot make the process grow.

    Args:
        engine: one that does not compile for sizes is ready for all of them.
        network_sizes: long sides that pictures may have, pixels; the largest first.
        batch_size: pictures in a run of the engine, at most.
        limit: shapes kept ready.
    """

    def __init__(
        self, engine: Engine, network_sizes: Iterable[int], *, batch_size: int = 1, limit: int = KEPT_SHAPES
    ) -> None:
        super().__init__("engine-shapes")
        self._engine = engine if compiles(engine) else None
        self._network_sizes, self._limit = tuple(network_sizes), limit
        self._batches = (1,) if batch_size == 1 else (1, 2)
        self._changed = threading.Condition()
        self._ready: dict[FrameShape, float] = {}
        self._wanted: OrderedDict[FrameShape, bool] = OrderedDict()
        """In the order of preparation, and whether it is the shape of a whole frame."""
        self._failed: deque[FrameShape] = deque(maxlen=_KEPT_FAILURES)
        self._whole: set[FrameShape] = set()
        """Shapes that are ready for whole frames only; smaller pictures are not padded into them."""
        self._first: FrameShape | None = None
        """The one that is never given up, so that every camera has one to fit into."""

    def start(self) -> None:
        """Begin to prepare what is wanted."""
        if self._engine is not None:
            super().start()

    def stop(self) -> None:
        """End after the shape in progress."""
        with self._changed:
            super().stop()
            self._changed.notify_all()

    def prepare(self, shape: FrameShape) -> None:
        """Make the engine ready for a shape now; for the time before there are cameras.

        Raises:
            EngineError: if it cannot be.
        """
        if self._engine is not None:
            self._engine.compile_for(*shape, 1)
            with self._changed:
                self._ready[shape] = time.monotonic()
                self._first = self._first or shape
                self._want([shape], whole=False)  # in batches as well

    def want(self, frame: Frame, *, exact: bool = False) -> None:
        """Prepare for frames like this at each network size, at some time."""
        if self._engine is None:
            return
        if exact:
            shapes = [whole_shape(frame.width, frame.height)]
        else:
            sizes = self._network_sizes
            shapes = [self._padded_shape(network_shape(frame.width, frame.height, size)) for size in sizes]
        with self._changed:
            self._want((shape for shape in shapes if shape not in self._ready), whole=exact)

    def fit(self, frame: Frame, network_size: int, *, exact: bool = False) -> int | None:
        """The network size at which a frame fits into a shape that is ready: `network_size` or the largest below it.

        Returns:
            None if there is none, and the frame has to pass as it is.
        """
        if self._engine is None:
            return network_size
        with self._changed:
            if exact:
                return network_size if whole_shape(frame.width, frame.height) in self._ready else None
            if self._smallest(network_shape(frame.width, frame.height, network_size)) is not None:
                return network_size
            for size in range(network_size // 4 * 4, _SMALLEST - 1, -4):
                if self._smallest(network_shape(frame.width, frame.height, size)) is not None:
                    return size
        return None

    def shape_for(self, shape: FrameShape) -> FrameShape:
        """The smallest shape that is ready and holds a picture of this one; itself where none does."""
        if self._engine is None:
            return shape
        with self._changed:
            found = shape if shape in self._ready else self._smallest(shape)
            if found is None:
                return shape
            self._ready[found] = time.monotonic()
            return found

    def _smallest(self, shape: FrameShape) -> FrameShape | None:
        holding = (ready for ready in self._ready if ready[0] >= shape[0] and ready[1] >= shape[1])
        return min((r for r in holding if r not in self._whole), key=lambda ready: ready[0] * ready[1], default=None)

    def _padded_shape(self, shape: FrameShape) -> FrameShape:
        """The one of the prepared shapes that a picture belongs into."""
        rows, columns = shape
        long = min((size for size in self._network_sizes if size >= max(shape)), default=max(shape))
        short = next(side for aspect in _ASPECTS if (side := round(long * aspect / 4) * 4) >= min(shape))
        return (long, short) if rows > columns else (short, long)

    def _want(self, shapes: Iterable[FrameShape], *, whole: bool) -> None:
        for shape in shapes:
            if shape not in self._failed:
                self._wanted[shape] = whole and self._wanted.get(shape, True)
        while len(self._wanted) > self._limit:
            self._wanted.popitem(last=False)  # whoever still wants it asks again
        self._changed.notify_all()

    def _run(self) -> None:
        assert self._engine is not None
        while (found := self._next()) is not None:
            shape, whole = found
            try:
                for batch in self._batches:
                    self._engine.compile_for(*shape, batch)
                    with self._changed:
                        if whole and shape not in self._ready:
                            self._whole.add(shape)
                        self._ready.setdefault(shape, time.monotonic())
                    if self._stop.is_set():
                        return
            except EngineError as error:
                log.warning("pictures of %d×%d are dehazed in another size: %s", shape[1], shape[0], error)
                self._failed.append(shape)

    def _next(self) -> tuple[FrameShape, bool] | None:
        """The next shape to prepare, once there is room for it, and whether it is a whole frame's; None at the end."""
        with self._changed:
            while not self._stop.is_set():
                if self._wanted:
                    shape, whole = self._wanted.popitem(last=False)
                    if shape in self._ready or self._make_room():
                        return shape, whole
                else:
                    self._changed.wait(_POLL_SECONDS)
            return None

    def _make_room(self) -> bool:
        """Whether another shape may be kept; the one not used for longest goes for it."""
        if len(self._ready) < self._limit:
            return True
        oldest = min((shape for shape in self._ready if shape != self._first), key=self._ready.__getitem__)
        if time.monotonic() - self._ready[oldest] < _UNUSED_SECONDS:
            return False  # whoever wants it asks again
        assert self._engine is not None
        del self._ready[oldest]
        self._whole.discard(oldest)
        self._engine.release(*oldest)
        return True


class FittedEngine:
    """An engine whose pictures are padded by reflection into shapes that are ready, and cropped again.

    Args:
        engine: runs the network.
        shapes: of the same engine.
    """

    def __init__(self, engine: Engine, shapes: Shapes) -> None:
        self._engine, self._shapes = engine, shapes

    @property
    def name(self) -> str:
        """See `Engine.name`."""
        return self._engine.name

    @property
    def note(self) -> str | None:
        """See `Engine.note`."""
        return self._engine.note

    @property
    def device(self) -> str | None:
        """See `Engine.device`."""
        return device_of(self._engine)

    def infer(self, hazy: FloatArray) -> FloatArray:
        """See `Engine.infer`."""
        rows, columns = hazy.shape[2:]
        return infer_padded(self._engine, hazy, self._shapes.shape_for((rows, columns)))

    def split(self, hazy: FloatArray) -> dict[str, float]:
        """See `Engine.split`."""
        return self._engine.split(hazy)

    def close(self) -> None:
        """Nothing: the engine belongs to whoever made it."""


class Settling:
    """Watches the size of one camera's frames: sizes that change all the time are not worth preparing for.

    Args:
        patient: frames that are not played in real time are worth it at once.
    """

    def __init__(self, *, patient: bool) -> None:
        self._patient = patient
        self._size, self._since = (0, 0), 0.0
        self._asked_at = float("-inf")

    def wants(self, frame: Frame) -> bool:
        """Whether to prepare for frames like this now; True once in a while, for preparation may be refused."""
        now, size = time.monotonic(), (frame.width, frame.height)
        if size != self._size:
            self._size, self._since, self._asked_at = size, now, float("-inf")
        if now - self._since < (0 if self._patient else _SETTLED_SECONDS) or now - self._asked_at < _SETTLED_SECONDS:
            return False
        self._asked_at = now
        return True
