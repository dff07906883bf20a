"""The output keeps the input's codec, depth and chroma subsampling, and a message says so where it cannot."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from clips import Clip, copy_through, frames_of, noise_picture
from public_tools import ffmpeg
from streamdehaze.errors import SinkError
from streamdehaze.frame import Frame, VideoInfo
from streamdehaze.scene import StreetScene
from streamdehaze.video import EncodeOptions, FileSink
from streamdehaze.video.planes import PictureWriter, frame_from_av
from streamdehaze.video.writing.encoding.codecs import ENCODERS
from streamdehaze.video.writing.encoding.constant import ConstantRate

FORMATS = (
    "yuv410p", "yuv411p", "yuv420p", "yuv422p", "yuv440p", "yuv444p", "yuvj420p", "yuvj422p", "yuvj444p",
    "yuva420p", "yuva422p", "yuva444p", "yuv420p9le", "yuv422p9le", "yuv444p9le", "yuv420p10le", "yuv422p10le",
    "yuv440p10le", "yuv444p10le", "yuva420p10le", "yuva444p10le", "yuv420p12le", "yuv422p12le", "yuv440p12le",
    "yuv444p12le", "yuv420p14le", "yuv422p14le", "yuv444p14le", "yuv420p16le", "yuv422p16le", "yuv444p16le",
    "yuva444p16le", "gray", "gray9le", "gray10le", "gray12le", "gray14le", "gray16le", "ya8",
    "nv12", "nv21", "nv16", "nv24", "nv42", "p010le", "p012le", "p016le", "p210le", "p410le",
    "rgb24", "bgr24", "bgr0", "rgb0", "0rgb", "rgba", "bgra", "argb", "rgb48le", "rgba64le",
    "gbrp", "gbrap", "gbrp9le", "gbrp10le", "gbrp12le", "gbrp14le", "gbrp16le", "gbrap10le", "gbrap16le",
)  # fmt: skip


class Pictures:
    """A source of a few noise pictures in one pixel format."""

    def __init__(self, pixel_format: str, size: tuple[int, int] = (34, 18), codec: str = "ffv1") -> None:
        self._format, self._size = pixel_format, size
        self.info = VideoInfo(*size, pixel_format, Fraction(25), Fraction(1, 25), 3, 0.12, codec)

    def __iter__(self) -> Iterator[Frame]:
        for number in range(3):
            picture = noise_picture(self._size, self._format, number)
            yield frame_from_av(picture, pts=number, time_base=Fraction(1, 25))

    def close(self) -> None:
        """Nothing to close."""


_NEAR_REFS = "; near it: .*refs" if hasattr(av.CodecContext, "supported_options") else ""  # not before PyAV 18


def encode(source: Pictures, path: Path, **options: object) -> FileSink:
    with FileSink(path, source, encode=EncodeOptions(**options)) as sink:  # type: ignore[arg-type]
        for frame in source:
            sink.write(frame)
    return sink


def colours(frame: Frame) -> list[np.ndarray]:
    """The colour components of a frame, each as (height, width) of values without padding bits."""
    found = []
    for index, component in enumerate(frame.pixel_format.components):
        width, height = frame.pixel_format.component_size(index, frame.width, frame.height)
        row = frame.planes[component.plane][:height, component.offset :: component.step][:, :width]
        found.append(row.astype(np.uint16) >> frame.pixel_format.shift)
    return found


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_pictures_in_ffv1_are_bit_identical(tmp_path: Path, pixel_format: str) -> None:
    source = Pictures(pixel_format)
    sink = encode(source, tmp_path / "out.mkv")
    assert sink.encoder == "ffv1"
    pairs = list(zip(source, frames_of(tmp_path / "out.mkv"), strict=True))
    for before, after in pairs:
        assert before.pixel_format.depth == after.pixel_format.depth
        for expected, actual in zip(colours(before), colours(after), strict=True):
            np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(
    ("pixel_format", "ending", "written"),
    [
        ("yuv420p", "avi", "yuv420p"),
        ("yuv422p", "mov", "uyvy422"),
        ("rgb24", "avi", "bgr24"),
        ("rgb24", "mkv", "rgba"),
        ("argb", "avi", "rgba"),
        ("bgr24", "mov", "bgr24"),
        ("gbrp", "mov", "rgb24"),
        ("gray16le", "mov", "gray16be"),
        ("p010le", "nut", "yuv420p10le"),
    ],
)
def test_raw_pictures_are_arranged_as_the_container_can_say(
    tmp_path: Path, pixel_format: str, ending: str, written: str
) -> None:
    path, source = tmp_path / f"out.{ending}", Pictures(pixel_format)
    assert encode(source, path, codec="rawvideo").pixel_format == written
    with av.open(str(path)) as read:
        assert read.streams.video[0].codec_context.pix_fmt == written
    for before, after in zip(source, frames_of(path), strict=True):
        for expected, actual in zip(colours(before), colours(after), strict=False):  # there may be transparency, too
            np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(
    ("pixel_format", "ending"), [("yuv444p", "avi"), ("yuv420p10le", "mov"), ("gray10le", "avi"), ("yuva420p", "mov")]
)
def test_raw_pictures_that_a_container_has_no_name_for_are_refused(
    tmp_path: Path, pixel_format: str, ending: str
) -> None:
    with pytest.raises(SinkError, match=f"rawvideo does not take 34x18 pictures in {pixel_format} in {ending} files; "):
        FileSink(tmp_path / f"out.{ending}", Pictures(pixel_format), encode=EncodeOptions("rawvideo"))


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (479, 269), (17, 16)])
@pytest.mark.parametrize("codec", ["ffv1", "h264", "vp9", "mjpeg", "mpeg4"])
def test_odd_sizes_keep_their_size(tmp_path: Path, size: tuple[int, int], codec: str) -> None:
    encode(Pictures("yuv420p", size), tmp_path / "out.mkv", codec=codec)
    frames = frames_of(tmp_path / "out.mkv")
    assert [(frame.width, frame.height) for frame in frames] == [size] * 3


@pytest.mark.parametrize("codec", ["hevc", "av1"])
def test_sizes_an_encoder_refuses_are_refused_with_a_message(tmp_path: Path, codec: str) -> None:
    with pytest.raises(SinkError, match="does not take 1x1 pictures in yuv420p"):
        encode(Pictures("yuv420p", (1, 1)), tmp_path / "out.mkv", codec=codec)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (479, 269)])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm", "avi"])
def test_odd_sizes_get_an_encoder_that_takes_them(tmp_path: Path, size: tuple[int, int], ending: str) -> None:
    encode(Pictures("yuv420p", size, "h264"), tmp_path / f"out.{ending}")
    frames = frames_of(tmp_path / f"out.{ending}")
    assert [(frame.width, frame.height) for frame in frames] == [size] * 3


@pytest.mark.parametrize(
    ("codec", "pixel_format", "ending", "encoder", "encoded"),
    [
        ("h264", "yuv420p", "mp4", "libx264", "yuv420p"),
        ("h264", "yuv422p10le", "mp4", "libx264", "yuv422p10le"),
        ("h264", "gbrp", "mkv", "libx264rgb", "bgr24"),
        ("hevc", "yuv420p10le", "mp4", "libx265", "yuv420p10le"),
        ("hevc", "yuv444p12le", "mkv", "libx265", "yuv444p12le"),
        ("hevc", "p010le", "mkv", "libx265", "yuv420p10le"),
        ("av1", "yuv420p10le", "webm", "libsvtav1", "yuv420p10le"),
        ("av1", "yuv444p", "mp4", "libx264", "yuv444p"),
        ("vp9", "yuv420p", "webm", "libvpx-vp9", "yuv420p"),
        ("vp9", "yuv420p10le", "webm", "libsvtav1", "yuv420p10le"),
        ("vp8", "yuv420p", "webm", "libvpx", "yuv420p"),
        ("ffv1", "yuv422p16le", "mkv", "ffv1", "yuv422p16le"),
        ("prores", "yuv422p10le", "mov", "prores_ks", "yuv422p10le"),
        ("mjpeg", "yuvj422p", "avi", "mjpeg", "yuv422p"),
        ("mpeg2video", "yuv420p", "ts", "mpeg2video", "yuv420p"),
        ("mpeg4", "yuv420p", "avi", "mpeg4", "yuv420p"),
        ("utvideo", "yuv422p", "avi", "utvideo", "yuv422p"),
        ("utvideo", "yuv422p", "mkv", "utvideo", "yuv422p"),
        ("huffyuv", "yuv422p", "mkv", "ffvhuff", "yuv422p"),
        ("wmv2", "yuv420p", "mkv", "wmv2", "yuv420p"),
        ("v210", "yuv422p10le", "mkv", "v210", "yuv422p10le"),
        ("r210", "gbrp10le", "mov", "r210", "gbrp10le"),
        ("png", "rgb24", "mp4", "libx264", "yuv444p"),
        ("h264", "yuv420p", "webm", "libvpx-vp9", "yuv420p"),
        ("h264", "yuv420p10le", "y4m", "wrapped_avframe", "yuv420p10le"),
        ("cinepak", "yuv420p", "mkv", "libx264", "yuv420p"),
        ("h264", "yuv420p12le", "mp4", "libx264", "yuv420p10le"),
    ],
)
def test_codec_family_depth_and_chroma_are_kept(
    tmp_path: Path, codec: str, pixel_format: str, ending: str, encoder: str, encoded: str
) -> None:
    source = Pictures(pixel_format, (128, 96), codec)
    sink = encode(source, tmp_path / f"out.{ending}")
    assert (sink.encoder, sink.pixel_format) == (encoder, encoded)
    assert len(frames_of(tmp_path / f"out.{ending}")) == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"codec": "libx246"}, "no encoder 'libx246' here; near it: .*libx264"),
        ({"codec": "prores"}, "cannot hold prores"),
        ({"codec": "mpeg4"}, "mpeg4 cannot keep the 10 bits"),
        ({"options": {"refz": "3"}}, "has no option 'refz'" + _NEAR_REFS),
        ({"preset": "warp"}, "libx264 has no preset 'warp'; it has ultrafast, superfast"),
        ({"codec": "h265", "options": {"preset": "warp"}}, "libx265 has no preset 'warp'"),
        ({"codec": "h265", "options": {"refz": "3"}}, "libx265 has no option 'refz'"),
        ({"options": {"profile": "baseball"}}, "libx264 does not take"),
        ({"pixel_format": "yuv240p"}, "no pixel format 'yuv240p'; near it: yuv4"),
        ({"codec": "libx264", "pixel_format": "bgr0"}, "libx264 does not take pixel format 'bgr0'"),
        ({"codec": "mpeg4", "pixel_format": "yuv420p", "preset": "slow"}, "mpeg4 has no presets"),
    ],
)
def test_options_that_cannot_be_met_are_named(tmp_path: Path, options: dict[str, object], words: str) -> None:
    source = Pictures("yuv420p10le", (64, 48), "h264")
    with pytest.raises(SinkError, match=words):
        FileSink(tmp_path / "out.mp4", source, encode=EncodeOptions(**options))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("codec", "crf", "words"),
    [
        ("libx264", 99, "numbers from 0 (best) to 51 as --crf, not 99"),
        ("libx264", -1, "numbers from 0 (best) to 51"),
        ("libx264", math.nan, "numbers from 0 (best) to 51"),
        ("libx265", 51.5, "numbers from 0 (best) to 51"),
        ("libsvtav1", 0, "whole numbers from 1 (best) to 63"),  # which FFmpeg takes for none
        ("libsvtav1", 24.5, "whole numbers from 1 (best) to 63 as --crf, not 24.5"),
        ("libvpx-vp9", 64, "whole numbers from 0 (best) to 63"),
        ("libvpx", 64, "whole numbers from 0 (best) to 63"),
        ("mpeg2video", 51, "whole numbers from 1 (best) to 31"),
        ("mjpeg", 0, "whole numbers from 1 (best) to 31"),
    ],
)
def test_a_quality_that_an_encoder_does_not_know_is_refused_with_its_scale(
    tmp_path: Path, codec: str, crf: float, words: str
) -> None:
    with pytest.raises(SinkError, match=re.escape(f"the encoder {codec} takes {words}")):
        FileSink(tmp_path / "out.mkv", Pictures("yuv420p"), encode=EncodeOptions(codec, crf))


@pytest.mark.skipif(not hasattr(av.CodecContext, "supported_options"), reason="PyAV 17 does not say what options take")
@pytest.mark.parametrize(
    ("encode", "words"),
    [
        (EncodeOptions("libsvtav1", preset="99"), "libsvtav1 takes numbers from -2 to 13 as --preset, not '99'"),
        (EncodeOptions("libvpx-vp9", preset="slow"), "libvpx-vp9 takes numbers from -8 to 8 as --preset, not 'slow'"),
        (EncodeOptions("libx264", options={"g": "often"}), "libx264 takes numbers as --encoder-option g, not 'often'"),
        (EncodeOptions("libx264", options={"aq-mode": "some"}), "takes numbers or none, variance"),
        (EncodeOptions("ffv1", options={"coder": "7"}), "ffv1 takes numbers from -2 to 2 or rice, "),
    ],
)
def test_a_value_that_an_option_does_not_take_is_refused_with_what_it_takes(
    tmp_path: Path, encode: EncodeOptions, words: str
) -> None:
    with pytest.raises(SinkError, match=re.escape(words)):
        FileSink(tmp_path / "out.mkv", Pictures("yuv420p", (64, 64)), encode=encode)


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("libx264", "mkv"), ("libx264rgb", "mkv"), ("libx265", "mkv"), ("libsvtav1", "mkv"), ("libvpx", "mkv"),
        ("libvpx-vp9", "mkv"), ("mjpeg", "mkv"), ("mpeg1video", "mkv"), ("mpeg2video", "mkv"), ("mpeg4", "mkv"),
        ("msmpeg4", "asf"), ("flv", "flv"), ("wmv1", "asf"), ("wmv2", "asf"),
    ],
)  # fmt: skip
def test_the_whole_scale_of_an_encoder_makes_a_difference(tmp_path: Path, name: str, ending: str) -> None:
    scale = ENCODERS[name].scale
    assert scale is not None
    sizes = []
    for crf in (scale.best, scale.best + 1, (scale.best + scale.worst) // 2, scale.worst):
        path = tmp_path / f"{crf}.{ending}"
        pixels = "rgb24" if name.endswith("rgb") else None
        encode(Pictures("yuv420p", (128, 96)), path, codec=name, crf=crf, pixel_format=pixels)
        sizes.append(path.stat().st_size)
    assert sizes == sorted(set(sizes), reverse=True)


def test_options_in_one_text_follow_those_that_are_set_anyway(tmp_path: Path) -> None:
    for given, found in (("bframes=1", b"bframes=1"), ("log-level=none", b"bframes=4")):
        encode(Pictures("yuv420p", (128, 96), "hevc"), tmp_path / f"{given}.mkv", options={"x265-params": given})
        assert found in (tmp_path / f"{given}.mkv").read_bytes()


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
@pytest.mark.parametrize("wrong", ["nonsense=3", "non.sense=3", "aq-mode=some"])
def test_a_parameter_that_the_library_does_not_take_is_refused_each_time(
    tmp_path: Path, codec: str, wrong: str
) -> None:
    option = {"libx264": "x264-params", "libx265": "x265-params", "libsvtav1": "svtav1-params"}[codec]
    for _ in range(2):
        with pytest.raises(SinkError, match=f"{codec} does not take '{wrong}' in --encoder-option {option}; "):
            FileSink(
                tmp_path / "out.mkv",
                Pictures("yuv420p", (64, 64)),
                encode=EncodeOptions(codec, options={option: f"keyint=12:{wrong}"}),
            )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", ["keyint", "keyint=12:bframes", "=3"])
def test_parameters_that_are_no_pairs_are_refused_with_an_example(tmp_path: Path, given: str) -> None:
    with pytest.raises(SinkError, match=f"x264-params takes KEY=VALUE pairs .*, not '{given}'"):
        FileSink(
            tmp_path / "out.mkv",
            Pictures("yuv420p", (64, 64)),
            encode=EncodeOptions("h264", options={"x264-params": given}),
        )


def test_lossless_codec_has_no_quality(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="ffv1 has no constant quality; leave --crf out"):
        FileSink(tmp_path / "out.mkv", Pictures("yuv420p"), encode=EncodeOptions(crf=20))


def test_ten_bits_become_eight_only_on_request_and_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = Pictures("yuv420p10le", (64, 48), "h264")
    sink = encode(source, tmp_path / "out.mp4", pixel_format="yuv420p")
    assert sink.pixel_format == "yuv420p"
    assert "without some bits of each sample" in caplog.text


def test_quality_and_options_reach_the_encoder(tmp_path: Path) -> None:
    source = Pictures("yuv420p", (128, 96), "h264")
    sizes = []
    for crf in (5, 45):
        encode(source, tmp_path / f"{crf}.mp4", crf=crf, preset="fast", options={"x264-params": "keyint=7"})
        sizes.append((tmp_path / f"{crf}.mp4").stat().st_size)
        assert b"keyint=7" in (tmp_path / f"{crf}.mp4").read_bytes()
        assert f"crf={crf}.0".encode() in (tmp_path / f"{crf}.mp4").read_bytes()
    assert sizes[0] > 2 * sizes[1]


@pytest.mark.parametrize(
    ("ending", "options", "found"),
    [
        ("mp4", {}, (b"analyse=0x3:0x3 ", b"bframes=4 ")),
        ("mp4", {"options": {"bf": "2"}}, (b"analyse=0x3:0x3 ", b"bframes=2 ")),
        ("avi", {}, (b"analyse=0x3:0x3 ", b"bframes=0 ")),  # which stores frames in decoding order
        ("mp4", {"preset": "veryfast"}, (b"analyse=0x3:0x113 ", b"bframes=3 ")),
        ("mp4", {"options": {"preset": "veryfast"}}, (b"analyse=0x3:0x113 ", b"bframes=3 ")),
    ],
)
def test_files_refine_the_preset_unless_one_is_asked_for(
    tmp_path: Path, ending: str, options: dict[str, object], found: tuple[bytes, ...]
) -> None:
    encode(Pictures("yuv420p", (128, 96), "h264"), tmp_path / f"out.{ending}", **options)
    content = (tmp_path / f"out.{ending}").read_bytes()
    assert [each for each in found if each not in content] == []


class Drive(Pictures):
    """A source in which H.264 looks far ahead: a street that comes nearer."""

    def __init__(self, width: int) -> None:
        super().__init__("yuv420p", (width, 96), "h264")
        self._views = [view.clear for view in StreetScene(width, 96, frames=16)]

    def __iter__(self) -> Iterator[Frame]:
        for number, view in enumerate(self._views):
            picture = av.VideoFrame.from_ndarray((view * 255).astype(np.uint8), format="rgb24").reformat(
                format="yuv420p"
            )
            yield frame_from_av(picture, pts=number, time_base=Fraction(1, 25))


@pytest.mark.parametrize("width", [160, 128])  # at the second width x264 may use all features of the processor
def test_the_same_pictures_always_give_the_same_film(tmp_path: Path, width: int) -> None:
    source = Drive(width)
    films = set()
    rng = np.random.default_rng(0)
    for number in range(12):
        # What other work leaves in memory must not get into the film.
        left = [rng.integers(0, 256, size, np.uint8) for size in 2 ** rng.integers(8, 21, 60)]
        del left
        encode(source, tmp_path / f"{number}.h264")
        films.add((tmp_path / f"{number}.h264").read_bytes())
    assert len(films) == 1


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root's encoders may take the machine")
def test_an_encoder_does_not_raise_its_own_priority(tmp_path: Path) -> None:
    source = Pictures("yuv420p", (128, 96), "av1")
    with FileSink(tmp_path / "out.mp4", source) as sink:
        for frame in source:
            sink.write(frame)
            threads = [int(name) for name in os.listdir("/proc/self/task")]
            assert len(threads) > 2
            assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}


def test_default_is_crf_18(tmp_path: Path) -> None:
    encode(Pictures("yuv420p", (128, 96), "h264"), tmp_path / "out.mp4")
    assert b"crf=18.0" in (tmp_path / "out.mp4").read_bytes()


def test_prores_profile_of_the_input_is_kept(tmp_path: Path) -> None:
    source = Clip(codec="prores_ks", pixel_format="yuv422p10le", options={"profile": "lt"}, time_base=Fraction(1, 25),
                  pts=range(3)).write(tmp_path / "in.mov")  # fmt: skip
    copy_through(source, tmp_path / "out.mov")
    with av.open(str(tmp_path / "out.mov")) as container:
        assert container.streams.video[0].codec_context.profile == "LT"


def test_full_range_stays_full(tmp_path: Path) -> None:
    encode(Pictures("yuvj420p", (64, 48), "h264"), tmp_path / "out.mp4")
    (first, *_) = frames_of(tmp_path / "out.mp4")
    assert first.color.full_range is True


@pytest.mark.parametrize(
    ("pixels", "tags"),
    [("yuv420p", ()), ("yuv420p", ("-color_range", "tv")), ("yuv420p", ("-color_range", "pc")), ("gbrp", ())],
)
@pytest.mark.parametrize("ending", ["avi", "mjpeg"])
def test_motion_jpeg_is_of_full_range_and_looks_like_its_input(
    tmp_path: Path, pixels: str, tags: tuple[str, ...], ending: str
) -> None:
    colours = ("-vf", f"scale=out_color_matrix=bt601,format={pixels}")
    source = ffmpeg("-f", "lavfi", "-i", "color=0x6080b0:s=64x48:d=0.2", *colours, *tags, "-c:v", "ffv1",
                    tmp_path / "in.mkv")  # fmt: skip
    copy_through(source, tmp_path / f"out.{ending}", encode=EncodeOptions("mjpeg"))
    looks = []
    for path in (source, tmp_path / f"out.{ending}"):
        with av.open(str(path)) as container:
            looks.append(next(container.decode(video=0)).to_ndarray(format="rgb24").mean((0, 1)))
    assert looks[1] == pytest.approx(looks[0], abs=3)


@pytest.mark.parametrize("matrix", [1, 6])
def test_rgb_becomes_yuv_with_its_matrix_in_the_tags(tmp_path: Path, matrix: int) -> None:
    height = 720 if matrix == 1 else 240
    source = Pictures("rgb24", (64, height), "png")
    encode(source, tmp_path / "out.mp4", crf=1)
    decoded = frames_of(tmp_path / "out.mp4")[0]
    assert (decoded.color.matrix, decoded.color.full_range) == (matrix, False)
    to_rgb, offset = decoded.color.resolved(decoded.pixel_format, height).rgb_from_planes(decoded.pixel_format)
    planes = np.stack([plane.astype(np.float32) for plane in colours(decoded)]) / 255
    rgb = np.einsum("ij,jhw->ihw", to_rgb, planes) + offset[:, None, None]
    expected = np.stack(colours(next(iter(source)))) / 255
    assert np.abs(rgb - expected).mean() < 0.01


def test_formats_with_unusual_samples_are_processed_in_the_nearest_one(tmp_path: Path) -> None:
    for name, nearest in {"yuyv422": "yuv422p", "rgb565le": "rgb24", "pal8": "rgba", "x2rgb10le": "gbrp10le",
                          "gbrpf32le": "gbrp16le", "grayf32le": "gray16le", "xyz12le": "rgb48le"}.items():  # fmt: skip
        picture = av.VideoFrame(16, 8, name)
        for plane in picture.planes:
            np.frombuffer(plane, np.uint8)[:] = 0
        assert frame_from_av(picture, pts=0, time_base=Fraction(1, 25)).pixel_format.name == nearest


def test_planes_are_views_and_keep_the_picture_alive() -> None:
    picture = noise_picture((64, 48), "yuv420p", 1)
    frame = frame_from_av(picture, pts=0, time_base=Fraction(1, 25))
    np.frombuffer(picture.planes[0], np.uint8)[0] = 77
    assert frame.planes[0][0, 0] == 77
    assert frame.planes[0].flags.c_contiguous
    before = frame.planes[0].copy()
    del picture
    np.testing.assert_array_equal(frame.planes[0], before)


def test_conversions_are_the_same_every_time() -> None:
    """With more than one thread, FFmpeg's swscale overwrites samples in a few pictures out of a hundred."""
    picture = noise_picture((162, 90), "p010le", 1)

    def converted() -> list[np.ndarray]:
        result = PictureWriter().convert(picture, 162, 90, "yuv420p10le")
        return colours(frame_from_av(result, pts=0, time_base=Fraction(1)))

    expected = converted()
    for _ in range(300):
        for before, after in zip(expected, converted(), strict=True):
            np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize(("ending", "bits"), [("mxf", 5_000_000), ("mov", 3_000_000)])
