"""`streamdehaze compare`: two videos or pictures in one view, in step with each other."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageOps

from streamdehaze.cli import main
from streamdehaze.compare import compare, montage
from streamdehaze.compare.compare import CompareMode
from streamdehaze.compare.montage import side_by_side, split_screen
from streamdehaze.errors import ConfigError, SinkError, SourceError
from streamdehaze.scene.clip import engine_sound
from streamdehaze.video.clip import Clip, write_clip


def _gray_clip(
    path: Path, grays: Sequence[int], rate: Fraction, size: tuple[int, int] = (64, 48), sound: bool = False
) -> Path:
    """Frames of one gray level each."""
    seconds = float(len(grays) / rate)
    noise = engine_sound(seconds) if sound else None
    chapters = [(0.0, "one"), (seconds / 2, "two")] if sound else []
    pictures = (np.full((size[1], size[0], 3), gray, np.uint8) for gray in grays)
    write_clip(path, Clip(pictures, size, rate, sound=noise, chapters=chapters))
    return path


def _frames(path: Path) -> tuple[list[np.ndarray], list[Fraction]]:
    with av.open(str(path)) as file:
        pictures = list(file.decode(video=0))
        return [p.to_ndarray(format="gray") for p in pictures], [p.pts * p.time_base for p in pictures]


def _audio_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as file:
        return [bytes(packet) for packet in file.demux(audio=0) if packet.size]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("clips")
    first = _gray_clip(folder / "foggy.mp4", range(20, 220, 10), Fraction(25), sound=True)
    second = _gray_clip(folder / "foggy.clear.mp4", range(20, 220, 20), Fraction(25, 2))
    return first, second


def test_frames_are_matched_by_time_not_by_number(clips: tuple[Path, Path], tmp_path: Path) -> None:
    """The second video has half as many frames: each is shown for two of the first."""
    output = tmp_path / "both.mp4"
    assert compare(*clips, output, mode="side-by-side", labels=("", "")) == 20
    frames, times = _frames(output)
    assert times == _frames(clips[0])[1]
    assert frames[0].shape == (48, 128)
    for index, frame in enumerate(frames):
        assert np.median(frame[:, :60]) == pytest.approx(20 + 10 * index, abs=4)
        assert np.median(frame[:, 68:]) == pytest.approx(20 + 20 * (index // 2), abs=4)


def test_another_clock_does_not_change_the_time(clips: tuple[Path, Path], tmp_path: Path) -> None:
    """MPEG-TS cannot start before zero, so the same pictures come later by the encoder's delay."""
    shifted = tmp_path / "shifted.ts"
    with av.open(str(clips[0])) as before, av.open(str(shifted), "w") as after:
        copy = after.add_stream_from_template(before.streams.video[0], opaque=True)
        for packet in before.demux(video=0):
            if packet.size:
                packet.stream = copy
                after.mux_one(packet)
    assert _frames(shifted)[1][0] > 0
    output = tmp_path / "both.mkv"
    compare(clips[0], shifted, output, mode="side-by-side", labels=("", ""))
    for frame in _frames(output)[0]:
        assert np.median(frame[:, :60]) == pytest.approx(np.median(frame[:, 68:]), abs=4)


def test_a_short_second_video_keeps_its_last_frame(clips: tuple[Path, Path], tmp_path: Path) -> None:
    short = _gray_clip(tmp_path / "short.mp4", [50, 100, 150], Fraction(25))
    output = tmp_path / "both.mkv"
    assert compare(clips[0], short, output, mode="side-by-side", labels=("", "")) == 20
    assert np.median(_frames(output)[0][-1][:, 68:]) == pytest.approx(150, abs=4)


