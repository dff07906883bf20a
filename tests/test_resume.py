"""Hours of work survive a crash: what was finished is kept, and the result is that of an uninterrupted run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner

from clips import Clip, frames_of, other_packets, video_ticks
from doubles import EngineDouble, nervous_engine, plain_dehazer
from held_run import held_run
from streamdehaze import Dehazer, Frame, dehaze_video
from streamdehaze.cli import main
from streamdehaze.control.keyframes import Keyframes
from streamdehaze.control.mask import Mask
from streamdehaze.dehaze.look import Look
from streamdehaze.errors import SinkError, SourceError
from streamdehaze.frame import FloatArray
from streamdehaze.meter import auto
from streamdehaze.video import EncodeOptions, FileSource, part_folder
from streamdehaze.video.reading.options import OnDamage
from streamdehaze.video.resume.cut import Cut
from streamdehaze.video.resume.manifest import Manifest, write_manifest
from streamdehaze.video.resume.source import Continued
from waiting import PATIENCE_SECONDS, wait_until

MILLISECOND = Fraction(1, 1000)
SECONDS = 0.8  # a segment of 20 frames


class CrashError(Exception):
    """As far as the files can tell, the process ends here."""


def halving(crash_after: int | None = None, ready: Callable[[], bool] = lambda: True) -> EngineDouble:
    """An engine that halves, and crashes after this many frames, once `ready`."""

    def crash(engine: EngineDouble) -> None:
        if crash_after is not None and engine.pictures > crash_after:
            wait_until(ready, "the segment before the crash")
            raise CrashError

    return EngineDouble(before=crash)


def dehaze(source: Path, target: Path, *, crash_after: int | None = None, **options: Any) -> int:
    """Dehaze in segments; the frames that went through the network."""
    before = segments(target)
    engine = halving(crash_after, lambda: segments(target) > before)
    options = {"segment_seconds": SECONDS, "dehazer": plain_dehazer(engine=engine), **options}
    if crash_after is None:
        dehaze_video(source, target, **options)
    else:
        with pytest.raises(Exception, match="Crash"):
            dehaze_video(source, target, **options)
    return engine.pictures


def segments(target: Path) -> int:
    """Finished segments of an output."""
    try:
        return len(json.loads((part_folder(target) / "manifest.json").read_text())["segments"])
    except (FileNotFoundError, TypeError):
        return 0


def contents(path: Path) -> dict[str, Any]:
    """Everything in a file that a user can notice."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]
        chapters = [(c["start"] * c["time_base"], c["end"] * c["time_base"]) for c in container.chapters()]
        attachments = [(s.name, s.data) for s in container.streams if s.type == "attachment"]
        metadata = dict(container.metadata)
    return {
        "frames": frames, "ticks": video_ticks(path), "others": other_packets(path), "chapters": chapters,
        "attachments": attachments, "metadata": metadata,
    }  # fmt: skip


