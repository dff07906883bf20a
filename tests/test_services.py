"""The names of television channels in transport streams, which FFmpeg reads and PyAV does not show."""

from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path

import pytest

from clips import copy_through
from public_tools import ffmpeg
from streamdehaze.video import FileSource
from streamdehaze.video.readback.facts import read_facts
from streamdehaze.video.reading.services import Service, services_of

PICTURES = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1")
H264 = ("-c:v", "libx264", "-preset", "ultrafast")
NAMES = {"service_name": "Über Öland HD", "service_provider": "Första"}


def channel(folder: Path, ending: str = "ts", *options: str, **names: str) -> Path:
    """A film with a name and a number of its own."""
    tags = [word for key, value in names.items() for word in ("-metadata", f"{key}={value}")]
    return ffmpeg(*PICTURES, *H264, *tags, *options, folder / f"in.{ending}")


@pytest.mark.parametrize("ending", ["ts", "m2ts"])
def test_the_name_and_the_number_of_a_channel_survive(tmp_path: Path, ending: str) -> None:
    source = channel(tmp_path, ending, "-mpegts_service_id", "28106", **NAMES)
    assert copy_through(source, tmp_path / f"out.{ending}").losses == []
    with FileSource(tmp_path / f"out.{ending}") as copy:
        assert copy.service.number == 28106
        assert copy.service.tags == NAMES


def test_the_name_of_a_channel_is_a_tag_elsewhere_and_a_name_again_on_the_way_back(tmp_path: Path) -> None:
    for ending in ("mkv", "mp4"):
        between = tmp_path / f"out.{ending}"
        assert copy_through(channel(tmp_path, **NAMES), between).losses == []
        assert NAMES.items() <= {key.lower(): value for key, value in read_facts(str(between)).tags.items()}.items()
        assert copy_through(between, tmp_path / f"{ending}.ts").losses == []
        with FileSource(tmp_path / f"{ending}.ts") as back:
            assert back.service.tags == NAMES
    assert copy_through(channel(tmp_path, **NAMES), tmp_path / "out.avi").losses == [
        "tags service_name, service_provider"
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="has no such pipes")
def test_the_name_of_a_channel_survives_a_pipe(tmp_path: Path) -> None:
    source = channel(tmp_path, **NAMES)
    os.mkfifo(tmp_path / "pipe")
    feeder = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(source.read_bytes()))
    feeder.start()
    assert copy_through(tmp_path / "pipe", tmp_path / "out.ts").losses == []
    feeder.join()
    with FileSource(tmp_path / "out.ts") as copy:
        assert copy.service.tags == NAMES


def test_what_ffmpeg_writes_where_it_was_given_no_name_is_none(tmp_path: Path) -> None:
    assert copy_through(channel(tmp_path), tmp_path / "out.avi").losses == []
    assert copy_through(channel(tmp_path, service_name="fog"), tmp_path / "out.avi", overwrite=True).losses == [
        "tag service_name"
    ]


def test_several_channels_become_one_which_is_named(tmp_path: Path) -> None:
    source = ffmpeg(*PICTURES, "-f", "lavfi", "-i", "color=s=32x32:d=1", "-map", "0", "-map", "1", *H264,
                    "-program", "title=One:st=0", "-program", "title=Two:st=1", tmp_path / "in.ts")  # fmt: skip
    sink = copy_through(source, tmp_path / "out.ts")
    assert sink.losses == ["the division into 2 services (One, Two); all streams are in one"]
    with FileSource(tmp_path / "out.ts") as copy:
        assert copy.service.name == "One"
        assert [video.width for video in copy.container.streams.video] == [64, 32]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"Fog 1", "Fog 1"),
        (b"\x15" + "Nebel über".encode(), "Nebel über"),
        ("Nebel über".encode(), "Nebel über"),
        (b"\x05Nebel \xfcber", "Nebel über"),  # ISO 8859-9
        (b"\x10\x00\x05\xbf\xd4", "Пд"),
        (b"\x11\x04\x1f", "П"),
        (b"Nebel \xc8uber \xfb\xf9", "Nebel über ßø"),  # ISO 6937
        (b"\x86Fog\x87 1", "Fog 1"),  # emphasis
        (b"\x1fFog", "Fog"),  # of no known alphabet
        (b"", ""),
    ],
)
def test_names_are_read_in_the_alphabets_of_broadcasters(text: bytes, read: str) -> None:
    (service,) = services_of(io.BytesIO(stream_of(text)))
    assert service == Service(7, frozenset({256}), "", read)


def test_a_damaged_stream_names_what_is_whole() -> None:
    stream = stream_of(b"Fog 1")
    for at in range(0, len(stream), 7):
        damaged = bytearray(stream)
        damaged[at] ^= 0xFF
        assert {service.name for service in services_of(io.BytesIO(damaged))} <= {"", "Fog 1"}
    for size in range(0, len(stream), 11):
        services_of(io.BytesIO(stream[:size]))
    assert services_of(io.BytesIO(bytes(5000))) == services_of(io.BytesIO(b"\x47" * 5000)) == ()


def stream_of(name: bytes) -> bytes:
    """Packets with the tables of one service of this name, and enough after them to be known for a transport stream."""
    descriptor = b"\x01\x00" + bytes([len(name)]) + name
    service = b"\x00\x07\xfc\x80" + bytes([2 + len(descriptor), 0x48, len(descriptor)]) + descriptor
    return b"".join(
        [
            packet(0, table(0, 1, b"\x00\x07\xe1\x00")),
            packet(256, table(2, 7, b"\xe1\x00\xf0\x00\x1b\xe1\x00\xf0\x00")),
            packet(0x11, table(0x42, 1, b"\x00\x01\xff" + service)),
            *[packet(0x1FFF, b"\xff")] * 9,
        ]
    )


def table(kind: int, about: int, content: bytes) -> bytes:
    """A section with its checksum."""
    size = 0xB000 | 5 + len(content) + 4
    head = bytes([kind]) + size.to_bytes(2, "big") + about.to_bytes(2, "big") + b"\xc1\0\0" + content
    check = 0xFFFFFFFF
    for bit in "".join(f"{byte:08b}" for byte in head):
        check = (check << 1 ^ (0x04C11DB7 if (check >> 31) ^ int(bit) else 0)) & 0xFFFFFFFF
    return head + check.to_bytes(4, "big")


def packet(pid: int, payload: bytes) -> bytes:
    """A packet of a transport stream with the beginning of a table."""
    return (b"\x47" + (0x4000 | pid).to_bytes(2, "big") + b"\x10\x00" + payload).ljust(188, b"\xff")
