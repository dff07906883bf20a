"""HEIC photos with the extra `heif`: pixels of 8 and 10 bits, EXIF, profile, XMP; without it, how to get it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner
from PIL import Image, ImageCms

from clips import copy_photo
from doubles import quick_dehazer
from streamdehaze import dehaze_image
from streamdehaze.cli import main

pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")


def gradient(kind: type[np.generic]) -> npt.NDArray[Any]:
    most = np.iinfo(kind).max
    row = np.linspace(0, most, 64)
    return np.stack([np.tile(row, (48, 1)), np.tile(row[::-1], (48, 1)), np.full((48, 64), most // 2)], 2).astype(kind)


def photo(path: Path, **options: Any) -> Path:
    """A photo of a phone held upright."""
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x010F] = "Apple"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    kept = {"exif": exif.tobytes(), "icc_profile": profile, "xmp": b"<x:xmpmeta/>"}
    Image.fromarray(gradient(np.uint8)).save(path, quality=95, chroma=444, **kept, **options)
    return path


@pytest.mark.parametrize("ending", ["heic", "HIF", "jpg", "png"])
def test_pixels_and_metadata_survive(tmp_path: Path, ending: str) -> None:
    source = photo(tmp_path / "IMG.HEIC")
    assert copy_photo(source, tmp_path / f"out.{ending}") == []
    with Image.open(source) as before, Image.open(tmp_path / f"out.{ending}") as after:
        assert np.abs(np.asarray(before).astype(int) - np.asarray(after)).max() <= 12
        assert after.getexif()[0x010F] == "Apple"
        assert after.info["icc_profile"] == before.info["icc_profile"]
        assert b"xmpmeta" in (after.info.get("xmp") or after.info.get("XML:com.adobe.xmp", "").encode())


def test_a_photo_under_another_name_is_read(tmp_path: Path) -> None:
    renamed = photo(tmp_path / "a.heic").rename(tmp_path / "a.jpg")
    assert copy_photo(renamed, tmp_path / "b.heic") == []


def test_ten_bits_stay_ten_bits(tmp_path: Path) -> None:
    deep = gradient(np.uint16)
    pillow_heif.encode("RGB;16", (64, 48), deep.tobytes(), tmp_path / "a.heic", quality=95, chroma=444)
    assert copy_photo(tmp_path / "a.heic", tmp_path / "b.heic") == []
    after = pillow_heif.open_heif(tmp_path / "b.heic", convert_hdr_to_8bit=False)
    assert after.info["bit_depth"] == 10
    assert np.abs(np.asarray(after).astype(int) - deep).max() < 65535 * 0.02
    assert copy_photo(tmp_path / "a.heic", tmp_path / "c.jpg")[0] == "16 bits a sample (rounded to 8)"


def test_further_pictures_are_named(tmp_path: Path) -> None:
    again = Image.fromarray(gradient(np.uint8)[::-1].copy())
    source = photo(tmp_path / "burst.heic", save_all=True, append_images=[again])
    assert copy_photo(source, tmp_path / "out.heic") == ["1 further picture in the file"]


def test_a_photo_is_dehazed_and_a_damaged_one_named(tmp_path: Path) -> None:
    source = photo(tmp_path / "a.heic")
    with quick_dehazer() as dehazer:
        clear = dehaze_image(source, dehazer=dehazer)
    assert clear == tmp_path / "a.clear.heic"
    with Image.open(source) as before, Image.open(clear) as after:
        assert np.asarray(after).mean() < 0.7 * np.asarray(before).mean()
    source.write_bytes(source.read_bytes()[:600])
    done = CliRunner().invoke(main, ["run", str(source), "--overwrite", "--strength", "0"])
    assert done.exit_code == 1
    assert "a.heic' is damaged" in done.output
