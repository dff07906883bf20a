"""What is attached to a picture: FFmpeg's side data, also where PyAV knows no name for a kind of it."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import av.error
import av.filter
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType

_UNNAMED = range(len(SideDataType), 48)
"""Numbers of kinds that FFmpeg may have and PyAV has no name for."""
_ENCODERS = (bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef"), bytes.fromhex("2ca2de09b51747dbbb55a4fe7fc2fc4e"))
"""x264 and x265 sign their streams with these UUIDs and their settings, which are those of the input."""


def side_data(picture: av.VideoFrame) -> dict[SideDataType, list[bytes]]:
    """The data attached to a picture, as FFmpeg's structures; kinds without a name in PyAV are left out."""
    # `picture.side_data` would tie picture and container into a cycle, and keep the pixels until Python collects
    # garbage: hundreds of 4K pictures. A container of our own goes when it is no longer used.
    try:
        found = SideDataContainer(picture)  # type: ignore[call-arg]
    except ValueError:  # one kind has no name (EXIF with PyAV 18), and hides all others
        found = SideDataContainer(_without_unnamed(picture))  # type: ignore[call-arg]
    data: dict[SideDataType, list[bytes]] = {}
    for index in range(len(found)):
        each = found[index]
        data.setdefault(each.type, []).append(bytes(each))
    return data


def kinds_of(picture: av.VideoFrame) -> frozenset[str]:
    """The names of the kinds; "KIND_31" for one without. Settings of the input's encoder are none, nor are light levels
    of 0, which stand for unknown ones (CTA-861.3, 4.2)."""
    data = side_data(picture)
    if all(text.startswith(_ENCODERS) for text in data.get(SideDataType.SEI_UNREGISTERED, ())):
        data.pop(SideDataType.SEI_UNREGISTERED, None)
    if not any(map(any, data.get(SideDataType.CONTENT_LIGHT_LEVEL, ()))):
        data.pop(SideDataType.CONTENT_LIGHT_LEVEL, None)
    names = {kind.name for kind in data}
    try:
        SideDataContainer(picture)  # type: ignore[call-arg]
    except ValueError:
        names |= {f"KIND_{number}" for number in _UNNAMED if _passes(picture, "sidedata", f"mode=select:type={number}")}
    return frozenset(names)


def user_data(picture: av.VideoFrame) -> list[bytes]:
    """Unregistered user data, each with its UUID in front; without the settings of encoders."""
    found = side_data(picture).get(SideDataType.SEI_UNREGISTERED, ())
    return [data for data in found if not data.startswith(_ENCODERS)]


def display_matrix(picture: object) -> tuple[int, ...] | None:
    """The 3×3 matrix by which players turn and flip an FFmpeg picture, as FFmpeg keeps it; None if there is none."""
    matrix = side_data(picture).get(SideDataType.DISPLAYMATRIX) if isinstance(picture, av.VideoFrame) else None
    return struct.unpack_from("=9i", matrix[0]) if matrix else None


def first_field(picture: av.VideoFrame) -> str | None:
    """Which field of an interlaced picture is shown first, "top" or "bottom"; None for a progressive one."""
    if not picture.interlaced_frame:
        return None
    return "top" if _passes(picture, "select", "eq(interlace_type,TOPFIRST)") else "bottom"


def _without_unnamed(picture: av.VideoFrame) -> av.VideoFrame:
    return _filtered(picture, [("sidedata", f"mode=delete:type={number}") for number in _UNNAMED]) or picture


def _passes(picture: av.VideoFrame, name: str, arguments: str) -> bool:
    return _filtered(picture, [(name, arguments)]) is not None


def _filtered(picture: av.VideoFrame, filters: list[tuple[str, str]]) -> av.VideoFrame | None:
    """A second reference to a picture after some of FFmpeg's filters; None if they hold it back."""
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=picture.width,
            height=picture.height,
            format=picture.format,
            time_base=picture.time_base or Fraction(1, 1000),
        ),
        *(graph.add(name, arguments) for name, arguments in filters),
        graph.add("buffersink"),
    ).configure()
    graph.push(picture)
    graph.push(None)
    try:
        return graph.vpull()
    except (av.error.BlockingIOError, av.error.EOFError):
        return None