def test_a_constant_bit_rate_for_broadcast_stays_constant(tmp_path: Path, ending: str, bits: int) -> None:
    video = ("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=1", "-c:v", "mpeg2video", "-pix_fmt", "yuv422p")
    constant = [word for key in ("-b:v", "-minrate", "-maxrate") for word in (key, str(bits))]
    buffer = bits * 7 // 10 // 16384 * 16384
    source = ffmpeg(*video, *constant, "-bufsize", str(buffer), "-g", "12", tmp_path / f"in.{ending}")
    assert copy_through(source, tmp_path / f"out.{ending}").losses == []
    rates = []
    for path in (source, tmp_path / f"out.{ending}"):
        with av.open(str(path)) as container:
            rates.append(8 * sum(packet.size for packet in container.demux(video=0)))
        with av.open(str(path)) as container:
            first = bytes(next(container.demux(video=0)))
        assert ConstantRate.of(first) == ConstantRate(bits, buffer)
    assert rates[1] == pytest.approx(rates[0], rel=0.03)
    free = ffmpeg(*video, "-q:v", "2", tmp_path / f"free.{ending}")
    with av.open(str(free)) as container:
        assert ConstantRate.of(bytes(next(container.demux(video=0)))) is None


def first_of(path: Path) -> tuple[str | None, str | None, set[bool]]:
    """Codec and profile of a film, and whether each of its packets is a keyframe."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        keys = {packet.is_keyframe for packet in container.demux(video) if packet.size}
        return video.codec_context.name, video.codec_context.profile, keys


@pytest.mark.parametrize(
    ("making", "ending", "profile"),
    [
        (("libx264", "-pix_fmt", "yuv422p10le"), "mxf", "High 4:2:2 Intra"),
        (("libx264", "-pix_fmt", "yuv420p"), "mp4", "High"),
        (("libx265", "-pix_fmt", "yuv422p10le", "-x265-params", "log-level=none"), "mov", "Rext"),
        (("mpeg2video", "-pix_fmt", "yuv422p"), "mxf", "4:2:2"),
    ],
)
def test_a_film_without_references_stays_one(
    tmp_path: Path, making: tuple[str, ...], ending: str, profile: str
) -> None:
    """Cameras have it for editing: AVC-Intra, XAVC-I, All-I, IMX."""
    video = ("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=1", "-c:v", *making)
    source = ffmpeg(*video, "-g", "1", tmp_path / f"in.{ending}")
    copy_through(source, tmp_path / f"out.{ending}")
    assert first_of(tmp_path / f"out.{ending}") == (*first_of(source)[:1], profile, {True})
    copy_through(source, tmp_path / "other.mkv", encode=EncodeOptions("ffv1"))
    copy_through(tmp_path / "other.mkv", tmp_path / "back.mp4", encode=EncodeOptions("h264"))
    assert first_of(tmp_path / "back.mp4")[2] == {True, False}  # FFV1 has no references either, but never had


@pytest.mark.parametrize(
    ("size", "rate", "fields", "pixel_format"),
    [
        ("1920x1080", "120M", True, "yuv422p"),
        ("1920x1080", "185M", True, "yuv422p10le"),
        ("1920x1080", "36M", False, "yuv422p"),
        ("1280x720", "90M", False, "yuv422p10le"),
    ],
)
@pytest.mark.parametrize("ending", ["mov", "mxf"])
def test_dnxhd_stays_of_its_kind(
    tmp_path: Path, size: str, rate: str, fields: bool, pixel_format: str, ending: str
) -> None:
    video = ("-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d=0.08", "-c:v", "dnxhd", "-pix_fmt", pixel_format)
    interlaced = ("-vf", "setfield=tff", "-flags", "+ildct") if fields else ()
    source = ffmpeg(*video, "-b:v", rate, *interlaced, tmp_path / f"in.{ending}")
    sink = copy_through(source, tmp_path / f"out.{ending}")
    assert sink.losses == []
    assert first_of(tmp_path / f"out.{ending}")[1] == "DNXHD"
    assert [packet_bytes(each) for each in (source, tmp_path / f"out.{ending}")] == [packet_bytes(source)] * 2


def packet_bytes(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [packet.size for packet in container.demux(video=0) if packet.size]


def test_deinterlaced_dnxhd_becomes_dnxhr(tmp_path: Path) -> None:
    video = ("-f", "lavfi", "-i", "testsrc2=s=1920x1080:r=25:d=0.08", "-vf", "setfield=tff", "-c:v", "dnxhd")
    source = ffmpeg(*video, "-b:v", "120M", "-pix_fmt", "yuv422p", "-flags", "+ildct", tmp_path / "in.mov")
    sink = copy_through(source, tmp_path / "out.mov", window={"deinterlace": True})
    assert sink.losses == []
    assert first_of(tmp_path / "out.mov")[1] == "DNXHR HQ"


def test_jpeg_2000_becomes_another_codec_that_can_be_read(tmp_path: Path) -> None:
    video = ("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=0.2", "-c:v", "jpeg2000", "-pix_fmt", "yuv420p")
    source = ffmpeg(*video, tmp_path / "in.mov")
    sink = copy_through(source, tmp_path / "out.mov")
    assert sink.losses == ["the codec of the video (jpeg2000; now h264)"]
    assert len(frames_of(tmp_path / "out.mov")) == 5
