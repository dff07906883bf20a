"""Everything in a file that is not the picture comes out as it went in, or is named once as lost."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from clips import Clip, copy_through, noise_picture, other_packets, video_ticks, video_times
from public_tools import PICTURES, ffmpeg
from streamdehaze.video import EncodeOptions, FileSink, FileSource
from streamdehaze.video.sidedata import side_data
from streamdehaze.video.writing import aspect
from streamdehaze.video.writing.encoding.hdr10 import LightLevels, light_levels

MILLISECOND = Fraction(1, 1000)
CHAPTERS = [
    {"id": 1, "start": 0, "end": 400, "time_base": MILLISECOND, "metadata": {"title": "into the fog"}},
    {"id": 2, "start": 400, "end": 900, "time_base": MILLISECOND, "metadata": {"title": "out of it"}},
]
PQ = (9, 16, 9, 1)  # BT.2020 primaries, PQ transfer, BT.2020 matrix, narrow range
LEVELS = LightLevels(
    (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329), luminance=(1000.0, 0.005), content=(1000, 400)
)


def rich(**changes: Any) -> Clip:
    """A clip with one of everything that MP4, MOV and Matroska can hold."""
    facts: dict[str, Any] = {
        "audio": "aac",
        "metadata": {"title": "Fog", "comment": "cold morning"},
        "video_metadata": {"language": "eng", "handler_name": "camera"},
        "aspect": Fraction(4, 3),
        "rotation": 90,
        "color": (1, 1, 1, 1),
        "chapters": CHAPTERS,
    }
    return Clip(**{**facts, **changes})


def first_picture(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(container.streams.video[0]))


@pytest.mark.parametrize("ending", ["mkv", "mp4", "mov"])
def test_tags_chapters_aspect_rotation_and_colour_survive(tmp_path: Path, ending: str) -> None:
    subtitles = {"mkv": "subrip", "mp4": "mov_text"}.get(ending)
    source = rich(subtitles=subtitles).write(tmp_path / f"in.{ending}")
    target = tmp_path / f"out.{ending}"
    assert copy_through(source, target).losses == []
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert {k.lower(): v for k, v in after.metadata.items()}.items() >= {
            ("title", "Fog"), ("comment", "cold morning"),
        }  # fmt: skip
        for old, new in zip(before.chapters(), after.chapters(), strict=True):
            for edge in ("start", "end"):
                assert new[edge] * new["time_base"] == old[edge] * old["time_base"]
            assert new["metadata"] == old["metadata"]
        kinds = [(s.type, s.language, s.disposition) for s in before.streams]
        assert [(s.type, s.language, s.disposition) for s in after.streams] == kinds
        assert after.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
    picture = first_picture(target)
    assert picture.rotation == 90
    color = (picture.color_primaries, picture.color_trc, picture.colorspace, picture.color_range)
    assert color == (1, 1, 1, 1)
    assert other_packets(target) == other_packets(source)


def test_attachments_and_subtitles_survive_in_matroska(tmp_path: Path) -> None:
    font = ("sans.ttf", "font/ttf", bytes(range(256)) * 4)
    source = rich(subtitles="subrip", attachments=[font]).write(tmp_path / "in.mkv")
    assert copy_through(source, tmp_path / "out.mkv").losses == []
    with av.open(str(tmp_path / "out.mkv")) as after:
        (attachment,) = (s for s in after.streams if s.type == "attachment")
        assert (attachment.name, attachment.mimetype, attachment.data) == font
    assert other_packets(tmp_path / "out.mkv") == other_packets(source)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_cover_art_is_not_a_video_and_survives(tmp_path: Path, ending: str) -> None:
    source = rich(cover=True).write(tmp_path / f"in.{ending}")
    reader = FileSource(source)
    reader.close()
    assert reader.info.codec == "h264"
    copy_through(source, tmp_path / f"out.{ending}")
    with av.open(str(tmp_path / f"out.{ending}")) as after:
        covers = [s for s in after.streams if Disposition.attached_pic in s.disposition]
        assert [cover.codec_context.name for cover in covers] == ["png"]
    assert [p[2] for p in chain(*other_packets(source).values())] == [
        p[2] for p in chain(*other_packets(tmp_path / f"out.{ending}").values())
    ]


def test_data_stream_survives_in_a_transport_stream(tmp_path: Path) -> None:
    source = Clip(time_base=Fraction(1, 90000), pts=range(0, 90000, 3600), data="klv", audio="aac")
    copy_through(source.write(tmp_path / "in.ts"), tmp_path / "out.ts")
    packets = other_packets(tmp_path / "out.ts")
    assert packets == other_packets(tmp_path / "in.ts")
    assert any("data" in name for name in packets)


def test_second_video_stream_is_copied_without_encoding(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    first, second = Clip().write(tmp_path / "a.mkv"), Clip(codec="ffv1", options={}).write(tmp_path / "b.mkv")
    with av.open(str(first)) as a, av.open(str(second)) as b, av.open(str(source), "w") as output:
        copies = [output.add_stream_from_template(c.streams.video[0], opaque=True) for c in (a, b)]
        copies[0].disposition = Disposition.default
        for container, copy in zip((a, b), copies, strict=True):
            for packet in container.demux(video=0):
                if packet.size:
                    packet.stream = copy
                    output.mux_one(packet)
    copy_through(source, tmp_path / "out.mkv")
    assert other_packets(tmp_path / "out.mkv") == other_packets(source)
    assert list(other_packets(source)) == ["1 video ffv1"]


def test_everything_that_the_container_refuses_is_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    font = ("sans.ttf", "font/ttf", b"font")
    source = rich(subtitles="subrip", attachments=[font]).write(tmp_path / "in.mkv")
    sink = copy_through(source, tmp_path / "out.avi")
    assert sink.losses == [
        "language fra of audio stream 1 (aac, fra)",
        "subtitle stream 2 (subrip, deu)",
        "attachment stream 3 (sans.ttf)",
        "language of video",
        "rotation by 90 degrees",
        "2 chapters",
    ]
    warnings = [record.message for record in caplog.records if "not kept in" in record.message]
    assert [warning.split(": ", 1)[1] for warning in warnings] == sink.losses
    assert len(other_packets(tmp_path / "out.avi")["1 audio aac"]) == len(other_packets(source)["1 audio aac"])


@pytest.mark.parametrize(
    ("ending", "codec", "title"),
    [
        ("webm", "libvpx", ""),
        ("webm", "libvpx-vp9", "fog"),
        ("mkv", "libvpx-vp9", ""),
        ("mkv", "ffv1", "Nebel über der Elbe"),
        ("mkv", "ffv1", "n" * 120),
        ("mkv", "ffv1", "n" * 20_000),
        ("mkv", "libx264", ""),
    ],
)
def test_aspect_survives_in_matroska_of_any_codec(tmp_path: Path, ending: str, codec: str, title: str) -> None:
    """FFmpeg's muxer asks for it where PyAV cannot put it; the stream's name, which has room for it, is as it was."""
    tags = {"title": title} if title else {}
    source = Clip(aspect=Fraction(64, 45), video_metadata=tags).write(tmp_path / "in.mkv")
    target = tmp_path / f"out.{ending}"
    sink = copy_through(source, target, encode=EncodeOptions(codec=codec))
    assert sink.losses == []
    with av.open(str(target)) as after:
        video = after.streams.video[0]
        assert video.metadata.get("title", "") == title
        assert video.sample_aspect_ratio == Fraction(64, 45)
        assert sum(1 for _ in after.decode(video)) == 24
    data = target.read_bytes()
    (tracks,) = (content for kind, content in elements(data, 8192) if kind == b"\x16\x54\xae\x6b")
    if tracks.startswith(b"\xbf\x84"):  # a checksum of the rest
        assert zlib.crc32(tracks[6:]) == int.from_bytes(tracks[2:6], "little")
    display = b"\x54\xb0\x84" + (4096).to_bytes(4, "big") + b"\x54\xba\x84" + (2160).to_bytes(4, "big")
    assert display + b"\x54\xb2\x84\0\0\0\3" in tracks  # 91 1/45 by 48 pixels, as a ratio


def test_where_things_lie_in_an_flv_file_is_no_tag_of_it(tmp_path: Path) -> None:
    """What writers of an index note: true of their own file alone."""
    source = ffmpeg(*PICTURES, "-flvflags", "add_keyframe_index", "-metadata", "title=fog", tmp_path / "in.flv")
    with av.open(str(source)) as before:
        assert {"videosize", "lastkeyframelocation", "datasize", "title"} <= set(before.metadata)
    assert copy_through(source, tmp_path / "out.flv").losses == []
    with av.open(str(tmp_path / "out.flv")) as after:
        assert set(after.metadata) == {"title", "encoder"}


def test_a_second_video_in_matroska_keeps_its_own_aspect(tmp_path: Path) -> None:
    """The two lenses of a camera, or the picture-in-picture of a disc."""
    for name, ratio in (("a", "4/3"), ("b", "8/9")):
        ffmpeg(*PICTURES, "-vf", f"setsar={ratio}", "-c:v", "ffv1", tmp_path / f"{name}.mkv")
    both = ffmpeg("-i", tmp_path / "a.mkv", "-i", tmp_path / "b.mkv", "-map", "0", "-map", "1", "-c", "copy",
                  tmp_path / "both.mkv")  # fmt: skip
    copy_through(both, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as after:
        assert [video.sample_aspect_ratio for video in after.streams.video] == [Fraction(4, 3), Fraction(8, 9)]
        assert not any("pixels" in video.metadata.get("title", "") for video in after.streams.video)


def test_aspect_survives_beside_subtitles_that_bring_megabytes_of_fonts(tmp_path: Path) -> None:
    """A list of tracks is as long as what the players of its streams need to know; attachments come after it."""
    letters = "\n".join(["!" * 80] * 20_000)
    (tmp_path / "in.ass").write_text(
        f"[Script Info]\nScriptType: v4.00+\n\n[Fonts]\nfontname: fog.ttf\n{letters}\n\n[V4+ Styles]\n"
        "Format: Name, Fontname, Fontsize\nStyle: Default,fog,20\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Text\nDialogue: 0,0:00:00.00,0:00:01.00,Default,fog\n"
    )
    (tmp_path / "font.ttf").write_bytes(bytes(3_000_000))
    source = ffmpeg(
        *PICTURES, "-i", tmp_path / "in.ass", "-map", "1", "-map", "0", "-vf", "setsar=4/3", "-c:v", "ffv1",
        "-attach", tmp_path / "font.ttf", "-metadata:s:t", "mimetype=font/ttf", tmp_path / "in.mkv",
    )  # fmt: skip
    assert copy_through(source, tmp_path / "out.mkv").losses == []
    with av.open(str(tmp_path / "out.mkv")) as after:
        assert after.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
        assert len(after.streams.subtitles[0].codec_context.extradata or b"") > 1_600_000
        assert "title" not in after.streams.video[0].metadata


def elements(data: bytes, at_most: int) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of what lies in a Matroska file's segment up to there."""
    found = list(aspect._elements(data, 0, len(data)))
    assert [kind for kind, *_ in found] == [b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"]
    for kind, at, start, end in aspect._elements(data, found[1][2], len(data)):
        if at > at_most:
            return
        yield kind, data[start:end]


def test_odd_shapes_of_pixels_are_rounded_where_the_display_would_be_huge(tmp_path: Path) -> None:
    source = Clip(aspect=Fraction(1232, 909)).write(tmp_path / "in.mkv")
    sink = copy_through(source, tmp_path / "out.mkv", encode=EncodeOptions(codec="ffv1"))
    assert sink.losses == ["sample aspect ratio 1232:909 (now 87:64)"]


def test_aspect_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source = Clip(aspect=Fraction(4, 3)).write(tmp_path / "in.mp4")
    sink = copy_through(source, tmp_path / "out.avi", encode=EncodeOptions(codec="ffv1"))
    assert "sample aspect ratio 4:3" in sink.losses
    with av.open(str(tmp_path / "out.avi")) as after:
        assert after.streams.video[0].sample_aspect_ratio in (None, 0, 1)


def test_sound_survives_in_mxf(tmp_path: Path) -> None:
    source = Clip(
        codec="mpeg2video", time_base=Fraction(1, 25), pts=range(24), audio="pcm_s16le", options={"bf": "0"}
    ).write(tmp_path / "in.mxf")
    assert copy_through(source, tmp_path / "out.mxf").losses == []
    sizes = [sum(len(p[2]) for p in chain(*other_packets(tmp_path / f"{n}.mxf").values())) for n in ("in", "out")]
    assert sizes[0] == sizes[1] > 0


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_a_second_video_with_b_frames_keeps_its_times(
    tmp_path: Path, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as container:
        videos = [container.add_stream("libx264", 25, options={"bf": "2", "g": "12"}) for _ in range(2)]
        for video in videos:
            video.width, video.height, video.pix_fmt, video.time_base = 64, 48, "yuv420p", Fraction(1, 1000)
        for number in range(24):
            for video in videos:
                picture = noise_picture((64, 48), "yuv420p", number)
                picture.pts, picture.time_base = 40 * number, Fraction(1, 1000)
                container.mux(video.encode(picture))
        for video in videos:
            container.mux(video.encode(None))
    copy_through(source, tmp_path / f"out.{ending}")
    times = []
    for path in (source, tmp_path / f"out.{ending}"):
        with av.open(str(path)) as container:
            second = container.streams.video[1]
            times.append([p.pts * p.time_base for p in container.demux(second) if p.pts is not None])
    assert times[0] == times[1]
    assert "backwards" not in caplog.text


def test_a_transparency_tag_is_dropped_along_with_the_transparency(tmp_path: Path) -> None:
    source = Clip(codec="libvpx-vp9", time_base=Fraction(1, 1000), pts=range(0, 400, 40),
                  video_metadata={"alpha_mode": "1"}).write(tmp_path / "in.webm")  # fmt: skip
    sink = copy_through(source, tmp_path / "out.webm")
    assert any(lost.startswith("transparency") for lost in sink.losses)
    with av.open(str(tmp_path / "out.webm")) as after:
        assert "alpha_mode" not in {key.lower() for key in after.streams.video[0].metadata}


def test_pictures_with_exif_in_a_video_are_accepted(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = io.BytesIO()
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(photo, "JPEG", exif=exif)
    (tmp_path / "in.mjpeg").write_bytes(5 * photo.getvalue())
    copy_through(tmp_path / "in.mjpeg", tmp_path / "out.avi")
    assert len(video_times(tmp_path / "out.avi")) == 5


@pytest.mark.parametrize(
    ("codec", "ending"), [("auto", "mkv"), ("auto", "mp4"), ("auto", "ts"), ("h264", "mkv"), ("av1", "mp4")]
)
def test_hdr_light_levels_and_ten_bits_survive(tmp_path: Path, codec: str, ending: str) -> None:
    parameters = (
        "log-level=error:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)"
        "L(10000000,50):max-cll=1000,400"
    )
    source = Clip(
        codec="libx265", pixel_format="yuv420p10le", size=(128, 96), color=PQ,
        options={"x265-params": parameters, "preset": "ultrafast"},
    ).write(tmp_path / "in.mkv")  # fmt: skip
    assert light_levels(first_picture(source)) == LEVELS
    target = tmp_path / f"out.{ending}"
    assert copy_through(source, target, encode=EncodeOptions(codec=codec)).losses == []
    picture = first_picture(target)
    levels = light_levels(picture)
    assert picture.format.name == "yuv420p10le"
    assert (picture.color_primaries, picture.color_trc, picture.colorspace) == PQ[:3]
    assert levels.content == LEVELS.content
    assert levels.primaries == pytest.approx(LEVELS.primaries, abs=2e-5)
    assert levels.luminance == pytest.approx(LEVELS.luminance, rel=2e-3)
    assert len(video_times(target)) == len(video_times(source))


def test_unknown_light_levels_are_no_loss(tmp_path: Path) -> None:
    """x265 writes levels of 0 where it is told of HDR10 alone."""
    source = Clip(
        codec="libx265", pixel_format="yuv420p10le", size=(128, 96), color=PQ,
        options={"x265-params": "log-level=error:hdr10=1", "preset": "ultrafast"},
    ).write(tmp_path / "in.mkv")  # fmt: skip
    assert "CONTENT_LIGHT_LEVEL" in {kind.name for kind in side_data(first_picture(source))}
    assert copy_through(source, tmp_path / "out.mkv", encode=EncodeOptions(codec="ffv1")).losses == []


def test_hdr_light_levels_an_encoder_cannot_write_are_named(tmp_path: Path) -> None:
    parameters = "log-level=error:max-cll=1000,400"
    source = Clip(
        codec="libx265", pixel_format="yuv420p10le", size=(128, 96), color=PQ,
        options={"x265-params": parameters, "preset": "ultrafast"},
    ).write(tmp_path / "in.mkv")  # fmt: skip
    sink = copy_through(source, tmp_path / "out.mkv", encode=EncodeOptions(codec="ffv1"))
    assert any("HDR content light levels" in name for name in sink.losses)


@pytest.mark.parametrize(("codec", "options"), [("mpeg2video", {}), ("libx264", {"bf": "0"})])
def test_interlaced_stays_interlaced(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    source = Clip(
        codec=codec, time_base=Fraction(1, 25), pts=range(24), options={"flags": "+ildct+ilme", **options},
    ).write(tmp_path / "in.mkv")  # fmt: skip
    assert first_picture(source).interlaced_frame
    copy_through(source, tmp_path / "out.mkv")
    assert first_picture(tmp_path / "out.mkv").interlaced_frame


def test_closed_captions_survive(tmp_path: Path) -> None:
    """A picture's own side data (here CEA-708 in an SEI message) passes through the encoder."""
    source = tmp_path / "in.mkv"
    Clip(options={"bf": "0"}).write(tmp_path / "plain.mkv")
    caption = b"\xb5\x00\x31GA94\x03\xc1\xff\xfc\x94\x2c\xff"
    sei = b"\x00\x00\x00\x01\x06\x04" + bytes([len(caption)]) + caption + b"\x80"
    with av.open(str(tmp_path / "plain.mkv")) as plain, av.open(str(source), "w", format="h264") as output:
        stream = plain.streams.video[0]
        raw = output.add_stream_from_template(stream, opaque=True)
        annexb = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        for packet in plain.demux(stream):
            for converted in annexb.filter(packet if packet.size else None):
                with_caption = av.Packet(sei + bytes(converted))
                with_caption.stream, with_caption.time_base = raw, stream.time_base
                with_caption.pts, with_caption.dts = converted.pts, converted.dts
                output.mux_one(with_caption)
    assert "A53_CC" in first_picture(source).side_data
    copy_through(source, tmp_path / "out.mkv")
    assert "A53_CC" in first_picture(tmp_path / "out.mkv").side_data


def test_metadata_in_an_unknown_encoding_survives_byte_for_byte(tmp_path: Path) -> None:
    source = Clip(metadata={"title": "Nebel uber Brucken"}).write(tmp_path / "in.mp4")
    title = "Nebel \xfcber Br\xfccken".encode("latin-1")
    source.write_bytes(source.read_bytes().replace(b"Nebel uber Brucken", title))
    copy_through(source, tmp_path / "out.mp4")
    assert title in (tmp_path / "out.mp4").read_bytes()


def test_packets_are_kept_only_for_a_sink(tmp_path: Path) -> None:
    source = Clip(audio="aac", pts=range(0, 100 * 512, 512)).write(tmp_path / "in.mp4")
    alone = FileSource(source)
    assert sum(1 for _ in alone) == 100
    alone.close()
    assert len(alone.packets) == 0
    reader = FileSource(source)
    with FileSink(tmp_path / "out.mp4", reader) as sink:
        most = 0
        for frame in reader:
            most = max(most, len(reader.packets))
            sink.write(frame)
            assert len(reader.packets) == 0
    reader.close()
    assert most < 40


def test_standard_streams_carry_matroska(tmp_path: Path) -> None:
    import subprocess
    import sys

    source = Clip(time_base=MILLISECOND, pts=range(0, 960, 40), audio="aac").write(tmp_path / "in.mkv")
    program = (
        "from streamdehaze.video import FileSink, FileSource\n"
        "source = FileSource('-')\n"
        "with FileSink('-', source) as sink:\n"
        "    for frame in source: sink.write(frame)\n"
    )
    with source.open("rb") as stdin, (tmp_path / "out.mkv").open("wb") as stdout:
        subprocess.run([sys.executable, "-c", program], stdin=stdin, stdout=stdout, check=True, timeout=300)
    assert video_ticks(tmp_path / "out.mkv") == video_ticks(source)
    assert other_packets(tmp_path / "out.mkv") == other_packets(source)


def test_quicktime_time_code_survives(tmp_path: Path) -> None:
    made = Clip(codec="prores_ks", pixel_format="yuv422p10le", time_base=Fraction(1, 25), pts=range(5),
                video_metadata={"timecode": "01:02:03:04"}, audio="pcm_s16le", options={})  # fmt: skip
    copy_through(made.write(tmp_path / "in.mov"), tmp_path / "out.mov")
    with av.open(str(tmp_path / "in.mov")) as before, av.open(str(tmp_path / "out.mov")) as after:
        assert [s.type for s in after.streams] == [s.type for s in before.streams] == ["video", "audio", "data"]
        assert after.streams.video[0].metadata["timecode"] == "01:02:03:04"


def test_metadata_of_unknown_encoding_passes_byte_for_byte(tmp_path: Path) -> None:
    source = Clip(metadata={"title": "Xyzzy"}).write(tmp_path / "in.mkv")
    source.write_bytes(source.read_bytes().replace(b"Xyzzy", b"Ne\xe9l\xff"))
    copy_through(source, tmp_path / "out.mkv")
    assert b"Ne\xe9l\xff" in (tmp_path / "out.mkv").read_bytes()


def test_mapping_of_sound_without_layout_is_written_into_mp4(tmp_path: Path) -> None:
    source = Clip(time_base=Fraction(1, 25), pts=range(25), options={"bf": "0"}, audio="pcm_s16le")
    source.write(tmp_path / "in.avi")
    sink = copy_through(tmp_path / "in.avi", tmp_path / "out.mp4")
    assert sink.losses == []
    assert any("audio" in name for name in other_packets(tmp_path / "out.mp4"))


def test_a_stream_of_unknown_codec_is_left_out_and_named(tmp_path: Path) -> None:
    source = Clip(audio="aac").write(tmp_path / "in.mp4")
    content = source.read_bytes()
    assert content.count(b"mp4a") == content.count(b"esds") == 1
    source.write_bytes(content.replace(b"mp4a", b"zzzz").replace(b"esds", b"zzzz"))
    for ending in ("mp4", "mkv", "ts"):
        sink = copy_through(source, tmp_path / f"out.{ending}")
        assert [name.split(" (")[0] for name in sink.losses] == ["audio stream 1"]
        assert len(video_times(tmp_path / f"out.{ending}")) == 24
