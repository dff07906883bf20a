"""Good files of every kind that is read, and what is done with each: films, pictures, and the program's own files."""

from __future__ import annotations

import contextlib
import gc
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av

import good_films
from clips import Clip
from doubles import EngineDouble, plain_dehazer
from streamdehaze.video.pyav import ANY_METADATA
from waiting import wait_until

SEGMENT_SECONDS = 0.4


@dataclass(frozen=True)
class Seed:
    """A good file, and what is done with it."""

    name: str
    content: bytes
    attempt: Callable[[Path], None]
    """Uses a damaged copy; raises `StreamDehazeError` to refuse it, and any other exception is a bug."""
    verdict: str = "done"
    """The result for the undamaged file."""


def seeds(folder: Path) -> list[Seed]:
    """Good files of every kind that is read: videos, odd videos, pictures, and what the program writes for itself."""
    folder.mkdir(parents=True, exist_ok=True)
    videos = [*good_films.videos(folder), *good_films.odd_videos(folder)]
    found = [Seed(path.name, path.read_bytes(), dehaze) for path in [*videos, good_films.huge_header(folder)]]
    found.append(Seed("empty.mkv", good_films.no_frames(folder).read_bytes(), dehaze, "refused"))
    found += [Seed(path.name, path.read_bytes(), dehaze) for path in good_films.pictures(folder)]
    found += _own_files(folder)
    gc.collect()
    gc.freeze()  # a child that closes its parent's codecs would wait for threads it does not have
    return found


def _own_files(folder: Path) -> list[Seed]:
    """Checkpoints, recipes, configurations, and the folder of an unfinished run."""
    import torch

    import streamdehaze
    from streamdehaze.engine.recipe import read_recipe
    from streamdehaze.live.config import read_config as read_cameras
    from streamdehaze.network import find_checkpoint, read_checkpoint
    from streamdehaze.training.config import read_config

    def use(read: Callable[[], object]) -> None:
        assert read() is not None

    training = (Path(streamdehaze.__file__).parent / "training/recipes/smoke.toml").read_bytes()
    cameras = (Path(__file__).parents[1] / "examples/live/cameras.toml").read_bytes()
    recipe = b'engine = "openvino"\nprecision = "float32"\n\n[shape]\nwidth = 256\nheight = 144\nbatch = 4\n'
    network = find_checkpoint("aecrnet-s").read_bytes()
    weights = read_checkpoint(find_checkpoint("aecrnet-s")).network().state_dict()
    authors = folder / "authors.pk"
    torch.save({"model": {f"module.{key}": value for key, value in weights.items()}}, authors)
    found = [
        Seed("net.safetensors", network, lambda path: use(read_checkpoint(path).network)),
        Seed("authors.pk", authors.read_bytes(), lambda path: use(read_checkpoint(path).network)),
        Seed("cameras.toml", cameras, lambda path: use(lambda: read_cameras(path))),
        Seed("engine.toml", recipe, lambda path: use(lambda: read_recipe(path))),
        Seed("training.toml", training, lambda path: use(lambda: read_config(path))),
    ]
    source = Clip(options={"g": "8"}, pts=range(0, 48 * 512, 512)).write(folder / "work.mp4")
    work = _unfinished(source, folder / "work.clear.mp4")
    truth = _decoded(_finished(source, folder / "truth.mp4"))
    for name in ("manifest.json", "00000.packets", "00001.packets", "00001.npz"):
        found.append(Seed(f"work {name}", (work / name).read_bytes(), _Resumed(source, work, name, truth)))
    manifest = (work / "manifest.json").read_bytes()
    found.append(Seed("work sealed manifest.json", manifest, _Sealed(source, work, "manifest.json", truth)))
    return found


class _Resumed:
    """Continues in a folder with one damaged file: it is refused, or the result is the right one."""

    def __init__(self, source: Path, work: Path, name: str, truth: list[tuple[int | None, bytes]]) -> None:
        self.source, self.work, self.name, self.truth = source, work, name, truth

    def __call__(self, path: Path) -> None:
        target = path.parent / "work.clear.mp4"
        shutil.copytree(self.work, target.parent / self.work.name)
        shutil.copyfile(path, target.parent / self.work.name / self.name)
        self.prepare(target.parent / self.work.name)
        _finished(self.source, target)
        self.check(_decoded(target))

    def prepare(self, work: Path) -> None:
        """What else is done to the folder."""

    def check(self, found: list[tuple[int | None, bytes]]) -> None:
        """Whether the result may look like this."""
        assert found == self.truth, "the result differs from that of an unbroken run"


class _Sealed(_Resumed):
    """Continues with a manifest that was damaged before it was hashed: it is trusted, and must only be survived."""

    def prepare(self, work: Path) -> None:
        from streamdehaze.video.resume.manifest import Manifest, write_manifest

        with contextlib.suppress(ValueError, RecursionError):
            write_manifest(work, Manifest.model_validate_json((work / self.name).read_bytes()))

    def check(self, found: list[tuple[int | None, bytes]]) -> None:
        assert found


def _finished(source: Path, target: Path) -> Path:
    from streamdehaze import dehaze_video

    dehazer = plain_dehazer(engine=EngineDouble(), network_size=32, steady="low")
    dehaze_video(source, target, dehazer=dehazer, segment_seconds=SEGMENT_SECONDS)
    return target


def _unfinished(source: Path, target: Path) -> Path:
    """The folder of a run that was stopped after two segments."""
    from streamdehaze import dehaze_video
    from streamdehaze.errors import StreamDehazeError

    folder = target.with_name(f"{target.name}.part")

    def crash(engine: EngineDouble) -> None:
        if engine.pictures > 44:  # of each segment, and of the film before it
            wait_until(lambda: len(json.loads((folder / "manifest.json").read_text())["segments"]) >= 2, "two segments")
            raise RuntimeError("stopped")

    try:
        dehazer = plain_dehazer(engine=EngineDouble(before=crash), network_size=32, steady="low")
        dehaze_video(source, target, dehazer=dehazer, segment_seconds=SEGMENT_SECONDS)
    except StreamDehazeError:
        (folder / "lock").unlink(missing_ok=True)
        return folder
    raise AssertionError("the run was not stopped")


def _decoded(path: Path) -> list[tuple[int | None, bytes]]:
    with av.open(str(path), **ANY_METADATA) as container:
        return [(frame.pts, frame.to_ndarray().tobytes()) for frame in container.decode(video=0)]


def dehaze(path: Path) -> None:
    """Make a file clear, in segments if it is long enough; a result must be complete."""
    from streamdehaze import dehaze_video
    from streamdehaze.pipeline.inputs import output_path

    target = Path(output_path(path))
    dehazer = plain_dehazer(engine=EngineDouble(), network_size=32)
    report = dehaze_video(path, target, dehazer=dehazer, segment_seconds=SEGMENT_SECONDS)
    written = report.statistics.encode.frames
    if target.suffix in (".png", ".jpg", ".tiff", ".bmp", ".webp"):
        assert target.stat().st_size
        return
    given = "mpegts" if target.suffix == ".ts" else None  # FFmpeg takes some of few packets for something else
    with av.open(str(target), format=given, **ANY_METADATA) as container:
        found = sum(1 for _ in container.decode(video=0))
    # A GIF never has two pictures at the same time, and a raw stream need not have a frame for each.
    assert found == written or target.suffix in (".gif", ".h264"), f"{written} frames written, {found} found"
