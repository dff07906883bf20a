"""An engine that serves from PyTorch at once and from a compiled engine as soon as that is built and verified."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from streamdehaze.engine.build.build import open_built, time_again
from streamdehaze.engine.build.cache import EngineCache, EngineIdentity, EngineRecord
from streamdehaze.engine.build.in_subprocess import build_in_subprocess
from streamdehaze.engine.build.picture import hazy_pictures
from streamdehaze.engine.build.request import BuildRequest
from streamdehaze.engine.build.speed import needs_timing, prefers_pytorch
from streamdehaze.engine.protocol import Backend, Engine, compiles
from streamdehaze.engine.recipe import Shape
from streamdehaze.errors import Cancelled, EngineError, StreamDehazeError
from streamdehaze.frame import FloatArray

_log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 1.0
_POLL_SECONDS = 0.1


@dataclass
class _Slot:
    """What serves one picture size, or every size where one engine file does."""

    request: BuildRequest
    identity: EngineIdentity
    """Identity of the engine when work began; an engine made from a checkpoint that was replaced since does not
    match."""
    engine: Engine | None = None
    settled: bool = False
    """Nothing more is tried: PyTorch serves this size for good, unless `engine` does."""
    fallback_seconds: float = 0.0
    """Time PyTorch has served this size."""


class SwitchingEngine:
    """Serves from a verified engine where one is kept; else from PyTorch, while one is built by a child process.

    The build begins when PyTorch has served a size for a second (a photo is not worth it), and the engine takes
    over between two batches. A build or an engine that fails is set aside with one warning, and PyTorch continues.

    Args:
        request: the engine wanted; its shape holds until batches of another size come.
        backend: of the request's recipe.
        cache: where engines are kept.
        open_fallback: makes the PyTorch engine, when it is first needed; None where PyTorch is not installed, so that
            an engine is built before serving and its failure is an error.
        wait: build before serving, and raise where it fails.
        only_if_faster: set an engine aside that was twice measured slower than PyTorch (see `speed`), and measure one
            again that was so once.
    """

    def __init__(
        self,
        request: BuildRequest,
        backend: Backend,
        cache: EngineCache,
        open_fallback: Callable[[], Engine] | None,
        *,
        wait: bool = False,
        only_if_faster: bool = False,
    ) -> None:
        self._request, self._backend, self._cache = request, backend, cache
        self._open_fallback = open_fallback
        self._wait, self._only_if_faster = wait or open_fallback is None, only_if_faster
        self._fallback_engine: Engine | None = None
        self._slots: list[_Slot] = []
        self._slot_lock = threading.Lock()
        self._wanted: dict[tuple[int, int], set[int]] = {}
        """Batches wanted by `compile_for`, by (height, width): what an engine that takes over must be ready for."""
        self._stop = threading.Event()
        self._build: threading.Thread | None = None
        self._served_by: Engine | None = None
        self._note: str | None = None
        """Why PyTorch serves, where that is settled."""

    def prepare(self, width: int, height: int, batch: int) -> None:
        """Open the engine for pictures of this size now, if it is there (or build it, with `wait`).

        Raises:
            EngineError: with `wait`, if it cannot be built.
        """
        self._served_by = self._slot((batch, 3, height, width)).engine

    def compile_for(self, height: int, width: int, batch: int) -> None:
        """See `CompilingEngine.compile_for`; nothing where PyTorch serves, until another engine takes over."""
        self._wanted.setdefault((height, width), set()).add(batch)
        slot = self._slot((batch, 3, height, width))
        if compiles(engine := slot.engine):
            engine.compile_for(height, width, batch)

    def release(self, height: int, width: int) -> None:
        """See `CompilingEngine.release`."""
        self._wanted.pop((height, width), None)
        for slot in self._slots:
            if compiles(engine := slot.engine):
                engine.release(height, width)

    @property
    def name(self) -> str:
        """The name of the engine that serves at the moment."""
        return (self._served_by or self._fallback()).name

    @property
    def note(self) -> str | None:
        """See `Engine.note`."""
        if self._served_by is not None and self._served_by is not self._fallback_engine:
            return None
        if self._note is not None:
            return self._note
        if self._building():
            return f"the {self._request.recipe.engine} engine is being built"
        return f"too little work to build the {self._request.recipe.engine} engine"

    @property
    def device(self) -> str | None:
        """See `Engine.device`: that of the engine wanted, on which PyTorch serves until then."""
        return "cuda" if self._request.recipe.engine == "tensorrt" else None

    def infer(self, hazy: FloatArray) -> FloatArray:
        """See `Engine.infer`; call it from one thread at a time."""
        slot = self._slot(hazy.shape)
        patient = slot.fallback_seconds < _PATIENCE_SECONDS
        if slot.engine is None and not slot.settled and not patient and not self._building():
            self._build = threading.Thread(target=self._build_in_subprocess, args=(slot,), name="engine-build")
            self._build.start()
        if (engine := slot.engine) is not None:
            try:
                clear = engine.infer(hazy)
                self._served_by = engine
                return clear
            except EngineError as error:
                if self._open_fallback is None:
                    raise
                _log.warning("the engine %s is set aside and PyTorch continues: %s", engine.name, error)
                self._note = f"the engine {engine.name} failed: {error}"
                slot.engine, slot.settled = None, True
                engine.close()
        self._served_by = self._fallback()
        start = time.perf_counter()
        clear = self._served_by.infer(hazy)
        slot.fallback_seconds += time.perf_counter() - start
        return clear

    def split(self, hazy: FloatArray) -> dict[str, float]:
        """See `Engine.split`: of the engine that serves at the moment."""
        return (self._served_by or self._fallback()).split(hazy)

    def finish_build(self, stop: threading.Event, seconds: float) -> bool:
        """Wait for a build that runs, until `stop` is set or the time is up; whether none runs any more."""
        until = time.monotonic() + seconds
        while self._building() and not stop.is_set() and time.monotonic() < until:
            stop.wait(_POLL_SECONDS)
        return not self._building()

    def close(self) -> None:
        """Stop the build, if one runs, and free the engines; may be called twice."""
        self._stop.set()
        if self._build is not None:
            self._build.join()
        for engine in (*(slot.engine for slot in self._slots), self._fallback_engine):
            if engine is not None:
                engine.close()

    def _building(self) -> bool:
        return self._build is not None and self._build.is_alive()

    def _fallback(self) -> Engine:
        if self._fallback_engine is None:
            if self._open_fallback is None:
                raise EngineError("no engine serves, and PyTorch is not installed")
            self._fallback_engine = self._open_fallback()
        return self._fallback_engine

    def _slot(self, batch_shape: tuple[int, ...]) -> _Slot:
        batch, _, height, width = batch_shape
        if (slot := self._known_slot(height, width)) is not None:
            return slot  # without the lock: opening another size's engine holds nothing up
        with self._slot_lock:
            slot = self._known_slot(height, width)
            if slot is None:
                slot = self._new_slot(batch, height, width)
                self._slots.append(slot)
            return slot

    def _known_slot(self, height: int, width: int) -> _Slot | None:
        fitting = (slot for slot in self._slots if self._backend.covers(slot.request.shape, height, width))
        return next(fitting, None)

    def _new_slot(self, batch: int, height: int, width: int) -> _Slot:
        request = self._request
        if not self._backend.covers(request.shape, height, width):
            request = BuildRequest(request.checkpoint, request.recipe, Shape(width=width, height=height, batch=batch))
        slot = _Slot(request, request.identity(self._backend))
        if not self._backend.covers(request.shape, height, width):  # outside the recipe's profile
            if self._wait:
                raise EngineError(f"the recipe's shapes do not cover {width}×{height}")
            _log.warning("the recipe's shapes do not cover %d×%d: PyTorch serves", width, height)
            self._note = f"the recipe's shapes do not cover {width}×{height}"
            slot.settled = True
        else:
            self._look_up(slot)
        return slot

    def _look_up(self, slot: _Slot) -> None:
        record = self._cache.find(slot.identity)
        if self._wait and (record is None or record.state == "unverified"):
            record = self._built(slot)
        if record is None or (record.state == "unverified" and not self._wait):
            return
        try:
            choosing = self._only_if_faster and not self._wait and record.state == "verified"
            if choosing and record.verification and needs_timing(record.verification.timings):
                record = time_again(record, self._cache)
            slot.engine = self._open(slot.request, record)
        except StreamDehazeError as error:
            if self._wait:
                raise
            _log.warning("no %s engine, PyTorch serves: %s", slot.request.recipe.engine, error)
            self._note = f"no {slot.request.recipe.engine} engine: {error}"
        slot.settled = True

    def _build_in_subprocess(self, slot: _Slot) -> None:
        try:
            engine = self._open(slot.request, self._built(slot))
            if engine is not None:  # compiled and warm before it takes over
                shape = slot.request.shape
                engine.infer(hazy_pictures(shape.batch, shape.height, shape.width))
                self._compile_wanted(slot.request.shape, engine)
                _log.info("the engine %s is built and verified, and takes over from PyTorch", engine.name)
            slot.engine = engine
            if engine is not None:
                self._compile_wanted(slot.request.shape, engine)  # what was asked for meanwhile
        except Cancelled:
            # A compiler deep in its own code had to be killed, and its folder is still there.
            with contextlib.suppress(EngineError):
                self._cache.remove_leftover(self._cache.workshop_folder(slot.identity))
        except StreamDehazeError as error:
            _log.warning("no %s engine, PyTorch continues: %s", slot.request.recipe.engine, error)
            self._note = f"no {slot.request.recipe.engine} engine: {error}"
        finally:
            slot.settled = True

    def _compile_wanted(self, shape: Shape, engine: Engine) -> None:
        if not compiles(engine):
            return
        for (height, width), batches in list(self._wanted.items()):
            for batch in sorted(batches) if self._backend.covers(shape, height, width) else ():
                engine.compile_for(height, width, batch)

    def _built(self, slot: _Slot) -> EngineRecord:
        build_in_subprocess(slot.request, self._cache, self._stop)
        record = self._cache.find(slot.identity)
        if record is None:
            raise EngineError("what was built is gone, or of a checkpoint that has replaced the one in use")
        return record

    def _open(self, request: BuildRequest, record: EngineRecord) -> Engine | None:
        if self._only_if_faster and record.verification and prefers_pytorch(record.verification.timings):
            self._note = (
                f"the {request.recipe.engine} engine was twice measured slower, "
                f"last at {record.verification.speedup:.2f} of PyTorch's speed"
            )
            _log.info("PyTorch serves: %s", self._note)
            return None
        return open_built(request, record, self._backend, self._cache)
