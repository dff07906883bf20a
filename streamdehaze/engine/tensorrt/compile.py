"""From an ONNX file to a TensorRT plan."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from streamdehaze.durable import write_whole
from streamdehaze.engine.onnx.export import INPUT
from streamdehaze.engine.protocol import BuildProgress
from streamdehaze.engine.recipe import Shape, TensorRTOptions
from streamdehaze.engine.tensorrt.runtime import logger
from streamdehaze.errors import EngineError


def compile_plan(
    module: Any, graph: Path, shape: Shape, options: TensorRTOptions, timing_cache: Path | None, progress: BuildProgress
) -> bytes:
    """Build a plan from a strongly typed graph.

    Args:
        module: `tensorrt` or `tensorrt_rtx`.
        graph: the ONNX file, with free dimensions if the options name a profile.
        shape: what the plan is tuned for, and without a profile the only one it takes.
        options: from the recipe.
        timing_cache: measured kernel times are read from here and added to it.
        progress: called with the share done.

    Raises:
        EngineError: if TensorRT refuses the graph or cannot build it, with its own first error.
    """
    log = logger(module)
    builder = module.Builder(log)
    # TensorRT 11 and TensorRT-RTX know no other kind of network; 10 must be asked for it.
    flag = getattr(module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if flag is None else 1 << int(flag))
    parser = module.OnnxParser(network, log)
    if not parser.parse(graph.read_bytes()):
        raise EngineError(f"{module.__name__} refuses the graph: {parser.get_error(0).desc()}")
    config = builder.create_builder_config()
    _configure(module, config, options)
    if options.min_shape and options.max_shape:
        profile = builder.create_optimization_profile()
        profile.set_shape(INPUT, _dims(options.min_shape), _dims(shape), _dims(options.max_shape))
        config.add_optimization_profile(profile)
    cache = None
    if timing_cache is not None:
        cache = config.create_timing_cache(timing_cache.read_bytes() if timing_cache.is_file() else b"")
        config.set_timing_cache(cache, False)
    # The monitor must outlive the build, and TensorRT holds no reference of its own to it.
    config.progress_monitor = monitor = _monitor(module, progress)
    plan = builder.build_serialized_network(network, config)
    del monitor
    if plan is None:
        why = log.errors[0] if log.errors else "it gave no reason"
        raise EngineError(f"{module.__name__} cannot build the engine: {why}")
    if timing_cache is not None and cache is not None:
        write_whole(timing_cache, bytes(cache.serialize()))
    return bytes(plan)


def _configure(module: Any, config: Any, options: TensorRTOptions) -> None:
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(module.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    config.builder_optimization_level = options.optimization_level
    if options.version_compatible:
        config.set_flag(module.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware_compatible:
        config.hardware_compatibility_level = module.HardwareCompatibilityLevel.AMPERE_PLUS
    if options.compute_capabilities:
        known = {name: value for name, value in module.ComputeCapability.__members__.items() if name[:2] == "SM"}
        unknown = [name for name in options.compute_capabilities if name not in known]
        if unknown:
            raise EngineError(f"{module.__name__} does not build for {', '.join(unknown)}, only for {', '.join(known)}")
        config.num_compute_capabilities = len(options.compute_capabilities)
        for index, name in enumerate(options.compute_capabilities):
            config.set_compute_capability(known[name], index)


def _dims(shape: Shape) -> tuple[int, int, int, int]:
    return shape.batch, 3, shape.height, shape.width


def _monitor(module: Any, progress: BuildProgress) -> Any:
    class Monitor(module.IProgressMonitor):  # type: ignore[misc]
        # TensorRT tells of nested phases, each with a number of steps; the outermost one's steps are the whole.
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)
            self._phases: dict[str, tuple[float, float, int]] = {}
            self._told = 0.0

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            start, size = 0.0, 1.0
            if parent in self._phases:
                begin, extent, parent_steps = self._phases[parent]
                start, size = begin, extent / max(parent_steps, 1)
            self._phases[name] = (start, size, steps)

        def step_complete(self, name: str, step: int) -> bool:
            start, size, steps = self._phases[name]
            if time.monotonic() - self._told > 0.2:
                self._told = time.monotonic()
                progress("compiling", min(1.0, start + size * (step + 1) / max(steps, 1)))
            return True

        def phase_finish(self, name: str) -> None:
            self._phases.pop(name, None)

    return Monitor()
