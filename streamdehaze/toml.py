"""TOML by the standard library, or before Python 3.11 by tomli, and what checks the tables of such files."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from streamdehaze.address import without_secrets
from streamdehaze.errors import ConfigError

if sys.version_info >= (3, 11):
    from tomllib import TOMLDecodeError, loads
else:
    from tomli import TOMLDecodeError, loads

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["Fault", "SizeBytes", "TOMLDecodeError", "Table", "explain", "faults_of", "read_toml", "size_of", "value"]

_TO_WRITE: Mapping[str, str] = {
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("string_type", "path_type"), "text in quotes"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list in square brackets"),
    **dict.fromkeys(("dict_type", "model_type"), "a table of keys and values"),
    **dict.fromkeys(("time_type", "time_parsing"), 'a time of day, such as "22:00"'),
    "literal_error": "{expected}",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "a number below {lt:g}",
    "less_than_equal": "{le:g} or less",
    "multiple_of": "a multiple of {multiple_of:g}",
    "string_too_short": "at least one character",
    "string_too_long": "at most {max_length} characters",
}
"""What to write instead, by pydantic's name of the fault and with its numbers."""
_SAID: Mapping[str, str] = {"missing": "it is missing", "json_invalid": "it is not JSON"}
_UNION_MEMBER = re.compile(r"constrained-\w+|literal\[.*\]")
"""What pydantic adds to the place of a value that may be of several types: each has its own fault then."""


def read_toml(path: Path, named: str) -> dict[str, Any]:
    """The content of a file.

    Args:
        path: of it.
        named: what errors call it: "the preset 'dusk.toml'".

    Raises:
        ConfigError: if it cannot be read, or is not TOML.
    """
    try:
        content: dict[str, Any] = loads(path.read_bytes().decode("utf-8-sig"))
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


def size_of(text: str) -> int:
    """Bytes of "800M", "1.5G", "2GiB" or "1000000000"; the letters stand for powers of 1024.

    Raises:
        ValueError: if it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])(?:i?B)?)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise ValueError(f"'{text}' is not a size in bytes; write 800M or 1.5G")
    return int(float(match[1]) * 1024 ** " KMGT".index((match[2] or " ").upper()))


SizeBytes = Annotated[int, Field(gt=0), BeforeValidator(lambda size: size_of(size) if isinstance(size, str) else size)]
"""A number of bytes, or the text of one as `size_of` reads it."""


class Table(BaseModel):
    """Plain values of a file or a request, checked: unknown keys are refused, and errors show no secrets."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Fault(NamedTuple):
    """What is wrong at one place of a table."""

    place: tuple[int | str, ...]
    """Keys and positions in lists, from the outside in."""
    kind: str
    """Pydantic's name of it."""
    words: str
    """What to write instead, or what is wrong."""
    given: object
    """What is there; it may be secret."""


def faults_of(error: ValidationError) -> list[Fault]:
    """All faults, one a place."""
    found: dict[tuple[int | str, ...], Fault] = {}
    for detail in error.errors(include_url=False):
        place, words = detail["loc"], _words(detail)
        if place and _UNION_MEMBER.fullmatch(str(place[-1])):
            place = place[:-1]
            if place in found:
                words = f"{found[place].words}, or {words.removeprefix('write ')}"
        found[place] = Fault(place, detail["type"], words, detail["input"])
    return list(found.values())


def explain(error: ValidationError, model: type[BaseModel], whole: str = "") -> str:
    """All faults, unknown keys first, each with the nearest right one: it may be why another is missing.

    Args:
        error: the faults.
        model: what was checked.
        whole: what a fault of no single key is said of.
    """
    faults = sorted(faults_of(error), key=lambda fault: fault.kind != "extra_forbidden")
    return "; ".join(_explain_one(fault, model, whole) for fault in faults)


def _explain_one(fault: Fault, model: type[BaseModel], whole: str) -> str:
    where = ".".join(str(part) for part in fault.place) or whole
    if fault.kind == "extra_forbidden":
        known = _known_keys(model, fault.place[:-1])
        near = difflib.get_close_matches(str(fault.place[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
        return f"unknown key '{where}'; {hint}"
    words = fault.words
    if isinstance(fault.given, (str, int, float)) and fault.kind not in ("value_error", "json_invalid"):
        words += f", not {fault.given!r}"
    return f"{where}: {words}" if where else words


def _words(detail: ErrorDetails) -> str:
    kind = detail["type"]
    if kind in _SAID:
        return _SAID[kind]
    if kind in _TO_WRITE:
        return f"write {_TO_WRITE[kind].format_map(detail.get('ctx', {}))}"
    return detail["msg"].removeprefix("Value error, ")


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
