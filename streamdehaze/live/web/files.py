"""The page's own files, read once: no path of a request ever reaches the disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True)
class PageFile:
    """A file of the page."""

    content: bytes
    media_type: str
    tag: str
    """Changes with the content, for the ETag header."""


def load_page_files() -> dict[str, PageFile]:
    """All files of the page by name."""
    files = {}
    for entry in resources.files("streamdehaze.live.web").joinpath("static").iterdir():
        extension = entry.name.rpartition(".")[2]
        if extension in _TYPES:
            content = entry.read_bytes()
            files[entry.name] = PageFile(content, _TYPES[extension], f'"{hashlib.sha256(content).hexdigest()[:16]}"')
    return files
