"""TOML by the standard library, or before Python 3.11 by tomli, which it was taken from."""

import sys
from pathlib import Path
from typing import Any

from streamdehaze.address import without_secrets
from streamdehaze.errors import ConfigError

if sys.version_info >= (3, 11):
    from tomllib import TOMLDecodeError, load, loads
else:
    from tomli import TOMLDecodeError, load, loads

__all__ = ["TOMLDecodeError", "read_toml", "value"]


def read_toml(path: Path, named: str) -> dict[str, Any]:
    """The content of a file.

    Args:
        path: of it.
        named: what errors call it: "the preset 'dusk.toml'".

    Raises:
        ConfigError: if it cannot be read, or is not TOML.
    """
    try:
        with path.open("rb") as file:
            content: dict[str, Any] = load(file)
    except OSError as error:
        raise ConfigError(f"{named} cannot be read: {error.strerror or error}") from error
    except (TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{named} is not TOML: {without_secrets(str(error))}") from error
    return content


def value(text: str) -> Any:
    """A number, true or false, or a list as TOML writes it; anything else is the text itself."""
    try:
        return loads(f"value = {text}")["value"]
    except TOMLDecodeError:
        return text
