"""Harm done to good files, and what a process of its own makes of each: the result, or one sentence, never more.

Used by `test_mutations.py` (some hundreds of cases) and by `benchmarks/mutations.py` (as many as there is time for).
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import re
import resource
import shutil
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from clips import Clip, noise_picture
from streamdehaze.frame import FloatArray

SECONDS = 60.0
"""A case that takes longer hangs."""
MEMORY_BYTES = 3 << 30
"""Address space a case may take beyond what its process is born with."""
SEGMENT_SECONDS = 0.4

_BUG = re.compile(r"^(decode|dehaze|encode) failed: ")
"""How the pipeline words an exception nobody expected."""


class Halves:
    """An engine that halves."""

    name = "half"

    def infer(self, hazy: FloatArray) -> FloatArray:
        return hazy / 2

    def close(self) -> None: ...


@dataclass(frozen=True)
class Seed:
    """A good file, and what is done with it."""

    name: str
    content: bytes
    attempt: Callable[[Path], None]
    """Uses a harmed copy; raises `StreamDehazeError` to refuse it, anything else is a bug."""
    verdict: str = "done"
    """What becomes of it unharmed."""


@dataclass(frozen=True)
class Verdict:
    """What became of a case."""

    kind: str
    """"done", "refused", or a bug: "raised", "hung", "crashed", "left files"."""
    words: str = ""

    @property
    def is_bug(self) -> bool:
        return self.kind not in ("done", "refused")


# --- what is harmed ---------------------------------------------------------------------------------------------------


def seeds(folder: Path) -> list[Seed]:
    """Good files of every kind that is read: videos, odd videos, pictures, and what the program writes for itself."""
    folder.mkdir(parents=True, exist_ok=True)
    videos = [*_videos(folder), *_odd_videos(folder)]
    found = [Seed(path.name, path.read_bytes(), dehaze) for path in [*videos, _huge_header(folder)]]
    found.append(Seed("empty.mkv", _no_frames(folder).read_bytes(), dehaze, "refused"))
    found += [Seed(path.name, path.read_bytes(), dehaze) for path in _pictures(folder)]
    found += _own_files(folder)
    gc.collect()
    gc.freeze()  # a child that closed its parent's codecs would wait for threads it does not have
    return found


def _videos(folder: Path) -> list[Path]:
    millisecond, step = Fraction(1, 1000), 40
    base: dict[str, Any] = {
        "time_base": millisecond,
        "pts": range(0, 24 * step, step),
        "options": {"g": "8", "bf": "2"},
    }
    chapters = [{"id": 1, "start": 0, "end": 400, "time_base": millisecond, "metadata": {"title": "fog"}}]
    rich: dict[str, Any] = {
        "audio": "aac", "chapters": chapters, "metadata": {"title": "fog"}, "rotation": 90, "color": (1, 1, 1, 1),
        "aspect": Fraction(4, 3),
    }  # fmt: skip
    mpeg4 = {"codec": "mpeg4", "time_base": Fraction(1, 25), "pts": range(24), "options": {}}
    clips = {
        "rich.mp4": Clip(**{**base, **rich, "subtitles": "mov_text"}),
        "front.mp4": Clip(**{**base, "container_options": {"movflags": "+faststart"}}),
        "fragments.mp4": Clip(**{**base, "container_options": {"movflags": "+frag_keyframe+empty_moov"}}),
        "rich.mkv": Clip(**{**base, **rich, "subtitles": "subrip", "attachments": [("a.ttf", "font/ttf", b"font")]}),
        "hevc.mkv": Clip(**{**base, "codec": "libx265", "options": {"x265-params": "log-level=none:keyint=8"}}),
        "ten.mov": Clip(**{**base, "codec": "prores_ks", "pixel_format": "yuv422p10le", "options": {}}),
        "vp9.webm": Clip(**{**base, "codec": "libvpx-vp9", "options": {"g": "8", "cpu-used": "8"}, "audio": "libopus"}),
        "av1.mp4": Clip(**{**base, "codec": "libsvtav1", "options": {"preset": "12"}}),
        "stream.ts": Clip(
            time_base=Fraction(1, 90000), pts=range(0, 24 * 3600, 3600), options={"g": "8"}, audio="aac", data="klv"
        ),
        "old.avi": Clip(**mpeg4, audio="pcm_s16le"),
        "program.mpg": Clip(**{**mpeg4, "codec": "mpeg2video"}, format="mpeg"),
        "raw.h264": Clip(**{**base, "options": {"g": "8"}}),
        "plain.y4m": Clip(**{**base, "codec": "wrapped_avframe", "options": {}}),
        "small.gif": Clip(
            codec="gif", pixel_format="rgb8", time_base=Fraction(1, 100), pts=range(0, 96, 4), options={}
        ),
        "still.mkv": Clip(**{**base, "codec": "mjpeg", "pixel_format": "yuvj420p", "pts": [0], "options": {}}),
    }
    return [clip.write(folder / name) for name, clip in clips.items()]


def _odd_videos(folder: Path) -> list[Path]:
    """Files that are wrong, or only unusual, in what their packets say."""
    source = Clip(options={"g": "8"}, audio="aac").write(folder / "straight.mp4")
    old = Clip(codec="mpeg4", time_base=Fraction(1, 25), pts=range(24), options={}).write(folder / "old.mkv")
    small, large = (
        Clip(size=size, options={"bf": "0"}).write(folder / f"{size[0]}.h264") for size in [(64, 48), (96, 64)]
    )
    changing = folder / "changing.h264"
    changing.write_bytes(small.read_bytes() + large.read_bytes())
    deep = Clip(pixel_format="yuv420p10le", options={"bf": "0"}).write(folder / "deep.h264")
    deepening = folder / "deepening.h264"
    deepening.write_bytes(small.read_bytes() + deep.read_bytes())
    stream = Clip(time_base=Fraction(1, 90000), pts=range(0, 24 * 3600, 3600), audio="aac").write(folder / "one.ts")
    twice = folder / "twice.ts"
    twice.write_bytes(stream.read_bytes() * 2)

    def swap(packets: list[Any]) -> list[Any]:
        return [packets[i ^ 1] if i ^ 1 < len(packets) else packets[i] for i in range(len(packets))]

    def double(packets: list[Any]) -> list[Any]:
        return [packet for each in packets for packet in (each, each)]

    def jump_back(packet: Any, number: int) -> None:
        if number > 20:
            packet.pts, packet.dts = packet.pts - 9000, packet.dts - 9000

    def leap(packet: Any, number: int) -> None:
        if number > 20:
            packet.pts, packet.dts = packet.pts + (1 << 33), packet.dts + (1 << 33)

    def no_pts(packet: Any, number: int) -> None:
        packet.pts = None

    def long(packet: Any, number: int) -> None:
        packet.duration = 1 << 30

    def late(packet: Any, number: int) -> None:
        if packet.stream.type == "video":
            packet.pts, packet.dts = packet.pts + 128000, packet.dts + 128000

    def same(packet: Any, number: int) -> None:
        packet.pts = packet.dts = 0

    made = [changing, deepening, twice]
    for name, order, change in [
        ("swapped.mkv", swap, None), ("doubled.mkv", double, None), ("back.nut", None, jump_back),
        ("back.ts", None, jump_back), ("leap.ts", None, leap), ("leap.mkv", None, leap), ("untimed.avi", None, no_pts),
        ("long.mp4", None, long), ("late.mkv", None, late), ("late.ts", None, late), ("zero.mkv", None, same),
    ]:  # fmt: skip
        path = folder / name
        if _remux(old if name.endswith(".avi") else source, path, order, change):
            made.append(path)
    return made


def _remux(source: Path, target: Path, order: Any, change: Any) -> bool:
    """Copy packets in another order or with other times; False where the muxer will not have it."""
    try:
        with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
            copies = {stream.index: writer.add_stream_from_template(stream, opaque=True) for stream in reader.streams}
            packets = [packet for packet in reader.demux() if packet.size]
            for number, packet in enumerate(order(packets) if order else packets):
                if change:
                    change(packet, number)
                packet.stream = copies[packet.stream.index]
                try:
                    writer.mux_one(packet)
                except (av.error.FFmpegError, ValueError):
                    continue
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def _no_frames(folder: Path) -> Path:
    """A video stream with a header, and not one picture."""
    path = folder / "empty.mkv"
    with av.open(str(path), "w") as output:
        output.add_stream("mpeg4", width=64, height=48, pix_fmt="yuv420p")
        sound: Any = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        output.mux(sound.encode(silence()))
    return path


def silence() -> av.AudioFrame:
    """A tenth of a second of it."""
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
    frame.sample_rate = 8000
    return frame


def _huge_header(folder: Path) -> Path:
    """More tags, chapters and attachments than pictures."""
    tick = Fraction(1, 1000)
    return Clip(
        time_base=tick,
        pts=range(0, 960, 40),
        metadata={f"tag{number}": "fog" * 100 for number in range(500)},
        chapters=[{"id": n, "start": n, "end": n + 1, "time_base": tick, "metadata": {}} for n in range(900)],
        attachments=[("a.ttf", "font/ttf", bytes(200_000))],
    ).write(folder / "header.mkv")


def _pictures(folder: Path) -> list[Path]:
    made = []
    for name, codec, pixel_format in [
        ("photo.png", "png", "rgb24"), ("deep.png", "png", "rgb48be"), ("photo.jpg", "mjpeg", "yuvj420p"),
        ("photo.tiff", "tiff", "rgb24"), ("photo.bmp", "bmp", "bgr24"), ("photo.webp", "libwebp", "yuv420p"),
    ]:  # fmt: skip
        coder: Any = av.CodecContext.create(codec, "w")
        coder.width, coder.height, coder.pix_fmt, coder.time_base = 48, 32, pixel_format, Fraction(1, 25)
        picture = noise_picture((48, 32), pixel_format, 0)
        picture.pts = 0
        path = folder / name
        path.write_bytes(b"".join(bytes(packet) for packet in [*coder.encode(picture), *coder.encode(None)]))
        made.append(path)
    return made


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
    """Goes on in a folder of which one file is harmed: refused, or the result is the true one."""

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
    """Goes on with a manifest that was harmed before its hash was made: it is believed, and need only be survived."""

    def prepare(self, work: Path) -> None:
        from streamdehaze.video.manifest import Manifest, write_manifest

        with contextlib.suppress(ValueError, RecursionError):
            write_manifest(work, Manifest.model_validate_json((work / self.name).read_bytes()))

    def check(self, found: list[tuple[int | None, bytes]]) -> None:
        assert found


def _finished(source: Path, target: Path) -> Path:
    from streamdehaze import Dehazer, dehaze_video

    dehazer = Dehazer(engine=Halves(), network_size=32, steady="low")
    dehaze_video(source, target, dehazer=dehazer, segment_seconds=SEGMENT_SECONDS)
    return target


def _unfinished(source: Path, target: Path) -> Path:
    """The folder of a run that was stopped after two segments."""
    from streamdehaze import Dehazer, dehaze_video
    from streamdehaze.errors import StreamDehazeError

    folder = target.with_name(f"{target.name}.part")

    class Crashing(Halves):
        frames = 0

        def infer(self, hazy: FloatArray) -> FloatArray:
            self.frames += len(hazy)
            if self.frames > 36:
                while len(json.loads((folder / "manifest.json").read_text())["segments"]) < 2:
                    time.sleep(0.01)
                raise RuntimeError("stopped")
            return super().infer(hazy)

    try:
        dehazer = Dehazer(engine=Crashing(), network_size=32, steady="low")
        dehaze_video(source, target, dehazer=dehazer, segment_seconds=SEGMENT_SECONDS)
    except StreamDehazeError:
        (folder / "lock").unlink(missing_ok=True)
        return folder
    raise AssertionError("the run was not stopped")


def _decoded(path: Path) -> list[tuple[int | None, bytes]]:
    with av.open(str(path), metadata_errors="surrogateescape") as container:
        return [(frame.pts, frame.to_ndarray().tobytes()) for frame in container.decode(video=0)]


def dehaze(path: Path) -> None:
    """Make a file clear, in segments where it is long enough; a result must be whole."""
    from streamdehaze import Dehazer, dehaze_video
    from streamdehaze.video.inputs import output_path

    target = Path(output_path(path))
    dehazer = Dehazer(engine=Halves(), network_size=32)
    report = dehaze_video(path, target, dehazer=dehazer, segment_seconds=SEGMENT_SECONDS)
    written = report.statistics.encode.frames
    if target.suffix in (".png", ".jpg", ".tiff", ".bmp", ".webp"):
        assert target.stat().st_size
        return
    found = len(_decoded(target))
    # A GIF has no two pictures at a time, and a raw stream no frame of its own for each.
    assert found == written or target.suffix in (".gif", ".h264"), f"{written} frames written, {found} found"


# --- how it is harmed -------------------------------------------------------------------------------------------------


def harm(content: bytes, chance: random.Random) -> tuple[bytes, str]:
    """A harmed copy, and in words what was done; most of the harm falls on the first and last kilobytes."""
    data = bytearray(content)
    done = []
    for _ in range(chance.choice([1, 1, 1, 2, 3, 8])):
        name, change = chance.choice(list(_HARMS.items()))
        if data:
            place = _place(len(data), chance)
            change(data, place, chance)
            done.append(f"{name} at {place}")
    return bytes(data), ", ".join(done)


def _place(size: int, chance: random.Random) -> int:
    near = chance.randrange(min(size, 2048))
    return chance.choice([near, size - 1 - near, chance.randrange(size)])


def _flip(data: bytearray, place: int, chance: random.Random) -> None:
    data[place] ^= 1 << chance.randrange(8)


def _set(data: bytearray, place: int, chance: random.Random) -> None:
    value = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
    length = chance.choice([1, 2, 4, 8, 64])
    data[place : place + length] = bytes([value]) * len(data[place : place + length])


def _noise(data: bytearray, place: int, chance: random.Random) -> None:
    length = chance.choice([4, 32, 512])
    data[place : place + length] = chance.randbytes(len(data[place : place + length]))


def _cut_off(data: bytearray, place: int, chance: random.Random) -> None:
    del data[place:]


def _remove(data: bytearray, place: int, chance: random.Random) -> None:
    del data[place : place + chance.choice([1, 4, 188, 1000])]


def _repeat(data: bytearray, place: int, chance: random.Random) -> None:
    data[place:place] = data[place : place + chance.choice([1, 4, 188, 1000])]


def _insert(data: bytearray, place: int, chance: random.Random) -> None:
    data[place:place] = chance.randbytes(chance.choice([1, 4, 188]))


def _move(data: bytearray, place: int, chance: random.Random) -> None:
    piece = data[place : place + chance.choice([4, 188, 1000])]
    del data[place : place + len(piece)]
    other = chance.randrange(len(data) + 1)
    data[other:other] = piece


def _swap_number(data: bytearray, place: int, chance: random.Random) -> None:
    """A 32-bit number becomes one of those that overflow."""
    value = chance.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x00010000, 0x0FFFFFFF])
    data[place : place + 4] = value.to_bytes(4, chance.choice(["big", "little"]))[: len(data[place : place + 4])]


_TOKEN = re.compile(rb'-?[\d.]+|"[^"\n]*"|true|false|null')
_ODD_TOKENS = (
    b"-1", b"0", b"1e999", b"-0.0", b"99999999999999999999", b"nan", b"null", b"true", b"[]", b"{}", b'""',
    b'"../../x"', b'"\\u0000"', b'"\xff"', b'"' + b"9" * 5000 + b'"', b"[" * 3000 + b"]" * 3000,
)  # fmt: skip


def _swap_token(data: bytearray, place: int, chance: random.Random) -> None:
    """A word, number or string of a text becomes another; what is no text gets a bit flipped."""
    tokens = [match.span() for match in _TOKEN.finditer(data)] if len(data) < 10_000 and 0 not in data else []
    if not tokens:
        _flip(data, place, chance)
        return
    first, last = chance.choice(tokens)
    other = chance.choice(tokens)
    data[first:last] = chance.choice([*_ODD_TOKENS, bytes(data[slice(*other)])])


_HARMS: dict[str, Callable[[bytearray, int, random.Random], None]] = {
    "bit flipped": _flip, "bytes set": _set, "noise": _noise, "cut off": _cut_off, "removed": _remove,
    "repeated": _repeat, "inserted": _insert, "moved": _move, "number replaced": _swap_number,
    "word swapped": _swap_token,
}  # fmt: skip


# --- what becomes of it -----------------------------------------------------------------------------------------------


def judge(seed: Seed, content: bytes, folder: Path) -> Verdict:
    """Use a harmed copy in a process of its own, under limits of time and memory; `folder` is empty afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / seed.name.rpartition(" ")[2]
    path.write_bytes(content)
    said = folder / "said"
    child = os.fork()
    if child == 0:
        _be_the_child(seed, path, said)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            break
        time.sleep(0.005)
    else:
        os.kill(child, signal.SIGABRT)
        time.sleep(0.5)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return Verdict("hung", _text(said))
    text = _text(said)
    kind, _, words = text.partition("\n")
    if kind not in ("done", "refused", "raised"):
        return Verdict("crashed", text)
    left = sorted(entry.name for entry in folder.iterdir() if entry not in (path, said))
    if kind == "refused" and (_BUG.match(words) or "\n" in words.strip()):
        return Verdict("raised", words)
    if kind == "refused" and any(not name.endswith(".part") for name in left):
        return Verdict("left files", f"{left} after: {words}")
    shutil.rmtree(folder, ignore_errors=True)
    return Verdict(kind, words)


