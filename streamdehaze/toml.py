"""TOML by the standard library, or before Python 3.11 by tomli, and what checks the tables of such files."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from streamdehaze.address import without_secrets
from streamdehaze.errors import ConfigError

if sys.version_info >= (3, 11):
    from tomllib import TOMLDecodeError, load, loads
else:
    from tomli import TOMLDecodeError, load, loads

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["TOMLDecodeError", "Table", "explain", "read_toml", "value"]


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


class Table(BaseModel):
    """Plain values of a file or a request, checked: unknown keys are refused, and errors show no secrets."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """All faults, unknown keys first, each with the nearest right one: it may be why another is missing."""
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    return "; ".join(_explain_one(fault, model) for fault in faults)


def _explain_one(fault: ErrorDetails, model: type[BaseModel]) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _known_keys(model, fault["loc"][:-1])
        near = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
        return f"unknown key '{where}'; {hint}"
    message, given = fault["msg"].removeprefix("Value error, "), fault["input"]
    if isinstance(given, (str, int, float)) and fault["type"] != "value_error":
        message += f", not {given!r}"
    return f"{where}: {message}" if where else message


def _known_keys(model: Any, location: tuple[int | str, ...]) -> list[str]:
    for part in location:
        if isinstance(part, int) or not hasattr(model, "model_fields"):
            continue
        field = model.model_fields.get(part)
        if field is None:
            continue
        model = _model_in(field.annotation)
    return list(getattr(model, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    """The model class inside ``list[Model]``, ``dict[str, Model]`` or ``Model``; None if there is none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)
