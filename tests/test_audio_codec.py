"""Sound that a container cannot hold: named with what would keep it, converted to AAC, or left out on request."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner

from clips import copy_through, video_times
from public_tools import H264, PICTURES, SOUND, ffmpeg, streams
from streamdehaze.cli import main
from streamdehaze.video import EncodeOptions, FileSource, SegmentFileSink

AAC = EncodeOptions(audio="aac")


def camera(folder: Path, *sound: str) -> Path:
    """A recording as network cameras make them."""
    return ffmpeg(*PICTURES, *SOUND, *H264, *sound, folder / "cam.mkv")


def codecs(path: Path) -> list[str]:
    return [each["codec_name"] for each in streams(path)]


def tone(path: Path) -> tuple[float, float, float]:
    """Hertz of the loudest tone, when the sound begins, and for how long it lasts, seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    samples = np.concatenate([frame.to_ndarray().astype(np.float32)[0] for frame in frames])
    rate = frames[0].sample_rate
    spectrum = np.abs(np.fft.rfft(samples))
    return float(spectrum.argmax() * rate / samples.size), float(frames[0].time), samples.size / rate


@pytest.mark.parametrize(
    ("sound", "ending"),
    [
        (("-c:a", "pcm_alaw", "-ar", "8000"), "mp4"),
        (("-c:a", "pcm_mulaw", "-ar", "8000"), "ts"),
        (("-c:a", "g726", "-ac", "1", "-ar", "8000"), "mp4"),
        (("-c:a", "wmav2"), "flv"),
    ],
)
def test_sound_that_the_container_refuses_is_named_and_converted_on_request(
    tmp_path: Path, sound: tuple[str, ...], ending: str
) -> None:
    source = camera(tmp_path, *sound)
    lost = copy_through(source, tmp_path / f"without.{ending}").losses
    assert lost == [f"audio stream 1 ({codecs(source)[1]}); --audio-codec aac converts it, a .mkv file holds it"]
    assert copy_through(source, tmp_path / f"out.{ending}", encode=AAC).losses == []
    assert codecs(tmp_path / f"out.{ending}") == ["h264", "aac"]
    hertz, begins, seconds = tone(tmp_path / f"out.{ending}")
    assert hertz == pytest.approx(440, abs=2)
    assert seconds == pytest.approx(1, abs=0.3)  # packets of 1024 samples, and the encoder's delay
    assert begins == pytest.approx(float(video_times(tmp_path / f"out.{ending}")[0]), abs=0.15)


@pytest.mark.parametrize("ending", ["mxf", "mpg"])
def test_aac_is_not_offered_for_a_container_that_refuses_it(tmp_path: Path, ending: str) -> None:
    source = camera(tmp_path, "-c:a", "aac")
    for encode in (EncodeOptions("mpeg2video"), EncodeOptions("mpeg2video", audio="aac")):
        sink = copy_through(source, tmp_path / f"out.{ending}", encode=encode, overwrite=True)
        assert [each for each in sink.losses if "audio" in each] == ["audio stream 1 (aac); a .mkv file holds it"]
    assert codecs(tmp_path / f"out.{ending}") == ["mpeg2video"]


def test_aac_is_copied_and_no_sound_is_no_loss_where_it_is_asked_for(tmp_path: Path) -> None:
    source = camera(tmp_path, "-c:a", "aac")
    copy_through(source, tmp_path / "out.mp4", encode=AAC)
    assert streams(tmp_path / "out.mp4")[1]["nb_read_packets"] == streams(source)[1]["nb_read_packets"]
    assert copy_through(source, tmp_path / "silent.mp4", encode=EncodeOptions(audio="none")).losses == []
    assert codecs(tmp_path / "silent.mp4") == ["h264"]


def test_streams_after_converted_sound_are_copied(tmp_path: Path) -> None:
    both = ("-map", "0:v", "-map", "1:a", "-map", "1:a", "-c:a:0", "pcm_alaw", "-c:a:1", "aac")
    source = camera(tmp_path, *both, "-metadata:s:a:0", "language=fra", "-metadata:s:a:1", "language=deu")
    assert copy_through(source, tmp_path / "out.mp4", encode=AAC).losses == []
    assert [each["tags"]["language"] for each in streams(tmp_path / "out.mp4")[1:]] == ["fra", "deu"]


def test_a_container_without_aac_does_not_offer_it(tmp_path: Path) -> None:
    source = camera(tmp_path, "-c:a", "pcm_alaw", "-ar", "8000")
    vp9 = EncodeOptions("libvpx-vp9", audio="aac", options={"deadline": "realtime"})
    assert copy_through(source, tmp_path / "out.webm", encode=vp9).losses == [
        "audio stream 1 (pcm_alaw); a .mkv file holds it"
    ]


def test_sound_is_converted_in_segments_and_windows(tmp_path: Path) -> None:
    source = camera(tmp_path, "-c:a", "pcm_alaw", "-ar", "8000")
    with FileSource(source, start=0.4) as frames:
        sink = SegmentFileSink(tmp_path / "out.mp4", frames, seconds=0.2, encode=AAC)
        with sink:
            sink.take_up({})
            for frame in frames:
                sink.write(frame)
    assert sink.losses == []
    assert tone(tmp_path / "out.mp4") == pytest.approx((440, 0, 0.6), abs=2)
    assert tone(tmp_path / "out.mp4")[2] == pytest.approx(0.6, abs=0.15)


def test_the_command_line_converts_and_says_so_before(tmp_path: Path) -> None:
    source = camera(tmp_path, "-c:a", "pcm_alaw", "-ar", "8000")
    command = ["run", str(source), "-o", str(tmp_path / "out.mp4"), "--dry-run", "--strict"]
    assert CliRunner().invoke(main, command).exit_code == 3
    converted = CliRunner().invoke(main, [*command, "--audio-codec", "aac"])
    assert converted.exit_code == 0
    assert "copies audio stream 1 (pcm_alaw), converted to AAC" in converted.output