def long_clip(ending: str, **facts: Any) -> Clip:
    """Four seconds with a keyframe every twelve frames, B-frames where they fit, and sound."""
    tick = {"mp4": Fraction(1, 12800), "mov": Fraction(1, 12800), "ts": Fraction(1, 90000), "avi": Fraction(1, 25)}
    time_base = tick.get(ending, MILLISECOND)
    step = Fraction(1, 25) / time_base
    usual: dict[str, Any] = {
        "time_base": time_base,
        "pts": [int(step * number) for number in range(100)],
        "options": {"g": "12", "bf": "0" if ending == "avi" else "2"},
        "audio": {"webm": "libopus", "avi": "pcm_s16le"}.get(ending, "aac"),
    }
    if ending == "webm":
        usual |= {"codec": "libvpx-vp9", "options": {"g": "12", "cpu-used": "8"}}
    return Clip(**{**usual, **facts})


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "ts", "avi", "webm"])
def test_an_interrupted_run_continues_to_the_result_of_an_uninterrupted_one(tmp_path: Path, ending: str) -> None:
    chapters = [{"id": 1, "start": 0, "end": 1400, "time_base": MILLISECOND, "metadata": {"title": "fog"}}]
    facts: dict[str, Any] = {"chapters": chapters} if ending in ("mp4", "mkv", "mov") else {}
    if ending == "mkv":
        facts |= {"attachments": [("sans.ttf", "font/ttf", b"font")], "subtitles": "subrip"}
    source = long_clip(ending, **facts).write(tmp_path / f"in.{ending}")
    assert dehaze(source, tmp_path / f"whole.{ending}") == 100
    once = tmp_path / f"once.{ending}"
    dehaze(source, once, segment_seconds=0)
    target = tmp_path / f"broken.{ending}"
    redone = dehaze(source, target, crash_after=30)
    assert not target.exists()
    assert part_folder(target).is_dir()
    redone += dehaze(source, target, crash_after=40)
    redone += dehaze(source, target)
    assert redone < 100 + 2 * 40
    whole = contents(tmp_path / f"whole.{ending}")
    assert len(whole["frames"]) == 100
    assert contents(target) == whole
    # interrupted or not: the same except for the pixels, which are encoded again
    plain = contents(once)
    assert {**whole, "frames": 0} == {**plain, "frames": 0}
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted(f"{name}.{ending}" for name in ("in", "whole", "once", "broken"))


@pytest.mark.parametrize("codec", ["libx265", "libsvtav1", "ffv1", "mpeg4", "mpeg2video", "prores_ks"])
def test_segments_of_every_kind_of_encoder_join(tmp_path: Path, codec: str) -> None:
    source = long_clip("mkv", pts=[40 * n for n in range(50)]).write(tmp_path / "in.mkv")
    encode = EncodeOptions(codec=codec, options={"bf": "2"} if codec.startswith("mpeg") else {})
    dehaze(source, tmp_path / "whole.mkv", encode=encode)
    dehaze(source, tmp_path / "broken.mkv", encode=encode, crash_after=28)
    dehaze(source, tmp_path / "broken.mkv", encode=encode)
    whole = contents(tmp_path / "whole.mkv")
    assert contents(tmp_path / "broken.mkv") == whole
    assert whole["ticks"] == video_ticks(source)
    assert len(set(whole["frames"])) == 50


