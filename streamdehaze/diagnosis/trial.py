"""The bundled checkpoints, and one small picture made clear."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from streamdehaze.diagnosis.finding import Finding, one_line
from streamdehaze.extras import reinstall_command


def checkpoints() -> Iterator[Finding]:
    """Whether the bundled checkpoints are whole."""
    from streamdehaze.errors import StreamDehazeError
    from streamdehaze.network import DEFAULT_CHECKPOINT, list_checkpoints, load_network

    names = list_checkpoints()
    if DEFAULT_CHECKPOINT not in names:
        yield Finding(
            "checkpoints", DEFAULT_CHECKPOINT, "broken", "it is not in the package", reinstall_command(), core=True
        )
    for name in names:
        if importlib.util.find_spec("torch") is None:
            yield Finding("checkpoints", name, "ok", "present", core=True)
            continue
        try:
            parameters = sum(parameter.numel() for parameter in load_network(name).parameters())
        except (StreamDehazeError, OSError, RuntimeError) as error:
            yield Finding("checkpoints", name, "broken", one_line(error), reinstall_command(), core=True)
        else:
            yield Finding("checkpoints", name, "ok", f"loads; {parameters / 1e6:.2f} million parameters", core=True)


def dehazing() -> Iterator[Finding]:
    """Dehaze one small picture, as `run` would."""
    import numpy as np

    from streamdehaze.dehaze import Dehazer

    hazy = np.linspace(110, 220, 48 * 64 * 3).reshape(48, 64, 3).astype(np.uint8)
    engine = "auto" if importlib.util.find_spec("torch") is None else "torch"
    with Dehazer(engine=engine, network_size=64) as dehazer:
        clear = dehazer(hazy)
    works = clear.shape == hazy.shape and not np.array_equal(clear, hazy)
    fix = None if works else reinstall_command()
    detail = f"a small picture was made clear with {dehazer.engine.name}" if works else "the picture came out wrong"
    yield Finding("trial", "dehazing", "ok" if works else "broken", detail, fix, core=True)
