"""Photos keep what camera makers put into them: raw thermal pictures, depth, unknown segments; the rest is named."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clips import copy_photo

THERMAL = b"FLIR\0\1\0\1" + bytes(range(256)) * 200


def photo(path: Path, *segments: tuple[int, bytes], after: bytes = b"", xmp: bytes = b"") -> Path:
    """A JPEG with further segments (number of APPn, content) and bytes after its end."""
    memory = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(memory, "JPEG", xmp=xmp)
    plain = memory.getvalue()
    inserted = b"".join(
        bytes([0xFF, 0xE0 + number]) + (len(data) + 2).to_bytes(2, "big") + data for number, data in segments
    )
    path.write_bytes(plain[:2] + inserted + plain[2:] + after)
    return path


@pytest.mark.parametrize(
    "segments",
    [
        [(1, THERMAL), (1, THERMAL[::-1].replace(b"Exif", b"Ex_f"))],  # FLIR: the raw picture, in parts
        [(3, b"raw thermal" * 900), (4, b"\0" * 5000), (5, b"planck")],  # DJI R-JPEG
        [(7, b"QVCI"), (8, b"SPIFF\0"), (11, b"JP" + b"C2PA manifest")],
        [(2, b"URN:maker's own"), (15, b"last")],
    ],
)
def test_unknown_segments_are_copied(tmp_path: Path, segments: list[tuple[int, bytes]]) -> None:
    assert copy_photo(photo(tmp_path / "in.jpg", *segments), tmp_path / "out.jpg") == []
    with Image.open(tmp_path / "out.jpg") as after:
        found = [(name, data) for name, data in after.applist if name != "APP0"]  # type: ignore[attr-defined]
    assert found == [(f"APP{number}", data) for number, data in segments]


@pytest.mark.parametrize("film", [b"\0\0\0\x18ftypmp42" + bytes(4000), b"\xff\xd8\xff\xe0gain map" + bytes(900)])
def test_what_follows_the_picture_is_named_and_no_longer_pointed_to(tmp_path: Path, film: bytes) -> None:
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description GCamera:MotionPhoto="1" '
        b'GCamera:MotionPhotoVersion="1" dc:title="kept"/></x:xmpmeta>'
    )
    (lost,) = copy_photo(photo(tmp_path / "in.jpg", after=film, xmp=xmp), tmp_path / "out.jpg")
    assert lost.startswith(f"{len(film)} bytes after the picture")
    content = (tmp_path / "out.jpg").read_bytes()
    assert b"MotionPhoto" not in content
    assert b"kept" in content


def test_an_ordinary_photo_has_nothing_after_it(tmp_path: Path) -> None:
    assert copy_photo(photo(tmp_path / "in.jpg", after=bytes(4)), tmp_path / "out.jpg") == []