@pytest.mark.parametrize(
    "options",
    [
        {"steady": "low"},
        {"steady": "high", "every": 3},
        {"steady": "low", "every": "auto"},
        {"steady": "low", "look_ahead": True},
        {"every": 5, "look_ahead": True},
        {"steady": "low", "every": "auto", "look_ahead": True, "mask": "moving.mkv",
         "strength": Keyframes(((0.0, 1.0), (1.5, 0.2), (3.9, 1.2)))},
        {"mode": "auto"},
        {"steady": "low", "look_ahead": True, "mode": "auto"},
    ],
)  # fmt: skip
def test_steady_video_is_as_steady_after_the_interruption(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So are strength that follows keyframes or the haze (here a ramp throughout), and a mask that moves."""
    for name, density in (("START", 2.0), ("ON", -1.0), ("OFF", -2.0)):
        monkeypatch.setattr(auto, name, density)
    source = long_clip("mp4", still=True).write(tmp_path / "in.mp4")
    if "mask" in options:
        grey = long_clip("mkv", codec="ffv1", pixel_format="gray", audio=None, options={})
        options = {**options, "mask": Mask.read(grey.write(tmp_path / "moving.mkv"))}

    class Crashing(Dehazer):
        def infer(self, looks: Sequence[Look]) -> list[FloatArray | None]:
            if any((look.frame.seconds or 0) > 3 for look in looks):  # the first segment has looked ahead by then
                wait_until(lambda: segments(broken) > 0, "a segment")
                raise CrashError
            return super().infer(looks)

    class Forgetful(Dehazer):
        def load_state_dict(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
            pass

    whole, broken, forgotten = (tmp_path / f"{name}.mp4" for name in ("whole", "broken", "forgotten"))
    dehaze(source, whole, dehazer=Dehazer(engine=nervous_engine(), **options))
    with pytest.raises(Exception, match="Crash"):
        dehaze(source, broken, dehazer=Crashing(engine=nervous_engine(), **options))
    assert segments(broken)
    shutil.copytree(part_folder(broken), part_folder(forgotten))
    dehaze(source, broken, dehazer=Dehazer(engine=nervous_engine(), **options))
    assert contents(broken) == contents(whole)
    dehaze(source, forgotten, dehazer=Forgetful(engine=nervous_engine(), **options))
    assert contents(forgotten)["frames"] != contents(whole)["frames"]


def test_a_window_and_uneven_times_survive_the_interruption(tmp_path: Path) -> None:
    uneven = [512 * number + number * 7 % 5 * 50 for number in range(120)]
    source = long_clip("mp4", pts=uneven).write(tmp_path / "in.mp4")
    for name, crashes in (("whole", []), ("broken", [30, 25])):
        for crash in [*crashes, None]:
            with_window = FileSource(source, start=0.7, end=4.1)
            dehaze(with_window, tmp_path / f"{name}.mp4", crash_after=crash)  # type: ignore[arg-type]
            with_window.close()
    assert contents(tmp_path / "broken.mp4") == contents(tmp_path / "whole.mp4")
    assert len(contents(tmp_path / "whole.mp4")["frames"]) > 80


@pytest.mark.parametrize("kind", ["raw", "one keyframe", "open gop"])
def test_files_that_are_hard_to_seek_in(tmp_path: Path, kind: str) -> None:
    ending = "h264" if kind == "raw" else "mkv"
    options = {"raw": {"g": "12"}, "one keyframe": {"g": "999"}, "open gop": {"x264-params": "open-gop=1:keyint=12"}}
    source = long_clip("mkv", options=options[kind], audio=None).write(tmp_path / f"in.{ending}")
    dehaze(source, tmp_path / "whole.mkv")
    redone = dehaze(source, tmp_path / "broken.mkv", crash_after=60)
    redone += dehaze(source, tmp_path / "broken.mkv")
    assert contents(tmp_path / "broken.mkv") == contents(tmp_path / "whole.mkv")
    assert redone <= 164


@pytest.fixture
def unfinished(tmp_path: Path) -> tuple[Path, Path]:
    source = long_clip("mp4").write(tmp_path / "in.mp4")
    target = tmp_path / "out.mp4"
    for _ in range(2):
        dehaze(source, target, crash_after=30)
    assert segments(target) >= 2
    return source, target


def test_other_settings_are_reported_and_not_mixed(unfinished: tuple[Path, Path]) -> None:
    source, target = unfinished
    dehazer = plain_dehazer(engine=halving(), strength=0.5)
    with pytest.raises(SinkError, match=r"strength was 1.0, now 0.5: .*--no-resume") as caught:
        dehaze(source, target, dehazer=dehazer, encode=EncodeOptions(crf=30))
    assert "encoder options was" in str(caught.value)
    assert part_folder(target).is_dir()
    assert dehaze(source, target) < 100  # the work is still there
    dehaze(source, target, crash_after=70, overwrite=True)
    assert dehaze(source, target, dehazer=dehazer, overwrite=True, resume=False) == 0  # it is the dehazer's own engine
    assert not part_folder(target).exists()


def test_another_input_is_reported_and_not_mixed(unfinished: tuple[Path, Path]) -> None:
    source, target = unfinished
    long_clip("mp4", size=(80, 48)).write(source)
    with pytest.raises(SinkError, match="the input changed"):
        dehaze(source, target)
    assert dehaze(source, target, resume=False) == 100
    assert video_ticks(target) == video_ticks(source)


def test_an_input_that_decodes_differently_is_not_mixed(unfinished: tuple[Path, Path]) -> None:
    source, target = unfinished
    manifest = part_folder(target) / "manifest.json"
    facts = json.loads(manifest.read_text())
    facts["segments"][-1]["end"]["last_hash"] = "0" * 32
    write_manifest(part_folder(target), Manifest.model_validate_json(json.dumps(facts)))
    with pytest.raises(SourceError, match="does not decode as it did"):
        dehaze(source, target)
    assert not target.exists()


def damage(path: Path, at: Sequence[float]) -> None:
    """Overwrite 64 bytes at these parts of a file."""
    content = bytearray(path.read_bytes())
    for part in at:
        place = int(len(content) * part)
        content[place : place + 64] = np.random.default_rng(0).bytes(64)
    path.write_bytes(content)


@pytest.mark.parametrize("on_damage", ["keep", "skip"])
@pytest.mark.parametrize("ending", ["ts", "mkv"])
def test_damage_is_reported_the_same_after_an_interruption(tmp_path: Path, ending: str, on_damage: OnDamage) -> None:
    codec = {"codec": "mpeg4"} if ending == "mkv" else {}
    source = long_clip(ending, size=(160, 96), **codec).write(tmp_path / f"in.{ending}")
    damage(source, (1 / 6, 1 / 3, 1 / 2, 2 / 3))
    told = []
    for name, crashes in (("whole", ()), ("broken", (30, 40)), ("late", (75,))):
        target = tmp_path / f"{name}.{ending}"
        for crash in (*crashes, None):
            film = FileSource(source, on_damage=on_damage)
            engine = halving(crash, lambda: segments(target) > 0)  # noqa: B023 (called in this round alone)
            with (
                contextlib.closing(film),
                contextlib.nullcontext() if crash is None else pytest.raises(Exception, match="Crash"),
            ):
                report = dehaze_video(film, target, dehazer=plain_dehazer(engine=engine), segment_seconds=SECONDS)
        told.append((report.damaged, video_ticks(target)))
    assert told[0][0] >= 3
    assert told[1:] == told[:1] * 2


def test_work_stopped_at_damage_is_kept_for_the_decision(tmp_path: Path) -> None:
    source = long_clip("ts", size=(160, 96)).write(tmp_path / "in.ts")
    damage(source, (2 / 3,))
    target = tmp_path / "out.ts"

    class Unhurried(FileSource):
        """Lets the first segment be finished before it reaches the damage."""

        def __iter__(self) -> Iterator[Frame]:
            for number, frame in enumerate(super().__iter__()):
                if number == 50:
                    wait_until(lambda: segments(target) > 0, "a segment")
                yield frame

    with (
        contextlib.closing(Unhurried(source, on_damage="stop")) as film,
        pytest.raises(SourceError, match=r"is damaged near .* s; continue with --on-damage keep or skip"),
    ):
        dehaze(film, target)  # type: ignore[arg-type]
    assert segments(target) >= 1
    assert not target.exists()


def test_a_last_frame_that_is_concealed_differently_costs_no_work(tmp_path: Path) -> None:
    """FFmpeg's threads conceal the same damage differently each time; a different hash stands in for that here."""
    source = long_clip("mkv", codec="mpeg4", size=(160, 96)).write(tmp_path / "in.mkv")
    damage(source, (1 / 20, 1 / 10, 1 / 5))
    everything = frames_of(source)
    with contextlib.closing(FileSource(source)) as film:
        rest = list(Continued(film, Cut(20, everything[19].pts, "concealed otherwise")))
    assert [frame.pts for frame in rest] == [frame.pts for frame in everything[20:]]


@pytest.mark.parametrize("harm", ["cut off", "one bit", "gone"])
def test_a_damaged_segment_is_made_again(unfinished: tuple[Path, Path], harm: str) -> None:
    source, target = unfinished
    dehaze(source, target.with_name("whole.mp4"))
    path = part_folder(target) / "00001.packets"
    content = bytearray(path.read_bytes())
    if harm == "gone":
        path.unlink()
    else:
        content[200] ^= 1
        path.write_bytes(content[:-5] if harm == "cut off" else content)
    dehaze(source, target)
    assert contents(target) == contents(target.with_name("whole.mp4"))


def test_a_wrong_digit_in_the_manifest_is_noticed(unfinished: tuple[Path, Path]) -> None:
    source, target = unfinished
    manifest = part_folder(target) / "manifest.json"
    content = manifest.read_bytes()
    facts = json.loads(content)
    facts["segments"][-1]["last_pts"] += 100_000  # later pictures would be moved after it
    manifest.write_text(json.dumps(facts))
    with pytest.raises(SinkError, match=r"is damaged or of another version; --no-resume starts over"):
        dehaze(source, target)
    manifest.write_bytes(content)
    assert dehaze(source, target) < 100


def test_an_input_with_another_tail_is_another_input(tmp_path: Path) -> None:
    """Recordings from one camera begin alike, have the same size if preallocated, and only differ in their end."""
    source = long_clip("mp4").write(tmp_path / "in.mp4")
    with source.open("ab") as file:  # an MP4 box that players skip, larger than the part read at the beginning
        file.write((3 << 20).to_bytes(4, "big") + b"free" + bytes((3 << 20) - 8))
    target = tmp_path / "out.mp4"
    dehaze(source, target, crash_after=50)
    facts = source.stat()
    with source.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    os.utime(source, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert source.stat().st_size == facts.st_size
    with pytest.raises(SinkError, match="the input changed"):
        dehaze(source, target)
    assert dehaze(source, target, resume=False) == 100


def test_an_input_that_grows_meanwhile_gives_no_result(tmp_path: Path) -> None:
    source = long_clip("ts").write(tmp_path / "in.ts")
    target = tmp_path / "out.ts"

    def grow(engine: EngineDouble) -> None:
        if len(engine.batches) == 1:
            source.write_bytes(source.read_bytes() + bytes(188))

    with pytest.raises(SourceError, match=r"in.ts' changed while it was worked on; .*--no-resume"):
        dehaze(source, target, dehazer=plain_dehazer(engine=EngineDouble(before=grow)))
    assert not target.exists()
    with pytest.raises(SinkError, match="the input changed"):
        dehaze(source, target)
    assert dehaze(source, target, resume=False) == 100


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_names_that_are_not_text_are_no_obstacle(tmp_path: Path) -> None:
    source = long_clip("mp4").write(tmp_path / "in.mp4")
    odd = source.rename(tmp_path / os.fsdecode(b"in-\xff.mp4"))
    target = tmp_path / os.fsdecode(b"out-\xfe.mp4")
    dehaze(odd, target, crash_after=50)
    assert segments(target) >= 1
    assert dehaze(odd, target) < 100
    assert video_ticks(target) == video_ticks(odd)


def test_a_damaged_manifest_is_reported_in_one_sentence(unfinished: tuple[Path, Path]) -> None:
    source, target = unfinished
    (part_folder(target) / "manifest.json").write_text('{"version": 1, "segments": 5}')
    with pytest.raises(SinkError, match=r"is damaged or of another version; --no-resume starts over"):
        dehaze(source, target)
    assert dehaze(source, target, resume=False) == 100


def test_joining_is_resumed_by_itself(tmp_path: Path) -> None:
    source = long_clip("mp4").write(tmp_path / "in.mp4")
    target = tmp_path / "out.mp4"
    obstacle = part_folder(target) / "joined.part.mp4"

    def obstruct(engine: EngineDouble) -> None:
        obstacle.mkdir(exist_ok=True)  # no file can be written under this name

    with pytest.raises(SinkError, match="cannot be written"):
        dehaze(source, target, dehazer=plain_dehazer(engine=EngineDouble(before=obstruct)))
    assert json.loads((part_folder(target) / "manifest.json").read_text())["segments"][-1]["end"] is None
    obstacle.rmdir()
    assert dehaze(source, target) == 0
    dehaze(source, tmp_path / "whole.mp4")
    assert contents(target) == contents(tmp_path / "whole.mp4")


def test_two_runs_do_not_write_the_same_output(tmp_path: Path) -> None:
    source = long_clip("mp4").write(tmp_path / "in.mp4")
    target = tmp_path / "out.mp4"
    seen: list[str] = []

    def interfere(engine: EngineDouble) -> None:
        if not seen:
            with pytest.raises(SinkError) as caught:
                dehaze(source, target)
            seen.append(str(caught.value))

    dehaze(source, target, dehazer=plain_dehazer(engine=EngineDouble(before=interfere)))
    assert "another run is writing" in seen[0]
    assert len(contents(target)["frames"]) == 100


def test_short_files_need_no_segments(tmp_path: Path) -> None:
    source = Clip().write(tmp_path / "in.mp4")
    seen: list[list[str]] = []

    def look(engine: EngineDouble) -> None:
        seen.append([path.name for path in tmp_path.iterdir() if path.is_dir()])

    dehaze(source, tmp_path / "out.mp4", dehazer=plain_dehazer(engine=EngineDouble(before=look)), segment_seconds=30)
    assert not any(seen)


def run(*arguments: str | Path) -> list[str]:
    options = ["--engine", "torch", "--network-size", "32", "--segment-seconds", str(SECONDS)]
    return ["run", *options, *map(str, arguments)]


def finished(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    program = [sys.executable, "-c", "from streamdehaze.cli import main; main()"]
    return subprocess.run([*program, *run(*arguments)], capture_output=True, timeout=PATIENCE_SECONDS)


def interrupted(source: Path, target: Path, number: signal.Signals) -> subprocess.CompletedProcess[bytes]:
    """A run that gets a signal when it has finished one more segment; it is held in the one after that."""
    before, command = segments(target), held_run(40, *run(source, "-o", target))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(lambda: segments(target) > before or process.poll() is not None, "one more segment")
        process.send_signal(number)
        out, errors = process.communicate(timeout=PATIENCE_SECONDS)
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


def test_kills_and_signals_cost_no_finished_segment(tmp_path: Path) -> None:
    source = long_clip("mp4", size=(256, 144), pts=range(0, 160 * 512, 512)).write(tmp_path / "in.mp4")
    target = tmp_path / "out.mp4"
    assert interrupted(source, target, signal.SIGKILL).returncode == -signal.SIGKILL
    assert not target.exists()
    kept = segments(target)
    assert kept >= 1
    stopped = interrupted(source, target, signal.SIGTERM)
    assert stopped.returncode == 143
    assert b"continuing after" in stopped.stderr
    assert b"are kept in" in stopped.stderr
    assert segments(target) > kept
    report = tmp_path / "report.json"
    done = finished(source, "-o", target, "--resume", "--report", report)
    assert done.returncode == 0, done.stderr.decode()
    (job,) = json.loads(report.read_text())["jobs"]
    assert job["frames_out"] == 160
    assert job["frames_of_earlier_runs"] >= 40
    whole = tmp_path / "whole.mp4"
    assert finished(source, "-o", whole).returncode == 0
    assert contents(target) == contents(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4", "report.json", "whole.mp4"]
    again = CliRunner().invoke(main, ["run", str(source), "-o", str(target), "--resume", "--engine", "torch"])
    assert again.exit_code == 0
    assert "exists already and is left unchanged" in again.output


def test_unfinished_work_is_listed_and_removed(unfinished: tuple[Path, Path]) -> None:
    source, target = unfinished

    def parts(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["parts", str(source.parent), *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    assert "out.mp4.part" in parts()
    assert "1 unfinished" in parts()
    assert part_folder(target).is_dir()
    assert "removed '" in parts("--delete")
    assert not part_folder(target).exists()
    assert "no unfinished work" in parts()


@contextlib.contextmanager
def mounted(image: Path, place: Path, *options: str) -> Iterator[Path]:
    """A separate disk: a file system inside a file."""
    place.mkdir(exist_ok=True)
    mount = ["mount", "-o", ",".join(("loop", *options)), str(image), str(place)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a file system in a file here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def disk_image(path: Path) -> Path:
    if not shutil.which("mkfs.ext4"):
        pytest.skip("cannot make an ext4 file system here")
    with open(path, "wb") as file:
        file.truncate(48 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(path)], check=True)
    return path


def test_a_power_cut_costs_no_finished_segment(tmp_path: Path) -> None:
    """What a disk holds at a given moment, without what is only in memory, is what a power cut leaves."""
    source = long_clip("mp4").write(tmp_path / "in.mp4")
    dehaze(source, tmp_path / "whole.mp4")
    image = disk_image(tmp_path / "disk.img")
    moments: list[tuple[Path, int]] = []

    def cut_power() -> None:
        finished = segments(target)
        copy, again = (tmp_path / f"{len(moments)}.{kind}.img" for kind in ("cut", "again"))
        shutil.copy(image, copy)
        while shutil.copy(image, again).read_bytes() != copy.read_bytes():  # it was written to meanwhile
            again.replace(copy)
        again.unlink()
        moments.append((copy, finished))

    def cut_after_a_segment(engine: EngineDouble) -> None:
        if engine.pictures - engine.batches[-1][0] >= 25 * len(moments):  # a segment has 22 frames
            wait_until(lambda: segments(target) >= len(moments), "one more segment")
            cut_power()

    with mounted(image, tmp_path / "disk") as disk:
        target = disk / "out.mp4"
        dehaze(source, target, dehazer=plain_dehazer(engine=EngineDouble(before=cut_after_a_segment)), batch_size=4)
        cut_power()
    assert [finished for _, finished in moments[:-1]] == [0, 1, 2, 3]
    for copy, finished in moments[:-1]:
        with mounted(copy, tmp_path / "disk"):
            assert segments(target) >= finished
            assert dehaze(source, target, batch_size=4) <= 100 - 20 * finished
            assert contents(target) == contents(tmp_path / "whole.mp4")
    with mounted(moments[-1][0], tmp_path / "disk"):
        assert contents(target) == contents(tmp_path / "whole.mp4")


def test_a_disk_that_becomes_read_only_keeps_what_is_finished(tmp_path: Path) -> None:
    """As Linux does after an error on it."""
    source = long_clip("mp4").write(tmp_path / "in.mp4")
    dehaze(source, tmp_path / "whole.mp4")
    image = disk_image(tmp_path / "disk.img")
    aborted: list[bool] = []

    def abort(engine: EngineDouble) -> None:
        if engine.pictures >= 44 and not aborted:
            aborted.append(True)
            wait_until(lambda: segments(target) > 0, "a segment")
            if subprocess.run(["mount", "-o", "remount,abort", str(disk)], capture_output=True).returncode:
                pytest.skip("may not make a mounted file system read-only here")

    with mounted(image, tmp_path / "disk") as disk:
        target = disk / "out.mp4"
        # The kernel answers a write that had already begun with an input/output error.
        with pytest.raises(SinkError, match=r"cannot be written: (Read-only file system|Input/output error)"):
            dehaze(source, target, dehazer=plain_dehazer(engine=EngineDouble(before=abort)), batch_size=4)
        with pytest.raises(SinkError, match=r"is not writable|Read-only file system|Input/output error"):
            dehaze(source, target, batch_size=4)
        assert not target.exists()
    with mounted(image, tmp_path / "disk"):
        kept = segments(target)
        assert kept >= 1
        assert dehaze(source, target, batch_size=4) <= 100 - 20 * kept
        assert contents(target) == contents(tmp_path / "whole.mp4")
        assert sorted(path.name for path in disk.iterdir()) == ["lost+found", "out.mp4"]


def test_a_full_disk_keeps_what_is_finished(tmp_path: Path) -> None:
    source = long_clip("mp4", size=(128, 96)).write(tmp_path / "in.mp4")
    dehaze(source, tmp_path / "whole.mp4")
    disk = tmp_path / "disk"
    disk.mkdir()
    size = (tmp_path / "whole.mp4").stat().st_size
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size * 7 // 10 // 4096 * 4096}", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a tmpfs here")
    try:
        with pytest.raises(SinkError, match="No space left"):
            dehaze(source, disk / "out.mp4")
        assert segments(disk / "out.mp4") >= 1
        with pytest.raises(SinkError, match="No space left"):
            dehaze(source, disk / "out.mp4")  # still full: nothing is lost by trying
        subprocess.run(["mount", "-o", f"remount,size={size * 4}", str(disk)], check=True)
        dehaze(source, disk / "out.mp4")
        assert contents(disk / "out.mp4") == contents(tmp_path / "whole.mp4")
        assert [path.name for path in disk.iterdir()] == ["out.mp4"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