def _text(said: Path) -> str:
    return said.read_text(errors="replace").strip() if said.exists() else "(nothing)"


def _be_the_child(seed: Seed, path: Path, said: Path) -> None:
    import faulthandler

    from streamdehaze.errors import StreamDehazeError

    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    faulthandler.enable(open(said, "a"))  # noqa: SIM115 (to the end of the process)
    import logging

    import torch

    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)  # those of the parent's pool did not come along; waiting for them would never end
    with open("/proc/self/statm") as statm:
        born_with = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (born_with + MEMORY_BYTES,) * 2)
    try:
        seed.attempt(path)
        verdict = "done\n"
    except StreamDehazeError as error:
        cause = "".join(traceback.format_exception(error.__cause__)) if _BUG.match(str(error)) else ""
        verdict = f"refused\n{error}\n{cause}".strip()
    except BaseException:
        verdict = f"raised\n{traceback.format_exc()}"
    os.write(out, verdict.encode(errors="replace"))
    os._exit(0)


def warm_up() -> None:
    """Import and compile what every case needs, so that its process is born with it."""
    import torch  # noqa: F401
    from PIL import Image

    import streamdehaze.pipeline
    import streamdehaze.training.config  # noqa: F401
    from streamdehaze import Dehazer

    dehazer = Dehazer(engine=Halves(), network_size=32)
    for dtype in (np.uint8, np.uint16):
        for shape in ((32, 48), (32, 48, 3), (32, 48, 4)):
            dehazer(np.zeros(shape, dtype))
    Image.init()