def test_sound_and_chapters_of_the_first_are_kept(clips: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "both.mp4"
    compare(*clips, output)
    assert _audio_packets(output) == _audio_packets(clips[0])
    with av.open(str(output)) as file:
        assert [chapter["metadata"]["title"] for chapter in file.chapters()] == ["one", "two"]


def test_the_divider_stays_where_it_was_put_or_sweeps_smoothly(tmp_path: Path) -> None:
    dark = _gray_clip(tmp_path / "dark.mp4", [40] * 75, Fraction(25), (160, 48))
    light = _gray_clip(tmp_path / "light.mp4", [200] * 75, Fraction(25), (160, 48))
    still, moving = tmp_path / "still.mkv", tmp_path / "moving.mkv"
    compare(dark, light, still, divider=0.25, labels=("", ""))
    compare(dark, light, moving, divider=None, labels=("", ""))

    def edges(path: Path) -> np.ndarray:
        return np.array([np.mean(frame < 120) * 160 for frame in _frames(path)[0]])

    assert np.abs(edges(still) - 40).max() < 3
    places = edges(moving)
    assert places[0] < 16
    assert places[-1] > 140
    assert np.diff(places).min() >= 0
    assert np.diff(places).max() < 6


def test_labels_stay_in_their_corner_of_their_half() -> None:
    plain = np.full((180, 320, 3), 90, np.uint8)
    row = split_screen([plain, plain], ("hazy", "clear"), [0.5])
    changed = np.abs(row.astype(int) - split_screen([plain, plain], ("", ""), [0.5])).max(axis=2) > 0
    assert changed[:40, :80].sum() > 200
    assert changed[:40, -80:].sum() > 200
    assert not changed[40:].any()
    assert (row[:40] > 240).any()  # white ink
    wiped = split_screen([plain, plain], ("hazy", "clear"), [0.04])
    assert not (np.abs(wiped.astype(int) - plain).max(axis=2) > 0)[:, 20:200].any()
    assert side_by_side([plain, plain], ("hazy", "clear")).shape == (180, 640, 3)
    tiny = np.zeros((3, 5, 3), np.uint8)
    assert split_screen([tiny, tiny], ("hazy", "clear"), [0.5]).shape == (3, 5, 3)


@pytest.mark.parametrize("fonts", [montage._FONTS, ()], ids=["system", "none"])
def test_letters_of_other_languages_are_never_boxes(monkeypatch: pytest.MonkeyPatch, fonts: tuple[str, ...]) -> None:
    """Labels are the files' names by default, and Pillow's own font has English letters only."""
    monkeypatch.setattr(montage, "_FONTS", fonts)
    for text in ("Nebel über Köln", "Туман", "雾", "clear"):
        written, font = montage._letters(text, 20)
        box = bytes(font.getmask("\U0010ffff"))
        assert all(bytes(font.getmask(letter)) != box for letter in written)
        assert len(written) == len(text)
        assert written == text or not written.isalpha() or not fonts
    assert montage._letters("clear", 20)[0] == "clear"
    if not fonts:
        assert montage._letters("Nebel über Köln", 20)[0] == "Nebel uber Koln"


def test_a_picture_shows_one_moment(clips: tuple[Path, Path], tmp_path: Path) -> None:
    middle, late = tmp_path / "middle.png", tmp_path / "late.png"
    compare(*clips, middle, labels=("", ""))
    compare(*clips, late, labels=("", ""), at=0.64)
    assert np.median(cv2.imread(str(middle), 0)[:, :28]) == pytest.approx(120, abs=4)
    assert np.median(cv2.imread(str(late), 0)[:, :28]) == pytest.approx(180, abs=4)


def test_two_photos_are_compared(tmp_path: Path) -> None:
    for name, gray in (("a.png", 60), ("b.jpg", 180)):
        cv2.imwrite(str(tmp_path / name), np.full((90, 160, 3), gray, np.uint8))
    compare(tmp_path / "a.png", tmp_path / "b.jpg", tmp_path / "both.png", mode="side-by-side", labels=("", ""))
    both = cv2.imread(str(tmp_path / "both.png"), 0)
    assert both.shape == (90, 320)
    assert (np.median(both[:, :160]), np.median(both[:, 160:])) == (60, 180)


def _halves(width: int = 96, height: int = 64) -> np.ndarray:
    """A dark left half and a bright right one."""
    picture = np.full((height, width, 3), 40, np.uint8)
    picture[:, width // 2 :] = 200
    return picture


def _phone_clip(path: Path, quarters: int) -> Path:
    """The halves, stored upright and shown turned."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", 25, options={"crf": "10"})
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        video.set_display_rotation(90 * quarters)
        for _ in range(3):
            container.mux(video.encode(av.VideoFrame.from_ndarray(_halves(), "rgb24")))
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_turned_videos_are_compared_as_players_show_them(tmp_path: Path, quarters: int) -> None:
    path = _phone_clip(tmp_path / "phone.mp4", quarters)
    compare(path, path, tmp_path / "both.png", labels=("", ""), divider=0)
    compare(path, path, tmp_path / "both.mp4", labels=("", ""), divider=0)
    wanted = np.rot90(_halves(), quarters)[..., 0].astype(float)
    for shown in (cv2.imread(str(tmp_path / "both.png"), 0), _frames(tmp_path / "both.mp4")[0][0]):
        assert shown.shape == wanted.shape
        difference = np.abs(shown - wanted)
        assert np.median(difference) < 8
        assert (difference > 40).mean() < 0.1  # where the halves meet, and the divider


@pytest.mark.parametrize("mode", ["split", "side-by-side"])
def test_a_turned_video_is_compared_with_one_stored_as_it_is_shown(tmp_path: Path, mode: CompareMode) -> None:
    phone = _phone_clip(tmp_path / "phone.mp4", 1)
    export = tmp_path / "export.mp4"  # an editor's, which turned the pixels and made it smaller
    pictures = (np.ascontiguousarray(np.rot90(_halves(48, 32))) for _ in range(3))
    write_clip(export, Clip(pictures, (32, 48), Fraction(25)))
    for first, second, size in ((phone, export, (96, 64)), (export, phone, (48, 32))):
        assert compare(first, second, tmp_path / "both.mp4", mode=mode, labels=("", ""), overwrite=True) == 3
        shown = _frames(tmp_path / "both.mp4")[0][0].astype(float)
        assert shown.shape == (size[0], size[1] * (2 if mode == "side-by-side" else 1))
        upper, lower = np.array_split(shown, 2)
        assert abs(np.median(upper) - 200) < 10
        assert abs(np.median(lower) - 40) < 10
    with pytest.raises(ConfigError, match="64x96 and 96x64 pixels have different shapes"):
        compare(phone, _gray_clip(tmp_path / "wide.mp4", [9], Fraction(25), (96, 64)), tmp_path / "no.mp4")
    assert not list(tmp_path.glob("no*"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_photos_are_compared_as_viewers_show_them(tmp_path: Path, orientation: int) -> None:
    pixels = np.zeros((48, 80, 3), np.uint8)
    pixels[:24, :40], pixels[:24, 40:], pixels[24:, :40] = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = tmp_path / "photo.png"
    Image.fromarray(pixels).save(photo, exif=exif)
    compare(photo, photo, tmp_path / "both.png", labels=("", ""), mode="side-by-side")
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(photo)))
    both = np.asarray(Image.open(tmp_path / "both.png").convert("RGB"))
    np.testing.assert_array_equal(both[:, : wanted.shape[1]], wanted)


def test_a_smaller_second_is_scaled_and_another_shape_refused(clips: tuple[Path, Path], tmp_path: Path) -> None:
    small = _gray_clip(tmp_path / "small.mp4", [100] * 20, Fraction(25), (32, 24))
    compare(clips[0], small, tmp_path / "ok.mp4")
    assert _frames(tmp_path / "ok.mp4")[0][0].shape == (48, 64)
    wide = _gray_clip(tmp_path / "wide.mp4", [100] * 20, Fraction(25), (96, 48))
    with pytest.raises(ConfigError, match="64x48 and 96x48 pixels have different shapes"):
        compare(clips[0], wide, tmp_path / "no.mp4")
    assert not list(tmp_path.glob("no*"))


def test_what_is_wrong_is_reported_in_one_sentence(clips: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        compare(clips[0], tmp_path / "missing.mp4", tmp_path / "out.mp4")
    with pytest.raises(ConfigError, match="moment is for a picture"):
        compare(*clips, tmp_path / "out.mp4", at=1)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        compare(*clips, tmp_path / "out.mp4", divider=1.5)
    for number in (0, 1):
        with pytest.raises(SinkError, match="one of the inputs"):
            compare(*clips, clips[number], overwrite=True)
    taken = tmp_path / "taken.mp4"
    taken.write_bytes(b"mine")
    with pytest.raises(SinkError, match="exists already"):
        compare(*clips, taken)
    assert taken.read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["taken.mp4"]


def test_an_interrupted_comparison_leaves_nothing(clips: tuple[Path, Path], tmp_path: Path) -> None:
    def interrupt(frames: int) -> None:
        if frames == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(*clips, tmp_path / "out.mp4", progress=interrupt)
    assert not list(tmp_path.iterdir())


def test_from_the_command_line(clips: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    words = ["compare", *map(str, clips), "-o", str(output), "--divider", "moving", "--labels", "hazy,clear"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert "20 frames" in done.output
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 1
    assert "exists already" in again.output
    for wrong in (["--labels", "one"], ["--divider", "left"]):
        assert CliRunner().invoke(main, [*words, *wrong]).exit_code == 2
