"""Files that are either complete or absent, even after a power cut, and hashes of them."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from streamdehaze.errors import ConfigError, SinkError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a partial name, sync it, and rename it.

    Raises:
        OSError: if that fails; what was there before stays, and nothing else is left.
    """
    partial = path.with_name(f"{path.name}.part")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        rename_durably(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_output(path: Path, content: bytes) -> None:
    """`write_whole` for a file that a user asked for.

    A link stays one, and the file behind it is replaced; a device or pipe, such as /dev/stdout, is written into.

    Raises:
        SinkError: naming the file, if that fails.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
        else:
            write_whole(Path(os.path.realpath(path)), content)
    except OSError as error:
        raise SinkError(f"'{path}' cannot be written: {error.strerror or error}") from error


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """`write_output` of a table, under a header with all columns that a row has.

    Raises:
        SinkError: naming the file, if that fails.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(column for row in rows for column in row)))
    writer.writeheader()
    writer.writerows(rows)
    write_output(path, text.getvalue().encode())


def rename_durably(partial: Path, path: Path) -> None:
    """Rename a file whose content is on the disk already, so that a power cut leaves the old name or the new one."""
    os.replace(partial, path)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Wait until a closed file is on the disk."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def cache_folder(name: str) -> Path:
    """Where this user's cache keeps what has this name; the folder need not be there."""
    import platformdirs

    return platformdirs.user_cache_path("streamdehaze", appauthor=False) / name


def require_folders(*paths: Path | None) -> None:
    """Refuse to write into folders that are missing or not writable, before the work begins; "-" needs none.

    Raises:
        ConfigError: for the first that is missing.
        SinkError: for the first that is not writable.
    """
    for path in paths:
        if path is None or str(path) == "-":
            continue
        if not path.absolute().parent.is_dir():
            raise ConfigError(f"the folder '{path.parent}' for '{path.name}' does not exist; create it first")
        if os.path.isfile(path) or not os.path.exists(path):  # devices and pipes are opened as they are
            require_writable(path.parent)


def require_writable(folder: Path) -> None:
    """Refuse a folder that files cannot be written into.

    Raises:
        SinkError: if it is one.
    """
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise SinkError(f"the folder '{folder}' is not writable")


def make_folder(folder: Path) -> None:
    """Make a folder that a user asked for, and those above it; it may be there.

    Raises:
        SinkError: if that fails.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"the folder '{folder}' cannot be made: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk; a no-op where folders cannot be synced."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
