"""`LivePipeline`: cameras in, clear frames out, until it is stopped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from streamdehaze.dehaze import DEFAULT_NETWORK_SIZE, Dehazer
from streamdehaze.errors import ConfigError
from streamdehaze.live.camera import IN_PLACE, Camera, CameraStateListener, FrameListener
from streamdehaze.live.config import CameraConfig
from streamdehaze.live.dehazing.adapt import Adapt
from streamdehaze.live.dehazing.scheduler import FrameScheduler
from streamdehaze.live.dehazing.worker import Worker
from streamdehaze.live.profiles import ProfileConfig, check_choice
from streamdehaze.live.state import CameraState

log = logging.getLogger("streamdehaze.live")

_STUCK_SECONDS = 60.0
_PROFILE_SECONDS = 1.0
"""Between two looks whether cameras should take on another profile."""


class LivePipeline:
    """Runs cameras in threads of their own and makes their frames clear with one shared engine.

    1. A supervisor a camera keeps a connection open; the connection's thread reads and decodes.
    2. Fresh frames of all cameras wait in one scheduler, from which one thread takes batches and makes them clear.
    3. Each clear frame is shown in the camera's view and encoded once for the camera's sinks.

    Args:
        cameras: their configurations; names must differ.
        dehazer: its engine serves; each camera has a stream with settings of its own. By default one with the default
            checkpoint.
        network_size: long side of the picture the network sees at full quality, pixels.
        batch_size: frames that share a run of the network, at most.
        adapt: give quality up, step by step, where the processor cannot keep up.
        profiles: settings that cameras take on by time, by haze or on request, by name.
        on_frame: called with (camera, hazy frame, clear frame) from the engine's thread.
        on_state: called with (camera, state, message) from the camera's supervisor.

    Raises:
        ConfigError: if two cameras have one name, or one of them cannot be as it is configured; see `Camera`.
        CheckpointError, EngineError: if the engine cannot be loaded.

    Example:
        >>> with LivePipeline([CameraConfig(name="gate", url="rtsp://192.0.2.7/stream")]) as pipeline:
        ...     pair = pipeline.cameras["gate"].view.wait(timeout=10)
    """

    def __init__(
        self,
        cameras: Sequence[CameraConfig],
        *,
        dehazer: Dehazer | None = None,
        network_size: int = DEFAULT_NETWORK_SIZE,
        batch_size: int = 4,
        adapt: bool = True,
        profiles: Mapping[str, ProfileConfig] | None = None,
        on_frame: FrameListener | None = None,
        on_state: CameraStateListener | None = None,
    ) -> None:
        self._own_dehazer = dehazer is None
        self._on_frame, self._on_state = on_frame, on_state
        self._profiles: Mapping[str, ProfileConfig] = dict(profiles or {})
        self._scheduler = FrameScheduler()
        self._adapt = Adapt(network_size, enabled=adapt)
        self._engine_name = ""
        self._stopping = threading.Event()
        self._started = self._opened = self._stopped = self._finished = False
        self._lock = threading.RLock()
        self.error: BaseException | None = None
        """What ended all work, if anything did; `stopped` is set then."""
        self._cameras: Mapping[str, Camera] = {}
        self._cameras = self._with(cameras, {})
        self._dehazer = Dehazer() if dehazer is None else dehazer
        self._worker = Worker(
            self._scheduler,
            self._dehazer,
            self._adapt,
            batch_size=batch_size,
            ready=self._open_cameras,
            failed=self._failed,
        )

    @property
    def cameras(self) -> Mapping[str, Camera]:
        """By name; `reload` puts another mapping in its place."""
        return MappingProxyType(dict(self._cameras))

    @property
    def engine(self) -> str:
        """What serves at the moment."""
        return self._dehazer.engine.name

    @property
    def adapt_level(self) -> int:
        """Steps of quality given up; 0 is full quality."""
        return self._adapt.index

    @property
    def stopped(self) -> threading.Event:
        """Set once the pipeline is being stopped, or has failed."""
        return self._stopping

    @property
    def opened(self) -> bool:
        """Whether the engine is warm, and the cameras are being opened."""
        return self._opened

    @property
    def moves(self) -> bool:
        """Whether the engine's thread has gone through its work, or found none, within the last minute."""
        return self._worker.beat_seconds < _STUCK_SECONDS

    @property
    def ended(self) -> bool:
        """Whether every camera has come to its end: only files do."""
        return all(camera.idle for camera in self._cameras.values())

    def start(self) -> None:
        """Open the cameras as soon as the engine is warm; returns at once. A pipeline is started once.

        Raises:
            RuntimeError: if it was started before.
        """
        with self._lock:
            if self._started:
                raise RuntimeError("a LivePipeline is started once; make another one")
            self._started = True
            self._worker.start()
            threading.Thread(target=self._follow_profiles, name="profiles", daemon=True).start()

    def reload(self, cameras: Sequence[CameraConfig], profiles: Mapping[str, ProfileConfig] | None = None) -> None:
        """Take up a changed list of cameras: those that did not change are not touched, strength and the like change
        from the next frame on, all others are closed and opened again.

        Raises:
            ConfigError: if two have one name, a target cannot be written to, or there is no profile of the name that
                one should have; everything stays as it was then.
        """
        with self._lock:
            before, profiles_before = self._cameras, self._profiles
            self._profiles = dict(profiles or {})
            try:
                after = self._with(cameras, before)
            except ConfigError:
                self._profiles = profiles_before
                raise
            changed = [(after[config.name], config) for config in cameras if after[config.name].config != config]
            for camera, config in changed:
                camera.adopt(config)
            gone = [camera for name, camera in before.items() if after.get(name) is not camera]
            new = [camera for name, camera in after.items() if before.get(name) is not camera]
            for camera in gone:
                camera.stop()
            _finish(gone, 2.0)  # before its successor opens the same device, file or mount
            self._cameras = after
            if self._opened and not self._stopping.is_set():
                for camera in new:
                    camera.start()
        log.warning(
            "cameras reloaded: %d stopped, %d started, %d changed in place, %d untouched",
            len(gone),
            len(new),
            len(changed),
            len(after) - len(new) - len(changed),
        )

    def stop(self, timeout: float = 4.0) -> bool:
        """Close cameras and sinks, finish files; returns after `timeout` seconds at the latest. May be called twice.

        Returns:
            Whether all files and streams were finished by then; those that were not are named in the log.
        """
        with self._lock:
            if self._stopped:
                return self._finished
            self._stopped = True
            self._stopping.set()
            cameras = list(self._cameras.values())
        deadline = time.monotonic() + timeout
        for camera in cameras:
            camera.stop()
        self._worker.stop()
        self._worker.join(timeout / 3)
        self._scheduler.close()
        self._finished = _finish(cameras, max(0.2, deadline - time.monotonic()))
        if self._own_dehazer and not self._worker.alive:
            self._dehazer.close()
        return self._finished

    def __enter__(self) -> LivePipeline:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _follow_profiles(self) -> None:
        while not self._stopping.wait(_PROFILE_SECONDS):
            for camera in self._cameras.values():
                camera.follow_profile()

    def _open_cameras(self) -> None:
        with self._lock:
            self._opened = True
            if not self._stopping.is_set():
                for camera in self._cameras.values():
                    camera.start()

    def _with(self, configs: Sequence[CameraConfig], existing: Mapping[str, Camera]) -> dict[str, Camera]:
        cameras: dict[str, Camera] = {}
        for config in configs:
            if config.name in cameras:
                raise ConfigError(f"two cameras are called '{config.name}'; names must differ")
            kept = existing.get(config.name)
            ended = kept is not None and kept.machine.state is CameraState.ENDED
            if kept is not None and not ended and _differs_in_place(kept.config, config):
                if config.profile != kept.config.profile:
                    check_choice(config.profile, self._profiles)
                cameras[config.name] = kept
            else:
                cameras[config.name] = self._camera(config)
        return cameras

    def _camera(self, config: CameraConfig) -> Camera:
        camera = Camera(
            config,
            self._scheduler,
            adapt=self._adapt,
            engine=lambda: self.engine,
            profiles=lambda: self._profiles,
            on_frame=self._on_frame,
        )
        if self._on_state is not None:
            listener = self._on_state
            camera.machine.listen(lambda _, state, message: listener(camera, state, message))
        return camera

    def _failed(self, error: BaseException) -> None:
        self.error = error
        log.error("%s", error)
        self._stopping.set()


def _differs_in_place(before: CameraConfig, after: CameraConfig) -> bool:
    """Whether two configurations differ in nothing but `IN_PLACE`, so that the camera may stay open."""
    same = {key: getattr(after, key) for key in IN_PLACE}
    return before.model_copy(update=same) == after


def _finish(cameras: Sequence[Camera], timeout: float) -> bool:
    """Finish cameras side by side, for `timeout` seconds at the latest; whether all were, the others being named."""
    deadline = time.monotonic() + timeout
    finished: set[str] = set()

    def finish(camera: Camera) -> None:
        if camera.finish(timeout):
            finished.add(camera.config.name)

    threads = [threading.Thread(target=finish, args=(camera,), daemon=True) for camera in cameras]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = [camera.config.name for camera in cameras if camera.config.name not in finished]
    for name in late:
        log.error("%s: its files and streams could not be finished in %.1f s", name, timeout, extra={"camera": name})
    return not late
