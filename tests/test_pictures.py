"""A photo keeps its bit depth, its transparency and everything else that its file holds besides the pixels."""

from __future__ import annotations

import functools
import io
import logging
import os
import struct
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin, TiffImagePlugin

from streamdehaze.errors import SinkError, SourceError
from streamdehaze.frame import ColorSpec, Frame, PixelFormat
from streamdehaze.video.picture import PictureSink, PictureSource, is_picture

WIDTH, HEIGHT = 61, 37  # odd on purpose
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">fog</x:xmpmeta>'
PIL_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
LOSSLESS = {".webp": {"lossless": True, "exact": True}}


def noise(channels: int, depth: int = 8, seed: int = 0) -> np.ndarray[Any, np.dtype[Any]]:
    dtype = np.uint16 if depth == 16 else np.uint8
    return np.random.default_rng(seed).integers(0, 1 << depth, (HEIGHT, WIDTH, channels), dtype=dtype)


def squeezed(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels


def photo() -> np.ndarray[Any, Any]:
    """A smooth picture, which JPEG keeps well."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x * 4, y * 6, (x + y) * 2], axis=2).astype(np.uint8)


@functools.cache  # its date changes every second
def icc_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif_with_thumbnail(order: str = "<") -> bytes:
    """An EXIF block: orientation, a name that is not ASCII, an exposure time in the Exif directory, a thumbnail."""
    artist = "Ann Ö\0".encode()
    thumbnail = b"\xff\xd8 a hazy thumbnail \xff\xd9"
    ifd0, ifd0_size = 8, 2 + 3 * 12 + 4
    artist_at = ifd0 + ifd0_size
    exif_ifd = artist_at + len(artist) + len(artist) % 2
    rational_at = exif_ifd + 2 + 12 + 4
    ifd1 = rational_at + 8
    thumbnail_at = ifd1 + 2 + 2 * 12 + 4
    return (
        (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, ifd0)
        + struct.pack(f"{order}H", 3)
        + struct.pack(f"{order}HHIHH", 274, 3, 1, 6, 0)
        + struct.pack(f"{order}HHII", 315, 2, len(artist), artist_at)
        + struct.pack(f"{order}HHII", 34665, 4, 1, exif_ifd)
        + struct.pack(f"{order}I", ifd1)
        + artist.ljust(exif_ifd - artist_at, b"\0")
        + struct.pack(f"{order}HHHIII", 1, 33434, 5, 1, rational_at, 0)
        + struct.pack(f"{order}II", 1, 250)
        + struct.pack(f"{order}H", 2)
        + struct.pack(f"{order}HHII", 513, 4, 1, thumbnail_at)
        + struct.pack(f"{order}HHII", 514, 4, 1, len(thumbnail))
        + struct.pack(f"{order}I", 0)
        + thumbnail
    )  # fmt: skip


def save(path: Path, pixels: np.ndarray[Any, Any], **options: Any) -> Path:
    Image.fromarray(squeezed(pixels)).save(path, **LOSSLESS.get(path.suffix, {}), **options)
    return path


def save_with_everything(path: Path) -> Path:
    """A picture whose file contains everything that its format can hold."""
    text = PngImagePlugin.PngInfo()
    text.add_itxt("Title", "Nebel über dem See")
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    options: dict[str, Any] = {
        ".png": {"pnginfo": text},
        ".jpg": {"quality": 90, "comment": b"a foggy day", "subsampling": 2},
    }.get(path.suffix, {})
    exif = b"Exif\0\0" + exif_with_thumbnail()
    if path.suffix == ".tif":
        tags = Image.Exif()
        tags.load(exif)
        tags[270], tags[700] = "a foggy day", XMP
        exif = tags.tobytes()
    return save(path, photo(), exif=exif, icc_profile=icc_profile(), xmp=XMP, dpi=(300, 300), **options)


def passed_through(source: Path, target: Path) -> Frame:
    """Write what was read, as `--strength 0` does, and return the frame in between."""
    opened = PictureSource(source)
    frames = list(opened)
    assert len(frames) == 1
    assert frames[0].pts == 0
    sink = PictureSink(target, opened)
    sink.write(frames[0])
    sink.close()
    opened.close()
    assert [entry for entry in target.parent.iterdir() if ".part" in entry.name] == []
    return frames[0]


def exif_of(path: Path) -> Image.Exif:
    with Image.open(path) as image:
        exif = image.getexif()
        for directory in (ExifTags.IFD.Exif, ExifTags.IFD.IFD1):
            exif.get_ifd(directory)  # while the file is open
        return exif


def assert_stored_pixels_equal(before: Path, after: Path) -> None:
    """Read by FFmpeg, which ignores the orientation tag; JPEG and lossy WebP may differ a little."""
    pictures = []
    for path in (before, after):
        with av.open(str(path)) as container:
            pictures.append(next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int))
    assert pictures[0].shape == pictures[1].shape == (HEIGHT, WIDTH, 3)
    assert np.abs(pictures[0] - pictures[1]).mean() < 3


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".bmp"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_eight_bit_pixels_survive(tmp_path: Path, channels: int, suffix: str) -> None:
    if suffix == ".bmp" and channels in (2, 4):
        pytest.skip("BMP has no transparency")
    pixels = noise(channels)
    source = save(tmp_path / f"a{suffix}", pixels)
    passed_through(source, tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as after, Image.open(source) as before:
        assert after.mode == before.mode
        assert np.array_equal(np.asarray(after), np.asarray(before))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bit_pixels_survive_and_other_readers_agree(tmp_path: Path, channels: int, suffix: str) -> None:
    pixels = noise(channels, 16)
    bgr = pixels[:, :, [2, 1, 0, 3][:channels]] if channels > 1 else pixels
    cv2.imwrite(str(tmp_path / f"a{suffix}"), bgr)
    frame = passed_through(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    assert frame.pixel_format.depth == 16
    assert np.array_equal(frame.to_array(), squeezed(pixels))
    assert np.array_equal(cv2.imread(str(tmp_path / f"b{suffix}"), cv2.IMREAD_UNCHANGED), squeezed(bgr))
    with av.open(str(tmp_path / f"b{suffix}")) as container:
        name = {1: "gray16le", 3: "rgb48le", 4: "rgba64le"}[channels]
        decoded = next(container.decode(video=0))
        assert decoded.format.name.startswith(name[:-2])
        assert np.array_equal(decoded.to_ndarray(format=name), squeezed(pixels))


def test_sixteen_bit_gray_with_alpha_survives(tmp_path: Path) -> None:
    frame = Frame.from_array(noise(4, 16))
    write_frame(tmp_path / "four.png", frame)
    with av.open(str(tmp_path / "four.png")) as container:
        gray_alpha = next(container.decode(video=0)).reformat(format="ya16be")
        encoder = av.CodecContext.create("png", "w")
        encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = WIDTH, HEIGHT, "ya16be", 1
        packets = [*encoder.encode(gray_alpha), *encoder.encode(None)]
    (tmp_path / "a.png").write_bytes(b"".join(bytes(packet) for packet in packets))
    first = passed_through(tmp_path / "a.png", tmp_path / "b.png")
    (second,) = PictureSource(tmp_path / "b.png")
    assert first.pixel_format.name == "ya16le"
    assert np.array_equal(first.to_array(), second.to_array())


def write_frame(path: Path, frame: Frame) -> None:
    """Write a frame made here."""
    save(path.with_name("blank.png"), np.zeros((frame.height, frame.width, 3), np.uint8))
    sink = PictureSink(path, PictureSource(path.with_name("blank.png")))
    sink.write(frame)
    sink.close()


def test_transparent_pixels_keep_their_colour(tmp_path: Path) -> None:
    pixels = noise(4)
    pixels[:, :, 3] = 0
    for suffix in (".png", ".tif", ".webp"):
        passed_through(save(tmp_path / f"a{suffix}", pixels), tmp_path / f"b{suffix}")
        assert np.array_equal(np.asarray(Image.open(tmp_path / f"b{suffix}")), pixels)


def test_palette_pictures_become_rgb_and_transparent_colours_alpha(tmp_path: Path) -> None:
    palette = Image.fromarray(photo()).quantize(16)
    palette.save(tmp_path / "a.png")
    palette.save(tmp_path / "t.png", transparency=3)
    Image.fromarray(photo()).save(tmp_path / "key.png", transparency=(0, 0, 0))
    opaque = passed_through(tmp_path / "a.png", tmp_path / "b.png")
    assert np.array_equal(opaque.to_array(), np.asarray(palette.convert("RGB")))
    clear = passed_through(tmp_path / "t.png", tmp_path / "u.png")
    assert np.array_equal(clear.to_array()[:, :, 3] == 0, np.asarray(palette) == 3)
    keyed = passed_through(tmp_path / "key.png", tmp_path / "keyed.png")
    assert np.array_equal(keyed.to_array()[:, :, 3] == 0, ~photo().any(axis=2))


def raw_tiff(path: Path, pixels: np.ndarray[Any, Any], **tags: int | tuple[int, ...]) -> Path:
    """An uncompressed TIFF of one strip."""
    channels = pixels.shape[2]
    layout = {256: WIDTH, 257: HEIGHT, 258: (pixels.itemsize * 8,) * channels, 259: 1, 262: 2 if channels > 2 else 1}
    layout |= {273: 0, 277: channels, 278: HEIGHT, 279: pixels.nbytes}
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in (layout | {int(name[1:]): value for name, value in tags.items()}).items():
        directory[tag] = value
    file = io.BytesIO()
    directory.save(file)
    path.write_bytes(file.getvalue() + pixels.tobytes())
    return path


@pytest.mark.parametrize("depth", [8, 16])
def test_white_is_zero_tiffs_are_not_inverted(tmp_path: Path, depth: int) -> None:
    pixels = noise(1, depth)
    passed_through(raw_tiff(tmp_path / "a.tif", (1 << depth) - 1 - pixels, _262=0), tmp_path / "b.png")
    assert np.array_equal(cv2.imread(str(tmp_path / "b.png"), cv2.IMREAD_UNCHANGED), squeezed(pixels))


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_kept_as_a_tag_and_not_applied(tmp_path: Path, orientation: int, depth: int) -> None:
    pixels = noise(3, depth)
    source = raw_tiff(tmp_path / "a.tif", pixels, _274=orientation)
    with closing(PictureSource(source)) as opened:
        assert (opened.info.width, opened.info.height) == (WIDTH, HEIGHT)
    assert np.array_equal(passed_through(source, tmp_path / "b.tif").to_array(), pixels)
    assert exif_of(tmp_path / "b.tif").get(ExifTags.Base.Orientation, 1) == orientation


def test_premultiplied_alpha_is_divided_out(tmp_path: Path) -> None:
    pixels = noise(4, 16)
    pixels[:, :, 3] = 1 << 15
    premultiplied = pixels.copy()
    premultiplied[:, :, :3] >>= 1
    frame = passed_through(raw_tiff(tmp_path / "a.tif", premultiplied, _338=1), tmp_path / "b.tif")
    assert np.abs(frame.to_array().astype(int) - pixels.astype(int)).max() <= 3


def test_separate_colour_planes_are_read_right_or_refused(tmp_path: Path) -> None:
    for depth in (8, 16):
        planes = noise(3, depth).transpose(2, 0, 1)
        size = planes.nbytes // 3
        strips = {"_273": (0, size, 2 * size), "_279": (size,) * 3}
        raw_tiff(tmp_path / f"{depth}.tif", planes.reshape(HEIGHT, WIDTH, 3), _284=2, **strips)
    (frame,) = PictureSource(tmp_path / "8.tif")
    assert np.array_equal(frame.to_array(), noise(3, 8))
    with pytest.raises(SourceError, match="separate planes"), closing(PictureSource(tmp_path / "16.tif")) as deep:
        list(deep)


@pytest.mark.parametrize("target", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("source", [".jpg", ".png", ".tif", ".webp"])
def test_exif_colour_profile_and_xmp_survive(tmp_path: Path, source: str, target: str) -> None:
    before, after = save_with_everything(tmp_path / f"a{source}"), tmp_path / f"b{target}"
    passed_through(before, after)
    exif = exif_of(after)
    assert exif[ExifTags.Base.Orientation] == 6
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] == pytest.approx(1 / 250)
    if source != ".tif":  # Pillow, which made the file, garbles the letter when writing a TIFF
        assert "Ann Ö".encode() in after.read_bytes()
    assert exif.get_ifd(ExifTags.IFD.IFD1) == {}, "the hazy picture's thumbnail is not shown any more"
    assert_stored_pixels_equal(before, after)
    with Image.open(after) as image:
        assert image.info["icc_profile"] == icc_profile()
        xmp = image.info["xmp"]
        assert (xmp.encode() if isinstance(xmp, str) else xmp) == XMP
        if source != ".webp" and target != ".webp":
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tags_survive_in_either_byte_order(tmp_path: Path, order: str) -> None:
    save(tmp_path / "a.jpg", photo(), exif=b"Exif\0\0" + exif_with_thumbnail(order))
    passed_through(tmp_path / "a.jpg", tmp_path / "b.tif")
    passed_through(tmp_path / "b.tif", tmp_path / "c.tif")
    passed_through(tmp_path / "c.tif", tmp_path / "d.jpg")
    assert (tmp_path / "c.tif").read_bytes()[:2] == (b"II" if order == "<" else b"MM")
    exif = exif_of(tmp_path / "d.jpg")
    assert exif[ExifTags.Base.Orientation] == 6
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] == pytest.approx(1 / 250)
    (jpeg,), (tiff,) = PictureSource(tmp_path / "a.jpg"), PictureSource(tmp_path / "c.tif")
    assert np.array_equal(jpeg.to_array(), tiff.to_array())


def test_texts_and_colour_chunks_of_a_png_survive(tmp_path: Path) -> None:
    plain = save_with_everything(tmp_path / "plain.png").read_bytes()
    after_header = 8 + 25
    gamma = struct.pack(">I4sI", 4, b"gAMA", 50000)
    (tmp_path / "a.png").write_bytes(
        plain[:after_header] + gamma + struct.pack(">I", zlib.crc32(gamma[4:])) + plain[after_header:]
    )
    passed_through(tmp_path / "a.png", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as image:
        assert image.text["Title"] == "Nebel über dem See"  # type: ignore[attr-defined]
        assert image.info["gamma"] == 0.5


def test_captions_survive_in_jpeg_and_tiff(tmp_path: Path) -> None:
    iptc = b"\x1c\x02\x78\x00\x07Harbour"
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc
    segment = b"Photoshop 3.0\0" + resource
    save(tmp_path / "a.jpg", photo(), extra=b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment)
    passed_through(tmp_path / "a.jpg", tmp_path / "b.jpg")
    passed_through(tmp_path / "b.jpg", tmp_path / "c.tif")
    passed_through(tmp_path / "c.tif", tmp_path / "d.jpg")
    for name in ("b.jpg", "d.jpg"):
        with Image.open(tmp_path / name) as image:
            assert image.info["photoshop"][0x0404] == iptc


@pytest.mark.parametrize(("subsampling", "quality"), [(0, 98), (2, 98), (2, 60)])
def test_jpeg_keeps_its_subsampling_and_is_never_coarser(tmp_path: Path, subsampling: int, quality: int) -> None:
    save(tmp_path / "a.jpg", photo(), quality=quality, subsampling=subsampling, progressive=True)
    passed_through(tmp_path / "a.jpg", tmp_path / "b.jpg")
    at_95 = save(tmp_path / "95.jpg", photo(), quality=95)
    with Image.open(tmp_path / "a.jpg") as before, Image.open(tmp_path / "b.jpg") as after, Image.open(at_95) as limit:
        tables: list[dict[int, list[int]]] = [image.quantization for image in (before, after, limit)]  # type: ignore[attr-defined]
        assert tables[1] == (tables[0] if quality > 95 else tables[2])
        assert after.layer == before.layer  # type: ignore[attr-defined]
        assert after.info["progressive"]
        assert np.abs(np.asarray(after, int) - np.asarray(before, int)).mean() < 2


def test_what_a_format_cannot_hold_is_named_in_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cv2.imwrite(str(tmp_path / "deep.png"), noise(4, 16))
    with caplog.at_level(logging.WARNING):
        passed_through(tmp_path / "deep.png", tmp_path / "b.jpg")
        passed_through(save_with_everything(tmp_path / "all.jpg"), tmp_path / "b.bmp")
    deep, everything = [record.getMessage() for record in caplog.records]
    assert "b.jpg" in deep
    assert "transparency" in deep
    assert "16 bits a sample" in deep
    for word in ("EXIF", "ICC profile", "XMP", "text (Comment)"):
        assert word in everything


def test_further_pages_are_named_as_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pages = [Image.fromarray(noise(3, seed=seed)) for seed in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    frame = passed_through(tmp_path / "a.tif", tmp_path / "b.tif")
    assert np.array_equal(frame.to_array(), noise(3))
    assert "2 further pictures" in caplog.text


def test_the_same_format_gives_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for suffix in (".jpg", ".png", ".tif", ".webp"):
        passed_through(save_with_everything(tmp_path / f"a{suffix}"), tmp_path / f"b{suffix}")
    assert caplog.text == ""


def test_a_photo_of_a_hundred_megapixels_gives_no_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    Image.new("L", (12500, 8000), 77).save(tmp_path / "large.png", compress_level=1)
    (frame,) = PictureSource(tmp_path / "large.png")
    assert (frame.width, frame.height) == (12500, 8000)
    assert int(frame.planes[0].min()) == 77
    assert limit == Image.MAX_IMAGE_PIXELS
    assert not recwarn.list


def png_of_size(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def spoiled(tmp_path: Path, kind: str) -> Path:
    """A file that is not the kind of picture its name says."""
    path = tmp_path / f"{kind}.{kind.partition('-')[0]}"
    if kind == "jpg-empty":
        path.write_bytes(b"")
    elif kind == "jpg-text":
        path.write_text("no picture at all")
    elif kind == "png-bomb":
        path.write_bytes(png_of_size(60000, 60000))
    elif kind == "png-short":
        path.write_bytes(png_of_size(300, 300))
    elif kind.endswith("-cut"):
        whole = save(tmp_path / f"whole{path.suffix}", noise(3)).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind.endswith("-cutdeep"):
        cv2.imwrite(str(tmp_path / f"whole{path.suffix}"), noise(3, 16))
        whole = (tmp_path / f"whole{path.suffix}").read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind.endswith("-flipped"):
        cv2.imwrite(str(tmp_path / f"whole{path.suffix}"), noise(3, 16))
        data = bytearray((tmp_path / f"whole{path.suffix}").read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    elif kind == "jpg-cmyk":
        Image.new("CMYK", (8, 8)).save(path)
    elif kind == "tif-float":
        Image.fromarray(np.zeros((8, 8), np.float32)).save(path)
    elif kind in ("webp-animated", "png-animated"):
        frames = [Image.fromarray(noise(3, seed=seed)) for seed in range(3)]
        frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("jpg-missing", "does not exist"),
        ("jpg-empty", "is empty"),
        ("jpg-text", "not a picture"),
        ("png-bomb", "60000x60000"),
        ("png-short", "is damaged"),
        ("jpg-cut", "is damaged"),
        ("png-cut", "is cut off"),
        ("tif-cut", "is cut off|is damaged"),
        ("webp-cut", "is damaged"),
        ("png-cutdeep", "is cut off"),
        ("tif-cutdeep", "is cut off|is damaged"),
        ("png-flipped", "checksum"),
        ("jpg-cmyk", "CMYK.*convert it to RGB"),
        ("tif-float", "floating-point"),
        ("webp-animated", "is animated"),
        ("png-animated", "is animated"),
    ],
)
def test_unusable_pictures_are_refused_in_one_sentence(tmp_path: Path, kind: str, words: str) -> None:
    path = spoiled(tmp_path, kind)
    with pytest.raises(SourceError, match=words) as caught, closing(PictureSource(path)) as opened:
        list(opened)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_not_a_picture(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder"):
        PictureSource(tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> PictureSource:
    return PictureSource(save(tmp_path / "a.png", photo()))


def test_targets_are_refused_before_the_work(tmp_path: Path, source: PictureSource) -> None:
    (tmp_path / "there.png").write_bytes(b"precious")
    with pytest.raises(SinkError, match="exists already; use --overwrite"):
        PictureSink(tmp_path / "there.png", source)
    with pytest.raises(SinkError, match="is the input itself"):
        PictureSink(tmp_path / "a.png", source, overwrite=True)
    with pytest.raises(SinkError, match="is a file, so"):
        PictureSink(tmp_path / "a.png" / "b.png", source)
    with pytest.raises(SinkError, match="is not the name of a picture"):
        PictureSink(tmp_path / "b.xyz", source)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SinkError, match="is a folder"):
        PictureSink(tmp_path / "folder.png", source, overwrite=True)
    assert (tmp_path / "there.png").read_bytes() == b"precious"


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused_before_the_work(tmp_path: Path, source: PictureSource) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(SinkError, match="is not writable"):
        PictureSink(tmp_path / "locked" / "b.png", source)


def test_the_name_appears_only_when_the_picture_is_complete(tmp_path: Path, source: PictureSource) -> None:
    (frame,) = source
    sink = PictureSink(tmp_path / "b.png", source)
    sink.write(frame)
    assert not (tmp_path / "b.png").exists()
    assert (tmp_path / "b.part.png").exists()
    sink.close()
    sink.close()
    sink.abort()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_an_aborted_picture_leaves_nothing(tmp_path: Path, source: PictureSource) -> None:
    (frame,) = source
    sink = PictureSink(tmp_path / "b.png", source)
    sink.write(frame)
    sink.abort()
    with pytest.raises(SinkError, match="no frame reached"):
        PictureSink(tmp_path / "c.png", source).close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_a_full_disk_is_reported_and_nothing_is_left_on_it(tmp_path: Path, source: PictureSource) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    (frame,) = source
    sink = PictureSink(tmp_path / "b.png", source)
    (tmp_path / "b.part.png").symlink_to("/dev/full")
    with pytest.raises(SinkError, match="No space left"):
        sink.write(frame)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_a_picture_holds_one_frame(tmp_path: Path, source: PictureSource) -> None:
    (frame,) = source
    sink = PictureSink(tmp_path / "b.png", source)
    sink.write(frame)
    with pytest.raises(SinkError, match="holds one picture"):
        sink.write(frame)
    sink.abort()


def test_frames_of_video_formats_are_written_in_their_own_colours(tmp_path: Path, source: PictureSource) -> None:
    red_in_bt709 = (63, 102, 240)  # narrow range
    planes = tuple(np.full((8, 8), level, np.uint8) for level in red_in_bt709)
    sink = PictureSink(tmp_path / "b.png", source)
    sink.write(Frame(planes, 8, 8, PixelFormat.parse("yuv444p"), ColorSpec(1, 1, 1, full_range=False)))
    sink.close()
    assert np.abs(np.asarray(Image.open(tmp_path / "b.png"), int) - (255, 0, 0)).max() <= 2


def test_pictures_are_recognised_by_extension_or_content(tmp_path: Path) -> None:
    assert is_picture("x.JPG")
    assert is_picture("x.tiff")
    assert not is_picture("x.mp4")
    assert not is_picture("x.gif")  # moves
    assert not is_picture("frames/%05d.png")
    for suffix in (".jpg", ".png", ".tif", ".webp", ".bmp"):
        nameless = save(tmp_path / f"a{suffix}", photo()).rename(tmp_path / f"a{suffix[1:]}")
        assert is_picture(nameless)
    (tmp_path / "text").write_text("words")
    assert not is_picture(tmp_path / "text")


def test_avif_survives_where_pillow_has_it(tmp_path: Path) -> None:
    from PIL import features

    if not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    save(tmp_path / "a.avif", photo(), icc_profile=icc_profile(), quality=95)
    passed_through(tmp_path / "a.avif", tmp_path / "b.avif")
    with Image.open(tmp_path / "b.avif") as after:
        assert after.info["icc_profile"] == icc_profile()
        assert np.abs(np.asarray(after, int) - photo().astype(int)).mean() < 3
