"""Services of MPEG transport streams, which are channels to a television: FFmpeg reads their names, and PyAV does not
show them (ISO/IEC 13818-1, 2.4.4; EN 300 468, 5.2.3 and annex A)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from av.video.stream import VideoStream

from streamdehaze.video.syntax.transport import TransportStream

_PAT_PID, _SDT_PID = 0x00, 0x11
_PAT, _PMT, _SDT = 0x00, 0x02, 0x42
"""Tables: the services, the streams of one, and the names of all."""
_SERVICE_DESCRIPTOR = 0x48
_NO_PROVIDER, _NO_NAME = "FFmpeg", "Service01"
"""What FFmpeg writes where it was given none."""
_CHARSETS = {
    **{number: f"iso8859-{number + 4}" for number in range(1, 12)},
    0x11: "utf-16-be", 0x12: "euc-kr", 0x13: "gb2312", 0x14: "big5", 0x15: "utf-8",
}  # fmt: skip
"""By the first byte of a text."""
_MARKS = dict(enumerate("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308 \u030a\u0327 \u030b\u0328\u030c", 0xC1))
"""Accents before their letters, in texts without such a byte (ISO/IEC 6937)."""
_LETTERS = str.maketrans("áâèéêñòøùúû", "ÆÐŁØŒæđłøœß")
"""Letters of that alphabet by those of Latin-1 at the same place."""


@dataclass(frozen=True)
class Service:
    """A channel."""

    number: int
    pids: frozenset[int] = frozenset()
    """Of its streams."""
    provider: str = ""
    name: str = ""

    @property
    def tags(self) -> dict[str, str]:
        """What it is called, as FFmpeg's metadata."""
        if self.provider == _NO_PROVIDER:
            return {} if self.name == _NO_NAME else {"service_name": self.name}
        return {key: text for key, text in (("service_name", self.name), ("service_provider", self.provider)) if text}


def service_of(video: VideoStream, services: Iterable[Service]) -> Service:
    """The service with this stream; one without a name for none."""
    return next((service for service in services if video.id in service.pids), Service(1))


def services_of(file: str | BinaryIO) -> tuple[Service, ...]:
    """The services of a transport stream, by what its beginning says; () where nothing does, as in any other file.

    Args:
        file: a name, which may begin with "file:", or a file at its beginning, where it is left.

    Raises:
        OSError: if it cannot be read.
    """
    if isinstance(file, str):
        with open(file.removeprefix("file:"), "rb") as opened:
            return services_of(opened)
    stream = TransportStream.of(file)
    file.seek(0)
    return () if stream is None else _services(stream)


def _services(stream: TransportStream) -> tuple[Service, ...]:
    names = {number: texts for table in stream.tables(_SDT_PID, _SDT) for number, *texts in _names(table)}
    found = []
    for number, pid in (each for table in stream.tables(_PAT_PID, _PAT) for each in _programs(table)):
        pids = next((_pids(table) for table in stream.tables(pid, _PMT) if _number(table) == number), frozenset())
        found.append(Service(number, pids, *names.get(number, ())))
    return tuple(found)


def _programs(table: bytes) -> Iterator[tuple[int, int]]:
    """Number, and PID of the list of streams, of each service; number 0 is not a service."""
    for at in range(8, len(table) - 7, 4):
        if number := _number(table, at):
            yield number, _number(table, at + 2) & 0x1FFF


def _pids(table: bytes) -> frozenset[int]:
    """The streams of a service."""
    found, at = set(), 12 + (_number(table, 10) & 0xFFF)
    while at < len(table) - 8:
        found.add(_number(table, at + 1) & 0x1FFF)
        at += 5 + (_number(table, at + 3) & 0xFFF)
    return frozenset(found)


def _names(table: bytes) -> Iterator[tuple[int, str, str]]:
    """Number, provider and name of each service."""
    at = 11
    while at < len(table) - 8:
        number, place, at = _number(table, at), at + 5, at + 5 + (_number(table, at + 3) & 0xFFF)
        while place < min(at, len(table) - 4) - 2:
            kind, content = table[place], table[place + 2 : place + 2 + table[place + 1]]
            if kind == _SERVICE_DESCRIPTOR and len(content) > 2:
                end = 2 + content[1]
                yield number, _text(content[2:end]), _text(content[end + 1 :])
            place += 2 + table[place + 1]


def _text(data: bytes) -> str:
    charset = "utf-8"
    if data[:1] == b"\x10":
        charset, data = f"iso8859-{data[2]}" if len(data) > 2 else charset, data[3:]
    elif data and data[0] < 0x20:
        charset, data = _CHARSETS.get(data[0], charset), data[1:]
    try:
        text = data.decode(charset)
    except (UnicodeDecodeError, LookupError):
        text = _with_marks(data.decode("latin-1")).translate(_LETTERS)
    return "".join(sign for sign in text if unicodedata.category(sign) != "Cc").strip()


def _with_marks(text: str) -> str:
    return re.sub("([\xc1-\xcf])(.)", lambda pair: unicodedata.normalize("NFC", pair[2] + _MARKS[ord(pair[1])]), text)


def _number(table: bytes, at: int = 3) -> int:
    """Two bytes of a table; by default what the table is about."""
    return int.from_bytes(table[at : at + 2], "big")
